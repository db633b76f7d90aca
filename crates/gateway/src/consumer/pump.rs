//! Moves records from the broker's logs into a fetch stream, one response at a time, as fast as the client takes them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_broker::api::{Fetch, FetchedPartition, OffsetSpec, PartitionError, ReadFrom};
use levada_log::Slice;
use levada_proto::status;
use levada_proto::v1;
use levada_records::{BatchError, RecordBuffer};
use levada_types::{ErrorCode, Isolation, Offset};
use tonic::Status;

use super::frame::Frame;
use super::position::{Position, Start, StartAt};
use super::read_buffers::ReadBuffers;
use super::{position, records};
use crate::gateway::Gateway;
use crate::refusal::{message_about, to_status};

/// The size of a response unless the client says otherwise; the size at which a stream costs the least per byte.
const DEFAULT_RESPONSE_BYTES: u32 = 1 << 20;

/// How long to collect `min_bytes` unless the client says otherwise: Kafka's default `fetch.max.wait.ms`.
const DEFAULT_MAX_WAIT: Duration = Duration::from_millis(500);

/// How long an idle stream sleeps before it looks again; it is woken by records and by changes of leadership.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// A fetch stream's state. Polled by the connection: nothing is read that the client has no room for.
pub(super) struct Pump {
    gateway: Arc<Gateway>,
    positions: Vec<Position>,
    format: v1::FetchFormat,
    max_response_bytes: u32,
    min_bytes: u32,
    max_wait: Duration,
    /// Found by the last pass over the logs and not sent yet.
    /// By index into `positions`, which does not change before this is empty.
    found: VecDeque<(usize, FetchedPartition)>,
    buffer: RecordBuffer,
}

impl Pump {
    /// Checks a request and finds out where everything starts.
    pub(super) async fn open(gateway: Arc<Gateway>, request: v1::FetchRequest) -> Result<Self, Status> {
        let image = gateway.broker.image();
        let format = match request.format() {
            v1::FetchFormat::Unspecified => v1::FetchFormat::Records,
            format => format,
        };
        let starts = position::starts(&image, request.partitions, gateway.options.fetch_max_partitions);
        let starts = starts.map_err(|error| to_status(&image, error))?;
        let ends = match request.stop_at_end {
            true => find(&gateway, &starts, |_| Some(OffsetSpec::Latest)).await?,
            false => vec![None; starts.len()],
        };
        let found = find(&gateway, &starts, |start| match start.at {
            StartAt::Offset(_) => None,
            StartAt::Find(spec) => Some(spec),
        });
        let found = found.await?;
        // Nothing is that young: start at the end.
        let latest = find(&gateway, &starts, |start| match start.at {
            StartAt::Find(spec) if !matches!(spec, OffsetSpec::Earliest | OffsetSpec::Latest) => {
                Some(OffsetSpec::Latest)
            }
            _ => None,
        });
        let latest = latest.await?;
        let positions: Vec<Position> = starts
            .into_iter()
            .zip(found.into_iter().zip(latest))
            .zip(ends)
            .map(|((start, (found, latest)), end)| {
                let offset = match start.at {
                    StartAt::Offset(offset) => offset,
                    StartAt::Find(_) => found.filter(|offset| *offset >= 0).or(latest).unwrap_or_default(),
                };
                start.at(offset, end)
            })
            .collect();
        check_starts(&gateway, &positions).await?;
        let or_default = |asked: u32, default: u32| if asked == 0 { default } else { asked };
        let limit = gateway.options.fetch_max_response_bytes.max(1);
        Ok(Self {
            positions,
            format,
            max_response_bytes: or_default(request.max_response_bytes, DEFAULT_RESPONSE_BYTES).min(limit),
            min_bytes: or_default(request.min_bytes, 1),
            max_wait: match request.max_wait_ms {
                // The first byte is enough, so nothing is gained by looking before it is there.
                _ if request.min_bytes <= 1 => IDLE_WAIT,
                0 => DEFAULT_MAX_WAIT,
                ms => Duration::from_millis(ms.into()),
            },
            found: VecDeque::new(),
            buffer: RecordBuffer::new(),
            gateway,
        })
    }

    /// The next response. `None` once everything that was asked for has been sent.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Status> {
        loop {
            while let Some((index, fetched)) = self.found.pop_front() {
                if let Some(frame) = self.write(index, fetched).await? {
                    return Ok(Some(frame));
                }
            }
            self.positions.retain(|position| !position.is_at_end());
            if self.positions.is_empty() {
                return Ok(None);
            }
            // Whom the last pass left no room for is served first now.
            self.positions.rotate_left(1);
            let max_bytes = self.gateway.read_buffers.response_limit(self.max_response_bytes);
            let fetch = Fetch {
                max_wait: self.max_wait,
                min_bytes: self.min_bytes,
                max_bytes,
                isolation: Isolation::ReadUncommitted,
                read_from: ReadFrom::Leader,
                partitions: self.positions.iter().map(|position| position.fetch(max_bytes)).collect(),
            };
            let found = tokio::select! {
                () = self.gateway.shutdown.cancelled() => {
                    return Err(status::status_of(ErrorCode::LeaderNotAvailable, "the broker is shutting down"));
                }
                found = self.gateway.broker.fetch(&fetch) => found,
            };
            let is_told = |fetched: &FetchedPartition| !fetched.error.is_none() || fetched.records.is_some();
            self.found = found.into_iter().enumerate().filter(|(_, fetched)| is_told(fetched)).collect();
        }
    }

    /// The response with what was found for the position of this index.
    async fn write(&mut self, index: usize, fetched: FetchedPartition) -> Result<Option<Frame>, Status> {
        let Some(position) = self.positions.get_mut(index) else { return Ok(None) };
        let written = match fetched.records {
            Some(slice) if fetched.error.is_none() => {
                let response = v1::FetchResponse {
                    topic_id: position.topic_id.clone(),
                    partition: position.partition.partition,
                    next_offset: position.offset,
                    high_watermark: fetched.high_watermark,
                    log_start_offset: fetched.log_start_offset,
                    content: None,
                };
                match read(slice, &self.gateway.read_buffers).await {
                    Ok(batches) => encode(self.format, response, batches, &mut self.buffer),
                    Err(error) => Err(PartitionError::new(
                        ErrorCode::KafkaStorageError,
                        format!("the log cannot be read: {error}"),
                    )),
                }
            }
            _ if fetched.error.is_none() => return Ok(None),
            _ => return Err(refusal(&self.gateway, position, &fetched)),
        };
        match written {
            Ok((next_offset, frame)) => {
                position.offset = next_offset;
                Ok(Some(frame))
            }
            Err(error) => {
                let image = self.gateway.broker.image();
                let message = message_about(&image, error, &position.topic, position.partition.partition);
                Err(status::status_with(&message))
            }
        }
    }
}

