//! Moves records from the broker's logs into a fetch stream, one response at a time, as fast as the client takes them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_broker::api::{Fetch, FetchedPartition, OffsetSpec, PartitionError};
use levada_log::Slice;
use levada_proto::status;
use levada_proto::v1;
use levada_records::{BatchError, RecordBuffer};
use levada_types::{ErrorCode, Isolation, TopicIdPartition};
use tonic::Status;

use super::frame::Frame;
use super::position::{Position, Start, StartAt};
use super::spare_buffers::SpareBuffers;
use super::{position, records};
use crate::gateway::Gateway;
use crate::refusal::{message_about, to_status};

/// The size of a response unless the client says otherwise; the size at which a stream costs the least per byte.
const DEFAULT_RESPONSE_BYTES: u32 = 1 << 20;

/// How long to collect `min_bytes` unless the client says otherwise: Kafka's default `fetch.max.wait.ms`.
const DEFAULT_MAX_WAIT: Duration = Duration::from_millis(500);

/// A fetch stream's state. Polled by the connection: nothing is read that the client has no room for.
pub(super) struct Pump {
    gateway: Arc<Gateway>,
    positions: Vec<Position>,
    format: v1::FetchFormat,
    max_response_bytes: u32,
    min_bytes: u32,
    max_wait: Duration,
    /// Found by the last pass over the logs and not sent yet.
    found: VecDeque<FetchedPartition>,
    buffer: RecordBuffer,
    spares: SpareBuffers,
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
        let positions = starts
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
        let or_default = |asked: u32, default: u32| if asked == 0 { default } else { asked };
        let limit = gateway.options.fetch_max_response_bytes.max(1);
        Ok(Self {
            positions,
            format,
            max_response_bytes: or_default(request.max_response_bytes, DEFAULT_RESPONSE_BYTES).min(limit),
            min_bytes: or_default(request.min_bytes, 1),
            max_wait: match request.max_wait_ms {
                0 => DEFAULT_MAX_WAIT,
                ms => Duration::from_millis(ms.into()),
            },
            found: VecDeque::new(),
            buffer: RecordBuffer::new(),
            spares: SpareBuffers::default(),
            gateway,
        })
    }

    /// The next response. `None` once everything that was asked for has been sent.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Status> {
        loop {
            while let Some(fetched) = self.found.pop_front() {
                if let Some(frame) = self.write(fetched).await? {
                    return Ok(Some(frame));
                }
            }
            self.positions.retain(|position| !position.is_at_end());
            if self.positions.is_empty() {
                return Ok(None);
            }
            let shutdown = self.gateway.shutdown.clone();
            let fetch = Fetch {
                max_wait: self.max_wait,
                min_bytes: self.min_bytes,
                max_bytes: self.max_response_bytes,
                isolation: Isolation::ReadUncommitted,
                partitions: self.positions.iter().map(|p| p.fetch(self.max_response_bytes)).collect(),
            };
            tokio::select! {
                () = shutdown.cancelled() => {
                    return Err(status::status_of(ErrorCode::LeaderNotAvailable, "the broker is shutting down"));
                }
                found = self.gateway.broker.fetch(&fetch) => self.found = found.into(),
            }
            // Whom the first response leaves no room for is served first the next time.
            if self.positions.len() > 1 {
                self.positions.rotate_left(1);
            }
        }
    }

    async fn write(&mut self, fetched: FetchedPartition) -> Result<Option<Frame>, Status> {
        if !fetched.error.is_none() {
            let error = PartitionError { code: fetched.error, message: None, leader: fetched.leader };
            return Err(self.failed(fetched.partition, error));
        }
        let Some(slice) = fetched.records else { return Ok(None) };
        let damaged = |error: BatchError| PartitionError::new(error.code(), format!("a stored batch: {error}"));
        let bytes = match read(slice, &mut self.spares).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = PartitionError::new(ErrorCode::KafkaStorageError, format!("cannot read the log: {error}"));
                return Err(self.failed(fetched.partition, error));
            }
        };
        let Some(position) = self.positions.iter_mut().find(|position| position.partition == fetched.partition) else {
            return Ok(None);
        };
        let mut response = v1::FetchResponse {
            topic_id: position.topic_id.clone(),
            partition: position.partition.partition,
            next_offset: position.offset,
            high_watermark: fetched.high_watermark,
            log_start_offset: fetched.log_start_offset,
            content: None,
        };
        let frame = match self.format {
            v1::FetchFormat::RawBatches => records::next_offset(&bytes, position.offset).map(|next_offset| {
                response.next_offset = next_offset;
                Frame::with_raw_batches(&response, bytes)
            }),
            _ => records::decode(&bytes, position.offset, &mut self.buffer).map(|decoded| {
                response.next_offset = decoded.next_offset;
                let list = v1::StoredRecordList { records: decoded.records };
                response.content = Some(v1::fetch_response::Content::Records(list));
                Frame::whole(&response)
            }),
        };
        match frame {
            Ok(Some(frame)) => {
                position.offset = response.next_offset;
                Ok(Some(frame))
            }
            Ok(None) => {
                let text = "a response would be larger than a message can be; ask for raw batches or less at a time";
                Err(self.failed(fetched.partition, PartitionError::new(ErrorCode::MessageTooLarge, text)))
            }
            Err(error) => Err(self.failed(fetched.partition, damaged(error))),
        }
    }

    fn failed(&self, partition: TopicIdPartition, error: PartitionError) -> Status {
        let image = self.gateway.broker.image();
        let position = self.positions.iter().find(|position| position.partition == partition);
        let topic = position.map_or("", |position| position.topic.as_str());
        status::status_with(&message_about(&image, error, topic, partition.partition))
    }
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
async fn read(slice: Slice, spares: &mut SpareBuffers) -> io::Result<Bytes> {
    let mut buffer = spares.take(slice.len());
    if slice.is_likely_cached() {
        slice.read_at(0, &mut buffer)?;
    } else {
        let reading = tokio::task::spawn_blocking(move || slice.read_at(0, &mut buffer).map(|_| buffer));
        buffer = reading.await.map_err(io::Error::other)??;
    }
    let bytes = buffer.freeze();
    spares.remember(&bytes);
    Ok(bytes)
}
