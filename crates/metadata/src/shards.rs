//! Shards: the partitions of coordinators' topics, who owns each of them, and what must always hold of that.
//!
//! A shard belongs to one live coordinator, or to nobody while there is none. Whoever reads or writes it does so under the
//! leader epoch of its partition, and every change of its owner raises that epoch in the same entry of the metadata log: so
//! the former owner is fenced before the new one begins, whatever it has heard.

pub mod invariants;
mod spread;

use imbl::Vector;
use levada_types::{CoordinatorEpoch, PartitionIndex, TopicId};

pub(crate) use spread::spread;

/// The topic of one kind of coordinators, and the owners of its shards. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardTopic {
    topic: TopicId,
    replication_factor: i16,
    owners: Vector<Option<CoordinatorEpoch>>,
}

impl ShardTopic {
    /// Of this topic with so many partitions, owned by nobody.
    pub(crate) fn new(topic: TopicId, partitions: usize, replication_factor: i16) -> Self {
        Self { topic, replication_factor, owners: std::iter::repeat_n(None, partitions).collect() }
    }

    /// The topic's identity.
    #[must_use]
    pub fn topic(&self) -> TopicId {
        self.topic
    }

    /// How many replicas its partitions are to have; they have fewer while there are fewer brokers.
    #[must_use]
    pub fn replication_factor(&self) -> i16 {
        self.replication_factor
    }

    /// The same with another number of replicas, owners as they are.
    pub(crate) fn with_replication_factor(self, replication_factor: i16) -> Self {
        Self { replication_factor, ..self }
    }

    /// The owner of each shard, in order.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = Option<CoordinatorEpoch>> + '_ {
        self.owners.iter().copied()
    }

    /// The owner of one shard, if it has one.
    #[must_use]
    pub fn owner(&self, shard: PartitionIndex) -> Option<CoordinatorEpoch> {
        self.owners.get(usize::try_from(shard).ok()?).copied().flatten()
    }

    /// Gives a shard to another owner. False if there is no such shard.
    pub(crate) fn set_owner(&mut self, shard: PartitionIndex, owner: Option<CoordinatorEpoch>) -> bool {
        let known = usize::try_from(shard).ok().filter(|shard| *shard < self.owners.len());
        known.map(|shard| self.owners.set(shard, owner)).is_some()
    }
}
