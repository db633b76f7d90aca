//! What a consumer reads and how, then the consumer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_types::{Offset, TopicName};
use tokio::sync::mpsc::channel;

use super::feeder::Feeder;
use super::options::ConsumerOptions;
use super::{Consumer, OffsetReset, OffsetTarget, PartitionKey, StartAt};
use crate::ClientError;
use crate::cluster::Cluster;
use crate::list_offsets::list_offsets;

/// Messages that may wait for the consumer; their bytes are bounded by `prefetch_bytes`.
const PREFETCHED_MESSAGES: usize = 1024;

/// Begins a consumer. Every option has Kafka's default unless its comment says otherwise.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before build"]
pub struct ConsumerBuilder {
    cluster: Arc<Cluster>,
    options: ConsumerOptions,
    assignment: Vec<(String, Option<i32>, StartAt)>,
}

impl ConsumerBuilder {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, options: ConsumerOptions::default(), assignment: Vec::new() }
    }

    /// Reads all partitions that the topic has now. May be called for several topics.
    pub fn topic(mut self, topic: impl Into<String>, start: StartAt) -> Self {
        self.assignment.push((topic.into(), None, start));
        self
    }

    /// Reads one partition. May be called for several.
    pub fn partition(mut self, topic: impl Into<String>, partition: i32, start: StartAt) -> Self {
        self.assignment.push((topic.into(), Some(partition), start));
        self
    }

    /// `fetch.min.bytes`: the broker collects this much before it sends, unless `fetch.max.wait.ms` passes. Default 1.
    pub fn fetch_min_bytes(mut self, bytes: u32) -> Self {
        self.options.fetch_min_bytes = bytes;
        self
    }

    /// `max.partition.fetch.bytes`: the size of one message; a larger batch comes whole. Default 1048576.
    pub fn fetch_max_bytes(mut self, bytes: u32) -> Self {
        self.options.fetch_max_bytes = bytes;
        self
    }

    /// `fetch.max.wait.ms`: how long the broker collects. Default 500 ms.
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.options.fetch_max_wait = wait;
        self
    }

    /// How many bytes may be fetched ahead of the caller, like librdkafka's `queued.max.messages.kbytes`. Default
    /// 67108864. The window of the connection (32 MiB) comes on top.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.options.prefetch_bytes = bytes;
        self
    }

    /// Ends once every partition was read to the high watermark that it had at the start, instead of waiting for more.
    /// Default false.
    pub fn stop_at_end(mut self, stop: bool) -> Self {
        self.options.stop_at_end = stop;
        self
    }

    /// `auto.offset.reset`: where to go on when the consumer's offset does not exist. Default latest.
    pub fn auto_offset_reset(mut self, reset: OffsetReset) -> Self {
        self.options.auto_offset_reset = reset;
        self
    }

    /// The consumer. Looks up the leaders and every start that is no offset first, so that a broken stream loses and
    /// repeats nothing.
    ///
    /// # Errors
    /// [`ClientError::InvalidOptions`] without a partition or with one twice; [`ClientError::NoSuchPartition`]; what the
    /// brokers answered.
    pub async fn build(self) -> Result<Consumer, ClientError> {
        if self.assignment.is_empty() {
            return Err(ClientError::InvalidOptions("the consumer was given no partition".to_owned()));
        }
        if u32::try_from(self.options.prefetch_bytes).is_err() {
            return Err(ClientError::InvalidOptions("the prefetch bound must be below 4 GiB".to_owned()));
        }
        let mut positions = HashMap::new();
        for (topic, partition, start) in &self.assignment {
            for (key, offset) in self.resolve(topic, *partition, *start).await? {
                if let Some(twice) = positions.insert(key.clone(), offset).map(|_| key) {
                    let text = format!("{}-{} was given twice", twice.topic, twice.partition);
                    return Err(ClientError::InvalidOptions(text));
                }
            }
        }
        let (out, prefetched) = channel(PREFETCHED_MESSAGES);
        tokio::spawn(Feeder::new(self.cluster, self.options, positions, out).run());
        Ok(Consumer::new(prefetched))
    }

    async fn resolve(
        &self,
        topic: &str,
        partition: Option<i32>,
        start: StartAt,
    ) -> Result<Vec<(PartitionKey, Offset)>, ClientError> {
        TopicName::new(topic)?;
        let metadata = self.cluster.refresh_topic(topic, false).await?;
        let partition_count = metadata.partition_count();
        let partitions: Vec<i32> = match partition {
            Some(partition) if !(0..partition_count).contains(&partition) => {
                return Err(ClientError::NoSuchPartition { topic: topic.to_owned(), partition, partition_count });
            }
            Some(partition) => vec![partition],
            None => (0..partition_count).collect(),
        };
        let name: Arc<str> = topic.into();
        let key = |partition| PartitionKey { topic: name.clone(), topic_id: metadata.id, partition };
        let target = match start {
            StartAt::Offset(offset) => return Ok(partitions.into_iter().map(|p| (key(p), offset)).collect()),
            StartAt::Earliest => OffsetTarget::Earliest,
            StartAt::Latest => OffsetTarget::Latest,
            StartAt::Timestamp(timestamp_ms) => OffsetTarget::Timestamp(timestamp_ms),
        };
        let found = list_offsets(&self.cluster, topic, &partitions, target).await?;
        let (mut positions, mut ended) = (Vec::new(), Vec::new());
        for found in found {
            match found.offset {
                -1 => ended.push(found.partition),
                offset => positions.push((key(found.partition), offset)),
            }
        }
        // No record is that young: go on from the end.
        if !ended.is_empty() {
            let ends = list_offsets(&self.cluster, topic, &ended, OffsetTarget::Latest).await?;
            positions.extend(ends.into_iter().map(|end| (key(end.partition), end.offset)));
        }
        Ok(positions)
    }
}