/// Puts batches into a response in the format asked for. Also tells where to go on.
fn encode(
    format: v1::FetchFormat,
    mut response: v1::FetchResponse,
    batches: Bytes,
    buffer: &mut RecordBuffer,
) -> Result<(Offset, Frame), PartitionError> {
    let damaged =
        |error: BatchError| PartitionError::new(error.code(), format!("a stored batch cannot be read: {error}"));
    let from = response.next_offset;
    let frame = if format == v1::FetchFormat::RawBatches {
        response.next_offset = records::next_offset(&batches, from).map_err(damaged)?;
        Frame::with_raw_batches(&response, batches)
    } else {
        let decoded = records::decode(&batches, from, buffer).map_err(damaged)?;
        response.next_offset = decoded.next_offset;
        let list = v1::StoredRecordList { records: decoded.records };
        response.content = Some(v1::fetch_response::Content::Records(list));
        Frame::whole(&response)
    };
    let too_large = "the records are larger than a message can be; ask for raw batches, or for less at a time";
    let frame = frame.ok_or_else(|| PartitionError::new(ErrorCode::MessageTooLarge, too_large))?;
    Ok((response.next_offset, frame))
}

/// Fails if a partition is to be read from beyond where it ends. Nothing of it would ever be read, so that the stream ended
/// as if all were well. Whether the offset exists is the broker's to say, since the log may end after the high watermark.
async fn check_starts(gateway: &Gateway, positions: &[Position]) -> Result<(), Status> {
    let beyond: Vec<&Position> =
        positions.iter().filter(|position| position.end.is_some_and(|end| position.offset > end)).collect();
    if beyond.is_empty() {
        return Ok(());
    }
    let fetch = Fetch {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes: 1,
        isolation: Isolation::ReadUncommitted,
        read_from: ReadFrom::Leader,
        partitions: beyond.iter().map(|position| position.fetch(1)).collect(),
    };
    let found = gateway.broker.fetch(&fetch).await;
    match beyond.into_iter().zip(found).find(|(_, fetched)| !fetched.error.is_none()) {
        Some((position, fetched)) => Err(refusal(gateway, position, &fetched)),
        None => Ok(()),
    }
}

/// What a client is told of a partition that the broker does not read.
fn refusal(gateway: &Gateway, position: &Position, fetched: &FetchedPartition) -> Status {
    let error = PartitionError { leader: fetched.leader, ..fetched.error.into() };
    let image = gateway.broker.image();
    status::status_with(&message_about(&image, error, &position.topic, position.partition.partition))
}

/// Looks up an offset of each partition for which `spec` has a question. Fails with the first that cannot be found out.
async fn find(
    gateway: &Gateway,
    starts: &[Start],
    spec: impl Fn(&Start) -> Option<OffsetSpec>,
) -> Result<Vec<Option<i64>>, Status> {
    let asked: Vec<(usize, OffsetSpec)> =
        starts.iter().enumerate().filter_map(|(index, start)| Some((index, spec(start)?))).collect();
    let mut found = vec![None; starts.len()];
    if asked.is_empty() {
        return Ok(found);
    }
    let questions = asked.iter().map(|&(index, spec)| starts[index].find(spec)).collect();
    let answers = gateway.broker.list_offsets(questions, Isolation::ReadUncommitted).await;
    for ((index, _), answer) in asked.into_iter().zip(answers) {
        match answer {
            Ok(offset) => found[index] = Some(offset.offset),
            Err(error) => {
                let start = &starts[index];
                let image = gateway.broker.image();
                let message = message_about(&image, error, &start.topic, start.partition.partition);
                return Err(status::status_with(&message));
            }
        }
    }
    Ok(found)
}

/// The bytes of a slice. What may have to wait for the disk is read on a thread that may.
pub(crate) async fn read(slice: Slice, buffers: &ReadBuffers) -> io::Result<Bytes> {
    let mut buffer = buffers.take(slice.len());
    if slice.is_likely_cached() {
        slice.read_at(0, buffer.as_mut_slice())?;
    } else {
        let reading = tokio::task::spawn_blocking(move || {
            slice.read_at(0, buffer.as_mut_slice())?;
            Ok::<_, io::Error>(buffer)
        });
        buffer = reading.await.map_err(io::Error::other)??;
    }
    Ok(buffer.freeze())
}
