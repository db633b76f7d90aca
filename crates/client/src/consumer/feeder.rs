//! The task that keeps a consumer fed: one stream per leader, opened again where it broke.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_types::{ErrorCode, Offset};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::options::ConsumerOptions;
use super::reader::{Ended, Prefetched, Reader};
use super::{OffsetReset, OffsetTarget, PartitionKey};
use crate::ClientError;
use crate::cluster::Cluster;
use crate::connections::Connections;
use crate::list_offsets::list_offsets;

/// Keeps streams open to the leaders of some partitions.
pub(super) struct Feeder {
    cluster: Arc<Cluster>,
    options: ConsumerOptions,
    connections: Connections,
    /// Partitions that no stream reads at the moment, and where to go on.
    idle: HashMap<PartitionKey, Offset>,
    readers: JoinSet<Ended>,
    out: Sender<Prefetched>,
    memory: Arc<Semaphore>,
    /// Failures since anything came.
    attempts: u32,
}

impl Feeder {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        options: ConsumerOptions,
        positions: HashMap<PartitionKey, Offset>,
        out: Sender<Prefetched>,
    ) -> Self {
        let memory = Arc::new(Semaphore::new(options.prefetch_bytes.max(1)));
        Self {
            cluster,
            options,
            connections: Connections::bulk(),
            idle: positions,
            readers: JoinSet::new(),
            out,
            memory,
            attempts: 0,
        }
    }

    /// Runs until the consumer is dropped, every partition was read to its end (if that was asked for), or something
    /// failed for good, which the consumer is told.
    pub(super) async fn run(mut self) {
        let out = self.out.clone();
        let outcome = tokio::select! {
            () = out.closed() => return,
            outcome = self.feed() => outcome,
        };
        if let Err(error) = outcome {
            // The consumer may be gone by now.
            let _ = out.send(Err(error)).await;
        }
    }

    async fn feed(&mut self) -> Result<(), ClientError> {
        loop {
            self.open_streams().await?;
            let ended = match self.readers.join_next().await {
                Some(Ok(ended)) => ended,
                // A reader is never cancelled, so this is a defect, which the consumer must hear of.
                Some(Err(defect)) => {
                    return Err(ClientError::Protocol { address: "a stream".to_owned(), reason: defect.to_string() });
                }
                None => return Ok(()),
            };
            if ended.progress {
                self.attempts = 0;
            }
            let Err(error) = ended.outcome else { continue };
            self.idle.extend(ended.positions);
            match error {
                ClientError::Broker { code: ErrorCode::OffsetOutOfRange, ref partition, .. } => {
                    self.reset(partition.as_ref(), &error).await?;
                }
                error if error.retriable() => {
                    tracing::debug!(%error, "a fetch stream broke");
                    if !self.has_moved(&ended.address, &error) {
                        self.pause().await;
                        self.refresh_idle().await?;
                    }
                }
                error => return Err(error),
            }
        }
    }

    /// Opens a stream to every leader of a partition that no stream reads.
    async fn open_streams(&mut self) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.cluster.options().request_timeout;
        let mut told = false;
        loop {
            let mut by_leader: HashMap<String, HashMap<PartitionKey, Offset>> = HashMap::new();
            for (key, offset) in std::mem::take(&mut self.idle) {
                let known = self.cluster.known_topic(&key.topic);
                if known.as_ref().is_some_and(|known| known.id != key.topic_id) {
                    return Err(deleted(&key));
                }
                match known.and_then(|known| known.leader(key.partition)?.address.clone()) {
                    Some(address) => by_leader.entry(address).or_default().insert(key, offset),
                    None => self.idle.insert(key, offset),
                };
            }
            for (address, positions) in by_leader {
                let channel = self.connections.channel(&address)?;
                let (options, out, memory) = (self.options.clone(), self.out.clone(), self.memory.clone());
                self.readers.spawn(Reader { address, channel, options, positions, out, memory }.run());
            }
            let Some(leaderless) = self.idle.keys().next() else { return Ok(()) };
            let error = ClientError::no_leader(&leaderless.topic, leaderless.partition);
            // Whoever reads on and on waits for a leader as long as it takes; whoever wants to come to an end is told.
            if self.options.stop_at_end && Instant::now() >= deadline && self.readers.is_empty() {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                self.cluster.tell_retry(&error);
            }
            self.pause().await;
            self.refresh_idle().await?;
        }
    }

    /// Whether the error of the broker at `address` told where the leader is now, so that there is nothing to wait for.
    fn has_moved(&self, address: &str, error: &ClientError) -> bool {
        let ClientError::Broker { partition: Some((topic, partition)), .. } = error else { return false };
        self.cluster.follow_hint(topic, *partition, address, error)
    }

    /// Asks again who leads the partitions that no stream reads. That nobody answers passes.
    async fn refresh_idle(&mut self) -> Result<(), ClientError> {
        let mut topics: Vec<_> = self.idle.keys().map(|key| key.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            match self.cluster.refresh_topic(&topic, false).await {
                Err(error) if !error.retriable() || error.code() == ErrorCode::UnknownTopicOrPartition => {
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves a partition whose offset does not exist to where `auto.offset.reset` says.
    async fn reset(&mut self, partition: Option<&(String, i32)>, error: &ClientError) -> Result<(), ClientError> {
        let target = match self.options.auto_offset_reset {
            OffsetReset::Earliest => OffsetTarget::Earliest,
            OffsetReset::Latest => OffsetTarget::Latest,
            OffsetReset::Fail => return Err(error.clone()),
        };
        let named = |key: &PartitionKey| {
            partition.is_none_or(|(topic, partition)| **topic == *key.topic && *partition == key.partition)
        };
        let keys: Vec<PartitionKey> = self.idle.keys().filter(|key| named(key)).cloned().collect();
        for key in keys {
            let found = list_offsets(&self.cluster, &key.topic, &[key.partition], target).await?;
            if let Some(found) = found.first() {
                tracing::warn!(topic = %key.topic, partition = key.partition, offset = found.offset, "offset reset");
                self.idle.insert(key, found.offset);
            }
        }
        Ok(())
    }

    async fn pause(&mut self) {
        let pause: Duration = self.cluster.backoff().pause(self.attempts, rand::random());
        self.attempts = self.attempts.saturating_add(1);
        tokio::time::sleep(pause).await;
    }
}

fn deleted(key: &PartitionKey) -> ClientError {
    ClientError::Broker {
        code: ErrorCode::UnknownTopicId,
        message: format!("topic {} was deleted and created again", key.topic),
        leader: None,
        partition: Some((key.topic.to_string(), key.partition)),
    }
}
