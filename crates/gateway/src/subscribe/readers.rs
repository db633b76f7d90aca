//! Reads what a member owns from the leaders of its partitions: from this broker's own logs, or from other brokers.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use levada_broker::api::{Fetch, FetchPartition, ReadFrom};
use levada_metadata::{BrokerRegistration, Image};
use levada_peers::ReadPosition;
use levada_records::RecordBuffer;
use levada_types::{BrokerId, ErrorCode, Isolation, Offset};

use super::member::{Reading, Records};
use crate::consumer::{decode_records, read_slice};
use crate::gateway::Gateway;

/// How long a read waits for records before it is asked for again. It ends earlier when anything changes.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Batches of one partition, and the high watermark when they were read.
type Found = Result<(Bytes, Offset), ErrorCode>;

/// What one leader gave, by what it was asked for.
type Pass = Vec<(Reading, Found)>;

/// One leader that is being read from.
struct UnderWay {
    asked: Vec<Reading>,
    pass: BoxFuture<'static, Pass>,
}

/// The reads of one member that are under way, one for each leader.
pub(super) struct Readers {
    gateway: Arc<Gateway>,
    max_bytes: u32,
    under_way: BTreeMap<BrokerId, UnderWay>,
    /// Counts reads, so that partitions take turns in being the first.
    turns: usize,
    buffer: RecordBuffer,
}

impl Readers {
    pub(super) fn new(gateway: Arc<Gateway>, max_bytes: u32) -> Self {
        Self { gateway, max_bytes, under_way: BTreeMap::new(), turns: 0, buffer: RecordBuffer::new() }
    }

    /// Reads these from now on, and nothing else. What is being read as it should be goes on.
    pub(super) fn want(&mut self, image: &Image, wanted: &[Reading]) {
        let mut by_leader: BTreeMap<BrokerId, Vec<Reading>> = BTreeMap::new();
        for reading in wanted {
            // One without a leader is read once the image shows one.
            if let Some(leader) = leader(image, reading) {
                by_leader.entry(leader.id).or_default().push(*reading);
            }
        }
        self.under_way.retain(|leader, under_way| by_leader.get(leader) == Some(&under_way.asked));
        for (leader, asked) in by_leader {
            if self.under_way.contains_key(&leader) {
                continue;
            }
            let Some(registration) = image.broker(leader) else { continue };
            self.turns = self.turns.wrapping_add(1);
            let mut order = asked.clone();
            let first = self.turns % order.len().max(1);
            order.rotate_left(first);
            let max_bytes = self.gateway.read_buffers.response_limit(self.max_bytes);
            let pass: BoxFuture<'static, Pass> = if leader == self.gateway.broker.id() {
                Box::pin(own(self.gateway.clone(), order, max_bytes))
            } else {
                Box::pin(remote(self.gateway.clone(), Arc::clone(registration), order, max_bytes))
            };
            self.under_way.insert(leader, UnderWay { asked, pass });
        }
    }

    /// What was read, decoded. Waits for ever if nothing is being read.
    pub(super) async fn next(&mut self) -> Vec<(Reading, Result<Records, ErrorCode>)> {
        let under_way = &mut self.under_way;
        let (leader, pass) = poll_fn(|context| {
            for (leader, under_way) in under_way.iter_mut() {
                if let Poll::Ready(pass) = Pin::new(&mut under_way.pass).poll(context) {
                    return Poll::Ready((*leader, pass));
                }
            }
            Poll::Pending
        })
        .await;
        self.under_way.remove(&leader);
        let buffer = &mut self.buffer;
        pass.into_iter()
            .map(|(reading, found)| (reading, found.and_then(|found| decoded(reading, &found, buffer))))
            .collect()
    }
}

fn leader<'a>(image: &'a Image, reading: &Reading) -> Option<&'a Arc<BrokerRegistration>> {
    let id = reading.partition;
    let partition = image.topic(id.topic_id)?.partition(id.partition)?;
    image.broker(partition.leader?)
}

fn decoded(reading: Reading, found: &(Bytes, Offset), buffer: &mut RecordBuffer) -> Result<Records, ErrorCode> {
    let (batches, high_watermark) = found;
    let decoded = decode_records(batches, reading.offset, buffer).map_err(|error| {
        tracing::warn!(partition = %reading.partition, %error, "a stored batch cannot be read");
        error.code()
    })?;
    Ok(Records {
        records: decoded.records,
        next_offset: decoded.next_offset,
        leader_epoch: decoded.leader_epoch,
        high_watermark: *high_watermark,
    })
}

/// Reads from this broker's own logs.
async fn own(gateway: Arc<Gateway>, asked: Vec<Reading>, max_bytes: u32) -> Pass {
    let fetch = Fetch {
        max_wait: LONGEST_WAIT,
        min_bytes: 1,
        max_bytes,
        isolation: Isolation::ReadUncommitted,
        read_from: ReadFrom::Leader,
        partitions: asked
            .iter()
            .map(|reading| FetchPartition {
                partition: reading.partition,
                offset: reading.offset,
                max_bytes,
                current_leader_epoch: None,
                last_fetched_epoch: None,
            })
            .collect(),
    };
    let mut pass = Vec::new();
    for (reading, fetched) in asked.into_iter().zip(gateway.broker.fetch(&fetch).await) {
        let found = match fetched.records {
            _ if !fetched.error.is_none() => Err(fetched.error),
            None => continue,
            Some(slice) => match read_slice(slice, &gateway.read_buffers).await {
                Ok(batches) => Ok((batches, fetched.high_watermark)),
                Err(error) => {
                    tracing::warn!(partition = %reading.partition, %error, "a log cannot be read");
                    Err(ErrorCode::KafkaStorageError)
                }
            },
        };
        pass.push((reading, found));
    }
    pass
}

/// Reads from another broker.
async fn remote(gateway: Arc<Gateway>, leader: Arc<BrokerRegistration>, asked: Vec<Reading>, max_bytes: u32) -> Pass {
    let positions: Vec<ReadPosition> =
        asked.iter().map(|reading| ReadPosition { partition: reading.partition, offset: reading.offset }).collect();
    match gateway.record_reader.read(&leader, &positions, LONGEST_WAIT, max_bytes).await {
        Ok(found) => found
            .into_iter()
            .filter_map(|found| {
                let reading = *asked.get(found.index)?;
                Some(match found.error {
                    ErrorCode::None => (reading, Ok((found.batches, found.high_watermark))),
                    code => (reading, Err(code)),
                })
            })
            .collect(),
        Err(code) => asked.into_iter().map(|reading| (reading, Err(code))).collect(),
    }
}
