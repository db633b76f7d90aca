//! A state as the deltas that make it: what a snapshot consists of.

use std::sync::Arc;

use levada_types::{BrokerEpoch, CoordinatorEpoch, TopicId};

use super::State;
use crate::{CoordinatorKind, Delta, ShardTopic, Topic};

impl State {
    /// The deltas that turn [`State::new`] into this state. A snapshot is these, so it needs no format of its own.
    pub fn to_deltas(&self) -> impl Iterator<Item = Delta> + '_ {
        let cluster = self.cluster_id.map(|cluster_id| Delta::ClusterCreated { cluster_id });
        let level = self.level.map(|level| Delta::LevelFinalized { level });
        let controllers = self.controllers.values().map(|c| Delta::ControllerRegistered { controller: Arc::clone(c) });
        let voters =
            (!self.voters.is_empty()).then(|| Delta::VotersChanged { voters: self.voters.iter().copied().collect() });
        let rebalance = self.rebalance.map(|limits| Delta::RebalanceSet { rebalance: Some(limits) });
        let brokers = self.brokers.values().map(|b| Delta::BrokerRegistered { broker: Arc::clone(b) });
        let known = self.brokers.values().map(|broker| broker.epoch.0).max().unwrap_or(0);
        // The one who got the last epoch may have been forgotten.
        let epochs = (self.last_broker_epoch > known)
            .then_some(Delta::BrokerEpochsGiven { last: BrokerEpoch(self.last_broker_epoch) });
        let topics = self.topics.iter().flat_map(|(id, topic)| topic_deltas(*id, topic));
        let configs = self.configs.iter().flat_map(|(resource, overrides)| {
            overrides.iter().map(|(name, value)| Delta::ConfigSet {
                resource: *resource,
                name: name.clone(),
                value: Some(value.clone()),
            })
        });
        let producer_ids =
            (self.next_producer_id > 0).then_some(Delta::ProducerIdsAllocated { next: self.next_producer_id });
        let coordinators =
            self.coordinators.values().map(|c| Delta::CoordinatorRegistered { coordinator: Arc::clone(c) });
        let known = self.coordinators.keys().map(|epoch| epoch.0).max().unwrap_or(0);
        let coordinator_epochs = (self.last_coordinator_epoch > known)
            .then_some(Delta::CoordinatorEpochsGiven { last: CoordinatorEpoch(self.last_coordinator_epoch) });
        let shards = self.shards.iter().flat_map(|(kind, shards)| shard_deltas(*kind, shards));
        cluster
            .into_iter()
            .chain(level)
            .chain(controllers)
            .chain(voters)
            .chain(rebalance)
            .chain(brokers)
            .chain(epochs)
            .chain(topics)
            .chain(coordinators)
            .chain(coordinator_epochs)
            .chain(shards)
            .chain(configs)
            .chain(producer_ids)
    }
}

fn shard_deltas(kind: CoordinatorKind, shards: &ShardTopic) -> impl Iterator<Item = Delta> + '_ {
    let (topic, replication_factor) = (shards.topic(), shards.replication_factor());
    let owned = (0..).zip(shards.owners()).filter(|(_, owner)| owner.is_some());
    let owned = owned.map(move |(shard, owner)| Delta::ShardOwned { kind, shard, owner });
    std::iter::once(Delta::ShardTopicSet { kind, topic, replication_factor }).chain(owned)
}

fn topic_deltas(id: TopicId, topic: &Topic) -> impl Iterator<Item = Delta> + '_ {
    let created = Delta::TopicCreated { id, name: topic.name().clone() };
    std::iter::once(created).chain(topic.partitions().map(move |(index, partition)| Delta::PartitionSet {
        topic: id,
        index,
        partition: Arc::clone(partition),
    }))
}
