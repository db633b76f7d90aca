//! What the state tells of coordinators and of the shards that they own.

use std::sync::Arc;

use levada_types::{CoordinatorEpoch, PartitionIndex, TopicId};

use super::{ApplyError, State};
use crate::shards::spread;
use crate::{Coordinator, CoordinatorKind, ShardTopic, Topic};

impl State {
    /// The live coordinators of `kind`, in the order in which they registered.
    pub fn coordinators(&self, kind: CoordinatorKind) -> impl Iterator<Item = &Arc<Coordinator>> {
        self.coordinators.values().filter(move |coordinator| coordinator.kind == kind)
    }

    /// The live coordinators of every kind, in the order in which they registered.
    pub fn all_coordinators(&self) -> impl Iterator<Item = &Arc<Coordinator>> {
        self.coordinators.values()
    }

    /// The coordinator that registered under this epoch, while it is live.
    #[must_use]
    pub fn coordinator(&self, epoch: CoordinatorEpoch) -> Option<&Arc<Coordinator>> {
        self.coordinators.get(&epoch)
    }

    /// The greatest coordinator epoch given so far.
    #[must_use]
    pub fn last_coordinator_epoch(&self) -> i64 {
        self.last_coordinator_epoch
    }

    /// The topic whose partitions are the shards of `kind`, once it has been created.
    #[must_use]
    pub fn shard_topic(&self, kind: CoordinatorKind) -> Option<&Topic> {
        self.shards.get(&kind).and_then(|shards| self.topics.get(&shards.topic()))
    }

    /// The shards of `kind` with their owners, once their topic has been created.
    #[must_use]
    pub fn shards(&self, kind: CoordinatorKind) -> Option<&ShardTopic> {
        self.shards.get(&kind)
    }

    /// The shards of every kind whose topic has been created.
    pub fn shard_topics(&self) -> impl Iterator<Item = (CoordinatorKind, &ShardTopic)> {
        self.shards.iter().map(|(kind, shards)| (*kind, shards))
    }

    /// The kind whose shards are the partitions of this topic, if it is such a topic.
    #[must_use]
    pub fn shard_kind(&self, topic: TopicId) -> Option<CoordinatorKind> {
        self.shard_topics().find(|(_, shards)| shards.topic() == topic).map(|(kind, _)| kind)
    }

    /// Whether a partition of a coordinator's topic has fewer replicas than it is to have and than there are brokers to hold
    /// them: [`crate::rebalance::Plan`] brings them up.
    #[must_use]
    pub fn has_growing_shards(&self) -> bool {
        let takers = self.live_brokers().filter(|broker| !broker.draining && !broker.directories.is_empty()).count();
        self.shard_topics().any(|(_, shards)| {
            let wanted = usize::try_from(shards.replication_factor()).unwrap_or(1).min(takers);
            let topic = self.topics.get(&shards.topic());
            let mut partitions = topic.into_iter().flat_map(Topic::partitions);
            partitions.any(|(_, partition)| !partition.is_reassigning() && partition.replicas.len() < wanted)
        })
    }

    /// The coordinator that owns a shard, if anybody does: whom to ask about what is in it.
    #[must_use]
    pub fn shard_owner(&self, kind: CoordinatorKind, shard: PartitionIndex) -> Option<&Arc<Coordinator>> {
        self.coordinators.get(&self.shards.get(&kind)?.owner(shard)?)
    }

    /// The shards that the coordinator of this epoch owns: partitions of the shard topic of its kind, in order. Looks at all
    /// shards of the kind.
    pub fn shards_of(&self, epoch: CoordinatorEpoch) -> impl Iterator<Item = PartitionIndex> + '_ {
        let shards = self.coordinator(epoch).and_then(|coordinator| self.shards.get(&coordinator.kind));
        let owners = shards.into_iter().flat_map(ShardTopic::owners);
        (0..).zip(owners).filter(move |(_, owner)| *owner == Some(epoch)).map(|(shard, _)| shard)
    }

    /// The shards that would pass to the coordinator of this epoch if their owner, and nobody else, went: what it does well to
    /// know beforehand. Spreads all shards of the kind once for each of its coordinators.
    #[must_use]
    pub fn standby_shards(&self, epoch: CoordinatorEpoch) -> Vec<PartitionIndex> {
        let kind = self.coordinator(epoch).map(|coordinator| coordinator.kind);
        let Some((kind, shards)) = kind.and_then(|kind| Some((kind, self.shards.get(&kind)?))) else {
            return Vec::new();
        };
        let live: Vec<CoordinatorEpoch> = self.coordinators(kind).map(|coordinator| coordinator.epoch).collect();
        let mut found = Vec::new();
        for gone in live.iter().filter(|gone| **gone != epoch) {
            let rest = live.iter().copied().filter(|other| other != gone);
            let passing = spread(shards.owners(), rest).into_iter().filter(|(_, heir)| *heir == Some(epoch));
            found.extend(passing.filter_map(|(shard, _)| PartitionIndex::try_from(shard).ok()));
        }
        found.sort_unstable();
        found
    }

    pub(super) fn register_coordinator(&mut self, coordinator: &Arc<Coordinator>) {
        self.last_coordinator_epoch = self.last_coordinator_epoch.max(coordinator.epoch.0);
        self.coordinators.insert(coordinator.epoch, Arc::clone(coordinator));
    }

    pub(super) fn set_shard_topic(
        &mut self,
        kind: CoordinatorKind,
        id: TopicId,
        replication_factor: i16,
    ) -> Result<(), ApplyError> {
        let topic = self.topics.get(&id).ok_or(ApplyError::UnknownTopic(id))?;
        let known = self.shards.get(&kind).filter(|known| known.topic() == id).cloned();
        let shards = match known {
            Some(known) => known.with_replication_factor(replication_factor),
            None => ShardTopic::new(id, topic.partitions().len(), replication_factor),
        };
        self.shards.insert(kind, shards);
        Ok(())
    }

    pub(super) fn set_shard_owner(
        &mut self,
        kind: CoordinatorKind,
        shard: PartitionIndex,
        owner: Option<CoordinatorEpoch>,
    ) -> Result<(), ApplyError> {
        if let Some(stranger) = owner.filter(|owner| !self.coordinators.contains_key(owner)) {
            return Err(ApplyError::UnknownCoordinator(stranger));
        }
        let known = self.shards.get_mut(&kind).is_some_and(|shards| shards.set_owner(shard, owner));
        if known { Ok(()) } else { Err(ApplyError::UnknownShard(kind, shard)) }
    }

    /// The topic is gone, and whatever shards it had.
    pub(super) fn forget_shards_of(&mut self, topic: TopicId) {
        if let Some(kind) = self.shard_kind(topic) {
            self.shards.remove(&kind);
        }
    }
}
