//! The cluster's metadata, as persistent maps: a copy costs nothing and a change costs its own size.

mod apply;
mod deleted;
mod shards;
mod to_deltas;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};
use levada_types::{
    BrokerId, ClusterId, CoordinatorEpoch, PartitionIndex, ProducerId, TopicId, TopicIdPartition, TopicName,
};

use crate::{
    BrokerRegistration, ConfigResource, ControllerId, ControllerRegistration, Coordinator, CoordinatorKind,
    MetadataLevel, Partition, Rebalance, Replica, ShardTopic, Topic, Voter,
};

pub use apply::ApplyError;
pub use waiting::{Waiting, WaitingFor};

/// The settings that one resource bears itself: name to value.
pub type ConfigOverrides = BTreeMap<String, String>;

/// Everything that the metadata log has decided. Cheap to clone.
///
/// Equality is that of the contents. Maps are ordered, so that iteration is the same everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    cluster_id: Option<ClusterId>,
    level: Option<MetadataLevel>,
    brokers: OrdMap<BrokerId, Arc<BrokerRegistration>>,
    /// The greatest broker epoch given so far; kept apart so that no epoch is given twice.
    last_broker_epoch: i64,
    controllers: OrdMap<ControllerId, Arc<ControllerRegistration>>,
    voters: OrdSet<Voter>,
    rebalance: Option<Rebalance>,
    coordinators: OrdMap<CoordinatorEpoch, Arc<Coordinator>>,
    /// The greatest coordinator epoch given so far; kept apart so that no epoch is given twice.
    last_coordinator_epoch: i64,
    shards: OrdMap<CoordinatorKind, ShardTopic>,
    topics: OrdMap<TopicId, Topic>,
    /// Derived from `topics`.
    names: OrdMap<TopicName, TopicId>,
    /// Derived from `topics`: names with a `.` or `_`, by their collision key.
    collisions: OrdMap<String, TopicName>,
    /// Derived from `topics`: replicas held by each broker.
    replica_counts: OrdMap<BrokerId, u32>,
    /// Derived from `topics`: partitions without a leader.
    leaderless: OrdSet<TopicIdPartition>,
    /// Derived from `topics`: partitions with a reassignment in progress.
    reassigning: OrdSet<TopicIdPartition>,
    /// Derived from `topics`: partitions that each broker is the preferred leader of.
    preferred_counts: OrdMap<BrokerId, u32>,
    configs: OrdMap<ConfigResource, Arc<ConfigOverrides>>,
    next_producer_id: ProducerId,
    deleted: deleted::Deleted,
}

impl State {
    /// The metadata of a cluster that does not exist yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The cluster's identity, once it has one.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// The finalised metadata level, once there is one.
    #[must_use]
    pub fn level(&self) -> Option<MetadataLevel> {
        self.level
    }

