//! Producing records: batched per partition, retried, idempotent by default.
//!
//! [`Producer::send`] picks a partition and appends the record to that partition's lane; a task per producer seals
//! batches, sends them to the partitions' leaders and takes the answers.

mod batch;
mod builder;
mod delivery;
mod lane;
mod link;
mod options;
mod partitioner;
mod raw;
mod record;
mod sender;
mod shared;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use levada_records::Header;
use levada_types::{TimestampMs, TopicName};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use builder::ProducerBuilder;
pub use delivery::{Delivery, RecordMetadata};
pub use options::Acks;
pub use partitioner::Partitioner;
pub use raw::{RawAppend, RawDelivery, RawProducer, RawProducerBuilder};
pub use record::ProducerRecord;

use lane::{Entry, Lane};
use sender::Sender;
use shared::Shared;

use crate::ClientError;
use crate::topic_metadata::TopicMetadata;

/// At most so many bytes does a record take beside its key, value and headers: lengths, timestamp and offset deltas.
const RECORD_OVERHEAD: usize = 21;

/// At most so many bytes do the lengths of one header take.
const HEADER_OVERHEAD: usize = 10;

/// Produces records. Cheap to clone; when the last clone is dropped, records that are not acknowledged yet are given up
/// ([`ClientError::Closed`]), so [`Self::close`] or [`Self::flush`] it first.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    closed: CancellationToken,
    /// Closes it with the last clone.
    _last: Arc<DropGuard>,
}

impl Producer {
    fn start(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let closed = CancellationToken::new();
        tokio::spawn(Sender::new(shared.clone()).run(closed.clone()));
        Self { shared, _last: Arc::new(closed.clone().drop_guard()), closed }
    }

    /// Hands a record over. Returns once it has room in `buffer.memory`, not when it is produced: await the
    /// [`Delivery`] for that. Records for one partition are produced in the order of the calls.
    ///
    /// # Errors
    /// [`ClientError::RecordTooLarge`], [`ClientError::NoSuchPartition`], [`ClientError::TopicName`];
    /// [`ClientError::TimedOut`] if there is no room within `max.block.ms`; [`ClientError::Closed`]; what looking up the
    /// topic came to.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, ClientError> {
        let size = self.checked_size(&record)?;
        let topic = self.topic(&record.topic).await?;
        let memory = self.reserve(size).await?;
        let lane = self.lane(&topic, &record)?;
        let headers: Vec<Header<'_>> =
            record.headers.iter().map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() }).collect();
        let entry = Entry {
            timestamp_ms: record.timestamp_ms.unwrap_or_else(now_ms),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            size,
        };
        let (delivery, look) = lane.lock().append(Instant::now(), entry, Some(memory))?;
        if self.closed.is_cancelled() {
            // The sender may have gone before it could see this record.
            lane.lock().fail(&ClientError::Closed);
            return Err(ClientError::Closed);
        }
        if look {
            self.shared.wake.notify_one();
        }
        Ok(delivery)
    }

    /// Sends everything at once, without waiting for `linger.ms`, and waits until all that was handed over before is
    /// acknowledged or given up. What became of each record its [`Delivery`] says.
    pub async fn flush(&self) {
        let lanes: Vec<Arc<Mutex<Lane>>> = self.shared.lanes.read().values().cloned().collect();
        let outcomes: Vec<_> = lanes.iter().flat_map(|lane| lane.lock().flush()).collect();
        self.shared.wake.notify_one();
        for outcome in outcomes {
            // An outcome is told to whoever holds the delivery.
            let _ = outcome.await;
        }
    }

    /// Flushes and ends the producer, for all of its clones.
    pub async fn close(self) {
        self.flush().await;
        self.closed.cancel();
    }

    fn checked_size(&self, record: &ProducerRecord) -> Result<usize, ClientError> {
        let headers: usize = record
            .headers
            .iter()
            .map(|(key, value)| HEADER_OVERHEAD + key.len() + value.as_ref().map_or(0, bytes::Bytes::len))
            .sum();
        let key_and_value = [&record.key, &record.value].into_iter().flatten().map(bytes::Bytes::len).sum::<usize>();
        let size = RECORD_OVERHEAD + key_and_value + headers;
        let options = &self.shared.options;
        if size > options.max_request_size {
            return Err(ClientError::RecordTooLarge {
                size,
                option: "max.request.size",
                limit: options.max_request_size,
            });
        }
        if size > options.buffer_memory {
            return Err(ClientError::RecordTooLarge { size, option: "buffer.memory", limit: options.buffer_memory });
        }
        Ok(size)
    }

    async fn topic(&self, name: &str) -> Result<Arc<TopicMetadata>, ClientError> {
        let cluster = &self.shared.cluster;
        if let Some(known) = cluster.fresh_topic(name) {
            return Ok(known);
        }
        TopicName::new(name)?;
        cluster.topic(name, self.shared.options.auto_create_topics).await
    }

    async fn reserve(&self, size: usize) -> Result<OwnedSemaphorePermit, ClientError> {
        let (memory, limit) = (self.shared.memory.clone(), self.shared.options.max_block);
        // The size is at most buffer.memory, which was checked to fit.
        let acquire = memory.acquire_many_owned(u32::try_from(size).unwrap_or(u32::MAX));
        match tokio::time::timeout(limit, acquire).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(ClientError::Closed),
            Err(_) => Err(ClientError::TimedOut { option: "max.block.ms", limit }),
        }
    }

    fn lane(&self, topic: &TopicMetadata, record: &ProducerRecord) -> Result<Arc<Mutex<Lane>>, ClientError> {
        let partition_count = topic.partition_count();
        let no_such_partition =
            |partition| ClientError::NoSuchPartition { topic: topic.name.clone(), partition, partition_count };
        if partition_count == 0 {
            return Err(no_such_partition(0));
        }
        let keyed = || self.shared.options.partitioner.partition(record.key.as_deref(), partition_count);
        match record.partition {
            Some(partition) if !(0..partition_count).contains(&partition) => Err(no_such_partition(partition)),
            Some(partition) => Ok(self.shared.lane(&topic.name, topic.id, partition)),
            None => match keyed() {
                Some(partition) => Ok(self.shared.lane(&topic.name, topic.id, partition)),
                None => Ok(self.sticky_lane(topic)),
            },
        }
    }

    /// The lane that records without a key go to at the moment; another one, at random, when its batch is gone.
    fn sticky_lane(&self, topic: &TopicMetadata) -> Arc<Mutex<Lane>> {
        let mut sticky = self.shared.sticky.lock();
        if let Some(&partition) = sticky.get(&topic.id) {
            let lane = self.shared.lane(&topic.name, topic.id, partition);
            if lane.lock().has_open() {
                return lane;
            }
        }
        let available = topic.available();
        let partition = match available.len() {
            0 => rand::random_range(0..topic.partition_count().max(1)),
            count => available[rand::random_range(0..count)],
        };
        sticky.insert(topic.id, partition);
        self.shared.lane(&topic.name, topic.id, partition)
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// The clock that records without a timestamp get theirs from.
fn now_ms() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::try_from(since_epoch.as_millis()).unwrap_or(TimestampMs::MAX)
}
