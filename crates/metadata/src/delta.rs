//! Deltas: what changed. The outcome of a decision, never the reasons.

use std::sync::Arc;

use levada_types::{
    BrokerEpoch, BrokerId, ClusterId, CoordinatorEpoch, DirectoryId, PartitionIndex, ProducerId, TopicId, TopicName,
};

use crate::{
    BrokerRegistration, ControllerId, ControllerRegistration, Coordinator, CoordinatorKind, LeaderRecovery,
    MetadataLevel, Partition, Rebalance, Voter,
};

/// What settings belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic, by its identity.
    Topic(TopicId),
    /// One broker.
    Broker(BrokerId),
    /// Every broker that has no setting of its own (Kafka's broker resource with the empty name).
    DefaultBroker,
}

/// One change of the cluster's metadata. Whoever applies the same deltas in the same order holds the same state.
///
/// A new kind needs a new [`MetadataLevel`]; a kind that a node does not know stops that node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// The cluster got its identity. Together with the level, the first of all deltas.
    ClusterCreated {
        /// The identity.
        cluster_id: ClusterId,
    },
    /// The cluster agreed on a metadata level.
    LevelFinalized {
        /// The level, never lower than before.
        level: MetadataLevel,
    },
    /// A broker registered, for the first time or again. Replaces what was known about it.
    BrokerRegistered {
        /// All of it.
        broker: Arc<BrokerRegistration>,
    },
    /// A registered broker was fenced, unfenced or gave notice.
    BrokerChanged {
        /// Which broker.
        id: BrokerId,
        /// Under which registration.
        epoch: BrokerEpoch,
        /// Its new state, see [`BrokerRegistration::fenced`].
        fenced: bool,
        /// Its new state, see [`BrokerRegistration::stopping`].
        stopping: bool,
    },
    /// Data directories of a registered broker went offline or came back.
    BrokerDirectoriesChanged {
        /// Which broker.
        id: BrokerId,
        /// Under which registration.
        epoch: BrokerEpoch,
        /// Every directory that is online now.
        online: Vec<DirectoryId>,
    },
    /// A registered broker began or ceased to be emptied.
    BrokerDraining {
        /// Which broker.
        id: BrokerId,
        /// Its new state, see [`BrokerRegistration::draining`].
        draining: bool,
    },
    /// The evening out of brokers began, got other limits or ended.
    RebalanceSet {
        /// Its limits; `None` once it has ended.
        rebalance: Option<Rebalance>,
    },
    /// Broker epochs up to this one were given, to whomever. Only in snapshots: registrations tell it otherwise.
    BrokerEpochsGiven {
        /// The greatest.
        last: BrokerEpoch,
    },
    /// A broker was forgotten.
    BrokerUnregistered {
        /// Which broker.
        id: BrokerId,
        /// Under which registration.
        epoch: BrokerEpoch,
    },
    /// A controller was forgotten.
    ControllerUnregistered {
        /// Which controller.
        id: ControllerId,
    },
    /// Other controllers vote.
    VotersChanged {
        /// All voters.
        voters: Vec<Voter>,
    },
    /// A controller announced itself. Replaces what was known about it.
    ControllerRegistered {
        /// All of it.
        controller: Arc<ControllerRegistration>,
    },
    /// A coordinator registered: it is live.
    CoordinatorRegistered {
        /// All of it.
        coordinator: Arc<Coordinator>,
    },
    /// A coordinator is gone; what it owned went to others in the same entry.
    CoordinatorRemoved {
        /// Which coordinator.
        epoch: CoordinatorEpoch,
    },
    /// Coordinator epochs up to this one were given, to whomever. Only in snapshots: registrations tell it otherwise.
    CoordinatorEpochsGiven {
        /// The greatest.
        last: CoordinatorEpoch,
    },
    /// The partitions of a topic, all of which are there, are the shards of a kind of coordinators; or they are already, and
    /// are to have another number of replicas.
    ShardTopicSet {
        /// Whose shards.
        kind: CoordinatorKind,
        /// The topic.
        topic: TopicId,
        /// How many replicas the partitions are to have once there are so many brokers.
        replication_factor: i16,
    },
    /// A shard has another owner. The leader epoch of its partition has grown in the same entry.
    ShardOwned {
        /// Whose shard.
        kind: CoordinatorKind,
        /// The partition of the shard topic.
        shard: PartitionIndex,
        /// Who owns it now; `None` while there is nobody.
        owner: Option<CoordinatorEpoch>,
    },
    /// A topic exists; its partitions follow in the same entry.
    TopicCreated {
        /// Its identity.
        id: TopicId,
        /// Its name.
        name: TopicName,
    },
    /// A topic is gone, with its partitions and settings.
    TopicDeleted {
        /// Its identity.
        id: TopicId,
    },
    /// A partition is new, or its state is now this.
    PartitionSet {
        /// The topic.
        topic: TopicId,
        /// The partition's number: one that exists, or the next one.
        index: PartitionIndex,
        /// All of it.
        partition: Arc<Partition>,
    },
    /// A setting was given a value, or lost it.
    ConfigSet {
        /// Whose setting.
        resource: ConfigResource,
        /// Its name.
        name: String,
        /// The value; `None` returns it to its default.
        value: Option<String>,
    },
    /// Producer ids below this one are taken.
    ProducerIdsAllocated {
        /// The first id that is still free.
        next: ProducerId,
    },
}

impl Delta {
    /// The metadata level that the cluster must have agreed on before this may be written: a node of an older one would
    /// stop at it, or would lose a part of it without noticing.
    #[must_use]
    pub fn level(&self) -> MetadataLevel {
        let is_second = match self {
            Self::BrokerDirectoriesChanged { .. }
            | Self::BrokerDraining { .. }
            | Self::RebalanceSet { .. }
            | Self::BrokerEpochsGiven { .. }
            | Self::BrokerUnregistered { .. }
            | Self::ControllerUnregistered { .. }
            | Self::CoordinatorRegistered { .. }
            | Self::CoordinatorRemoved { .. }
            | Self::CoordinatorEpochsGiven { .. }
            | Self::ShardTopicSet { .. }
            | Self::ShardOwned { .. }
            | Self::VotersChanged { .. } => true,
            Self::BrokerRegistered { broker } => broker.draining,
            Self::PartitionSet { partition, .. } => {
                partition.recovery != LeaderRecovery::Recovered
                    || !partition.adding.is_empty()
                    || !partition.removing.is_empty()
                    || partition.possible_losses > 0
            }
            _ => false,
        };
        if is_second { MetadataLevel::SECOND } else { MetadataLevel::FIRST }
    }
}