    /// Every registered broker, fenced ones included, by number.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// The brokers that may lead and be told to clients, by number.
    pub fn live_brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values().filter(|b| b.is_live())
    }

    /// The brokers that clients are told of, by number: those that serve, the ones that are about to stop included.
    pub fn visible_brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values().filter(|b| !b.fenced)
    }

    /// The broker of this number, fenced or not.
    #[must_use]
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// The greatest broker epoch given so far.
    #[must_use]
    pub fn last_broker_epoch(&self) -> i64 {
        self.last_broker_epoch
    }

    /// Every controller that has announced itself, by number.
    pub fn controllers(&self) -> impl Iterator<Item = &Arc<ControllerRegistration>> {
        self.controllers.values()
    }

    /// The controller of this number.
    #[must_use]
    pub fn controller(&self, id: ControllerId) -> Option<&Arc<ControllerRegistration>> {
        self.controllers.get(&id)
    }

    /// The controllers that vote, by number; empty before the active one has told.
    pub fn voters(&self) -> impl Iterator<Item = Voter> {
        self.voters.iter().copied()
    }

    /// Within which limits the brokers are being evened out, while they are.
    #[must_use]
    pub fn rebalance(&self) -> Option<Rebalance> {
        self.rebalance
    }

    /// Every topic, ordered by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.names.values().filter_map(|id| self.topics.get(id))
    }

    /// How many topics there are.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The topics whose name is `from` or greater, ordered by name: for listings that go page by page.
    pub fn topics_from<'a>(&'a self, from: &'a TopicName) -> impl Iterator<Item = &'a Topic> {
        self.names.range(from.clone()..).filter_map(|(_, id)| self.topics.get(id))
    }

    /// The topic of this identity.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(&id)
    }

    /// Whether a topic of this identity was deleted lately, as far as this node remembers.
    pub(crate) fn was_deleted(&self, id: TopicId) -> bool {
        self.deleted.contains(id)
    }

    /// The topic that bears this name now.
    #[must_use]
    pub fn topic_by_name(&self, name: &str) -> Option<&Topic> {
        self.names.get(name).and_then(|id| self.topics.get(id))
    }

    /// The identity of the topic that bears this name now.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.names.get(name).copied()
    }

    /// The partition of this topic and number.
    #[must_use]
    pub fn partition(&self, topic: TopicId, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.topics.get(&topic).and_then(|t| t.partition(index))
    }

    /// Every partition of which `broker` holds a replica. Looks at all partitions of the cluster.
    pub fn replicas_of(&self, broker: BrokerId) -> impl Iterator<Item = (TopicIdPartition, &Arc<Partition>)> {
        self.topics.values().flat_map(move |topic| {
            topic
                .partitions()
                .filter(move |(_, p)| p.has_replica(broker))
                .map(|(partition, p)| (TopicIdPartition { topic_id: topic.id(), partition }, p))
        })
    }

    /// Every partition without a leader.
    pub fn leaderless(&self) -> impl ExactSizeIterator<Item = TopicIdPartition> {
        self.leaderless.iter().copied()
    }

    /// Every partition with a reassignment in progress.
    pub fn reassigning(&self) -> impl ExactSizeIterator<Item = TopicIdPartition> {
        self.reassigning.iter().copied()
    }

    /// Whether `replica` can be reached: its broker is not fenced, and its directory is online.
    #[must_use]
    pub fn is_online(&self, replica: &Replica) -> bool {
        self.broker(replica.broker).is_some_and(|b| !b.fenced && b.has_online(replica.directory))
    }

    /// The replicas of `partition` that are offline, in the order of the assignment: Kafka's `OfflineReplicas`.
    pub fn offline_replicas<'a>(&'a self, partition: &'a Partition) -> impl Iterator<Item = BrokerId> + 'a {
        partition.replicas.iter().filter(|replica| !self.is_online(replica)).map(|replica| replica.broker)
    }

    /// Whether `broker` holds a replica of `partition` that is online.
    #[must_use]
    pub fn can_serve(&self, partition: &Partition, broker: BrokerId) -> bool {
        let replica = partition.replicas.iter().find(|r| r.broker == broker);
        replica.is_some_and(|replica| self.is_online(replica))
    }

    /// Whether `broker` holds a replica of `partition` and is in a state to lead it.
    #[must_use]
    pub fn can_lead(&self, partition: &Partition, broker: BrokerId) -> bool {
        self.can_serve(partition, broker) && self.broker(broker).is_some_and(|registration| registration.is_live())
    }

    /// An existing topic whose name differs from `name` only in `.` and `_`, or not at all.
    #[must_use]
    pub fn colliding_topic(&self, name: &TopicName) -> Option<&TopicName> {
        self.collisions.get(&name.collision_key())
    }

    /// How many replicas `broker` holds.
    #[must_use]
    pub fn replica_count(&self, broker: BrokerId) -> u32 {
        self.replica_counts.get(&broker).copied().unwrap_or(0)
    }

    /// How many partitions `broker` is the preferred leader of.
    #[must_use]
    pub fn preferred_count(&self, broker: BrokerId) -> u32 {
        self.preferred_counts.get(&broker).copied().unwrap_or(0)
    }

    /// The settings that `resource` bears itself. [`crate::config`] resolves the effective ones.
    #[must_use]
    pub fn overrides(&self, resource: ConfigResource) -> Option<&Arc<ConfigOverrides>> {
        self.configs.get(&resource)
    }

    /// Every resource that bears settings of its own.
    pub fn config_resources(&self) -> impl Iterator<Item = (ConfigResource, &Arc<ConfigOverrides>)> {
        self.configs.iter().map(|(resource, overrides)| (*resource, overrides))
    }

    /// The topics that are new, gone or different in comparison with `old`. Costs the size of the difference.
    pub fn topics_changed_since<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = TopicId> + 'a {
        old.topics.diff(&self.topics).map(|change| match change {
            DiffItem::Add(id, _) | DiffItem::Remove(id, _) | DiffItem::Update { new: (id, _), .. } => *id,
        })
    }

    /// The resources whose own settings differ from those in `old`. Costs the size of the difference.
    pub fn resources_changed_since<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = ConfigResource> + 'a {
        old.configs.diff(&self.configs).map(|change| match change {
            DiffItem::Add(resource, _)
            | DiffItem::Remove(resource, _)
            | DiffItem::Update { new: (resource, _), .. } => *resource,
        })
    }

    /// The first producer id that nobody was given.
    #[must_use]
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}
