//! Options of a producer, then the producer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_records::Compression;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};

use super::options::ProducerOptions;
use super::shared::{Shared, init};
use super::{Acks, Partitioner, Producer};
use crate::ClientError;
use crate::cluster::Cluster;

/// Begins a producer. Every option has Kafka's default unless its comment says otherwise.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before build"]
pub struct ProducerBuilder {
    cluster: Arc<Cluster>,
    options: ProducerOptions,
}

impl ProducerBuilder {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, options: ProducerOptions::default() }
    }

    /// `acks`: when a record counts as produced. Default all. Others need [`Self::idempotence`] off.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.options.acks = acks;
        self
    }

    /// `enable.idempotence`: retries neither duplicate nor reorder records. Default true. Off, a batch whose answer was
    /// lost is sent again and may be there twice.
    pub fn idempotence(mut self, enable: bool) -> Self {
        self.options.enable_idempotence = enable;
        self
    }

    /// `partitioner.class`, or librdkafka's `partitioner`: where records go that name no partition. Default murmur2.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.options.partitioner = partitioner;
        self
    }

    /// `batch.size`: a batch is sent once its records take this many bytes, before compression. Default 16384. Larger
    /// ones cost broker and client less per byte.
    pub fn batch_size(mut self, bytes: usize) -> Self {
        self.options.lane.batch_size = bytes;
        self
    }

    /// `linger.ms`: how long a batch waits for more records. Default 5 ms.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.options.lane.linger = linger;
        self
    }

    /// `compression.type`, and `compression.<type>.level` where `level` is given. Default none.
    pub fn compression(mut self, compression: Compression, level: Option<i32>) -> Self {
        self.options.lane.compression = (compression, level);
        self
    }

    /// `max.in.flight.requests.per.connection`, counted per partition here: batches that may be unanswered at a time.
    /// Default 5, which is also the most with idempotence. Above 1 without idempotence, a retry may change the order.
    pub fn max_in_flight(mut self, batches: usize) -> Self {
        self.options.lane.max_in_flight = batches;
        self
    }

    /// `delivery.timeout.ms`: a record that is not acknowledged after this, retries included, is given up. Default 2 min.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.options.lane.delivery_timeout = timeout;
        self
    }

    /// `max.request.size`: the largest record, in bytes. Default 1048576.
    pub fn max_request_size(mut self, bytes: usize) -> Self {
        self.options.max_request_size = bytes;
        self
    }

    /// `buffer.memory`: bytes of records that may be on their way. [`Producer::send`] waits for room. Default 33554432.
    pub fn buffer_memory(mut self, bytes: usize) -> Self {
        self.options.buffer_memory = bytes;
        self
    }

    /// `max.block.ms`: how long [`Producer::send`] waits for room. Default 1 min.
    pub fn max_block(mut self, limit: Duration) -> Self {
        self.options.max_block = limit;
        self
    }

    /// Whether a topic that does not exist may be created by the first record for it, if the broker has
    /// `auto.create.topics.enable`. Default true, as Kafka's producers ask for it.
    pub fn auto_create_topics(mut self, create: bool) -> Self {
        self.options.auto_create_topics = create;
        self
    }

    /// The producer. With idempotence a broker is asked for a producer id first.
    ///
    /// # Errors
    /// [`ClientError::InvalidOptions`] if options contradict each other; what the broker answered.
    pub async fn build(self) -> Result<Producer, ClientError> {
        self.options.check()?;
        let identity = match self.options.enable_idempotence {
            true => Some(init(&self.cluster).await?),
            false => None,
        };
        Ok(Producer::start(Shared {
            memory: Arc::new(Semaphore::new(self.options.buffer_memory)),
            cluster: self.cluster,
            options: self.options,
            identity,
            lanes: RwLock::new(HashMap::new()),
            sticky: Mutex::new(HashMap::new()),
            wake: Notify::new(),
        }))
    }
}
