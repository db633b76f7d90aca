//! Commands: what may be asked of the active controller.
//!
//! A command comes from another process and is not trusted: names are plain text until `decide` has checked them.

mod coordinators;
mod features;
mod partitions;

use levada_types::{BrokerEpoch, BrokerId, ClusterId, CoordinatorEpoch, DirectoryId, PartitionIndex, TopicId};
use uuid::Uuid;

use crate::{ControllerId, ControllerRegistration, Endpoint, LevelRange, Rebalance, Voter};

pub use coordinators::{NewCoordinator, NewShards};
pub use features::{FeatureChange, FeatureUpdate};
pub use partitions::{Election, IsrProposal, LogElection, NamedPartition, Reassignment, ReplicaEnd, Waiver};

/// A request to change the cluster's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A broker began a session: it is registered, fenced until it has caught up.
    RegisterBroker(NewBroker),
    /// A broker has caught up with the metadata and may lead.
    UnfenceBroker {
        /// Which broker.
        id: BrokerId,
        /// Under which registration; any other is STALE_BROKER_EPOCH.
        epoch: BrokerEpoch,
    },
    /// A broker's session ended: its leaderships move.
    FenceBroker {
        /// Which broker.
        id: BrokerId,
        /// Under which registration; any other is STALE_BROKER_EPOCH.
        epoch: BrokerEpoch,
    },
    /// A broker gives notice of a clean shutdown: it leaves the in-sync sets and its leaderships move to others before it
    /// stops, a bounded number of them at a time. It is repeated until none is left, and the broker serves until then.
    StopBroker {
        /// Which broker.
        id: BrokerId,
        /// Under which registration; any other is STALE_BROKER_EPOCH.
        epoch: BrokerEpoch,
    },
    /// A broker is to be emptied, or is not after all (`levada cluster decommission`): it gets no new replicas and no
    /// leadership that another can take. Its replicas are moved by [`Command::AlterPartitionReassignments`].
    DrainBroker {
        /// Which broker.
        id: BrokerId,
        /// Begin, or cancel. Cancelling also cancels the reassignments that move replicas off it.
        drain: bool,
    },
    /// Begin to even out the brokers (`levada cluster rebalance`), change the limits of doing so, or cease: then nothing
    /// more is moved, and what is being moved goes on. A throttle sets Kafka's settings for it (KIP-73): the rates for all
    /// brokers, and the replicas that move, topic by topic; when it ends they are taken away everywhere.
    SetRebalance {
        /// Within which limits; `None` ceases.
        rebalance: Option<Rebalance>,
    },
    /// Forget a broker that is not live (KIP-500): its registration goes, its replicas stay assigned until they are moved.
    UnregisterBroker {
        /// Which broker.
        id: BrokerId,
    },
    /// A broker says which of its data directories are online now, after one has failed or has come back.
    ReportDirectories {
        /// Which broker.
        id: BrokerId,
        /// Under which registration; any other is STALE_BROKER_EPOCH.
        epoch: BrokerEpoch,
        /// Every directory that is online.
        online: Vec<DirectoryId>,
        /// Whether a configured directory is offline. What lay in a directory that is neither online nor, perhaps, behind
        /// one that cannot be read, is lost.
        has_offline_directory: bool,
    },
    /// A controller says where it is reached.
    RegisterController(ControllerRegistration),
    /// Forget a controller that is no voter any more.
    UnregisterController {
        /// Which controller.
        id: ControllerId,
    },
    /// Who votes has changed in Raft; the metadata shows it to everybody.
    SetVoters {
        /// All voters.
        voters: Vec<Voter>,
    },
    /// A coordinator began a session: it is live, and gets its share of the shards. One that is live already keeps its epoch.
    RegisterCoordinator(NewCoordinator),
    /// A coordinator's session ended, or it gives notice of a clean shutdown: its shards go to others of its kind.
    RemoveCoordinator {
        /// Which coordinator. One that is gone already is no error.
        epoch: CoordinatorEpoch,
    },
    /// The topic of a kind of coordinators is needed. If it is there already, nothing changes, and that is success.
    CreateShards(NewShards),
    /// The leaders of partitions propose who is in sync, each partition on its own.
    AlterPartition {
        /// Which broker leads them.
        broker: BrokerId,
        /// Under which registration.
        epoch: BrokerEpoch,
        /// The proposals.
        partitions: Vec<IsrProposal>,
    },
    /// Elect leaders by hand, each partition on its own.
    ElectLeaders {
        /// Which election.
        election: Election,
        /// The partitions; `None` means all, and only those that were elected or should have been are answered.
        partitions: Option<Vec<NamedPartition>>,
    },
    /// Bring leaderships back to the preferred leaders where too many are elsewhere.
    BalanceLeaders {
        /// Which part of the partitions that a broker is the preferred leader of may be led by others, in percent
        /// (`leader.imbalance.per.broker.percentage`).
        allowed_percentage: u8,
    },
    /// Elect leaders by what the logs hold, where nobody who is known to be complete is left, each partition on its own.
    ElectFromLogs {
        /// The partitions with the ends of their logs.
        elections: Vec<LogElection>,
    },
    /// Move partitions to other brokers, or stop moving them, each partition on its own (KIP-455).
    AlterPartitionReassignments {
        /// The partitions.
        reassignments: Vec<Reassignment>,
        /// Whether a partition may get another number of replicas than it has (KIP-860).
        allow_factor_change: bool,
    },
    /// Change the levels of the cluster's features, all of them or none (KIP-584).
    UpdateFeatures {
        /// The features.
        updates: Vec<FeatureUpdate>,
        /// Check and answer, but change nothing.
        validate_only: bool,
    },
    /// Create topics, each on its own: one that is refused does not hinder the others.
    CreateTopics {
        /// The topics.
        topics: Vec<NewTopic>,
        /// Check and answer, but change nothing.
        validate_only: bool,
    },
    /// Delete topics, each on its own.
    DeleteTopics {
        /// The topics.
        topics: Vec<TopicRef>,
    },
    /// Add partitions to topics, each on its own.
    CreatePartitions {
        /// The topics.
        topics: Vec<MorePartitions>,
        /// Check and answer, but change nothing.
        validate_only: bool,
    },
    /// Change settings, each resource on its own and whole.
    AlterConfigs {
        /// The resources.
        resources: Vec<ConfigAlteration>,
        /// Whether the changes stand alone or are all that remains.
        mode: AlterConfigsMode,
        /// Check and answer, but change nothing.
        validate_only: bool,
    },
    /// Hand out a block of producer ids to a broker.
    AllocateProducerIds {
        /// Which broker.
        broker: BrokerId,
        /// Under which registration.
        epoch: BrokerEpoch,
    },
    /// A broker says in which of its directories replicas live (KIP-858).
    AssignReplicasToDirs {
        /// Which broker.
        broker: BrokerId,
        /// Under which registration.
        epoch: BrokerEpoch,
        /// The replicas and where they are.
        assignments: Vec<ReplicaDirectory>,
    },
}

/// A broker that registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBroker {
    /// Its number.
    pub id: BrokerId,
    /// The cluster that its directories belong to, if they belong to one; another is INCONSISTENT_CLUSTER_ID.
    pub cluster_id: Option<ClusterId>,
    /// This process, drawn at its start: the same registration sent twice gets the same epoch.
    pub incarnation: Uuid,
    /// The registration under this number that the process knows of, whose place it takes. If there is a later one by
    /// now, this is not the newest process of that number: DUPLICATE_BROKER_REGISTRATION. So a registration that was
    /// under way for long cannot take the place of a process that was started after it was sent.
    pub replaces: Option<BrokerEpoch>,
    /// Which boot of its machine, if known.
    pub boot_id: Option<String>,
    /// The broker epoch under which the broker that owned these directories stopped cleanly, from its clean-shutdown
    /// file. `None`, or another epoch than the registered one, means that it did not.
    pub clean_shutdown_epoch: Option<BrokerEpoch>,
    /// Each directory that is online and was closed cleanly, and the broker epoch under which it was. If all directories were,
    /// under one epoch, [`NewBroker::clean_shutdown_epoch`] says so too; this tells of the others when one has failed.
    pub closed_directories: Vec<(DirectoryId, BrokerEpoch)>,
    /// The data directories that are online.
    ///
    /// A directory whose disk was exchanged, or that lost its contents, comes with another identity.
    pub directories: Vec<DirectoryId>,
    /// Whether a configured directory is offline: replicas in directories that are not online may then be behind it, and
    /// wait for it. Otherwise they are lost.
    pub has_offline_directory: bool,
    /// Whether its logs were found to hold less than they did: whatever its boot and its last stop say, it may lack records
    /// that it was complete in.
    pub has_lost_bytes: bool,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// Where other roles reach its internal services.
    pub internal_address: String,
    /// The failure domain it stands in, if told.
    pub rack: Option<String>,
    /// The metadata levels it can run at.
    pub levels: LevelRange,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name, unchecked.
    pub name: String,
    /// How many partitions; `None` asks for the default (`num.partitions`). Ignored with `assignments`.
    pub partitions: Option<i32>,
    /// How many replicas of each; `None` asks for the default (`default.replication.factor`). Ignored with `assignments`.
    pub replication_factor: Option<i16>,
    /// Who holds which partition, if the caller says so; partitions must be numbered from 0 without a gap.
    pub assignments: Vec<ManualAssignment>,
    /// Settings that differ from the defaults: name and value.
    pub configs: Vec<(String, String)>,
}

/// The brokers of one partition, preferred leader first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManualAssignment {
    /// The partition's number.
    pub partition: PartitionIndex,
    /// The brokers.
    pub brokers: Vec<BrokerId>,
}

/// A topic by its name or by its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    /// By name, unchecked.
    Name(String),
    /// By identity.
    Id(TopicId),
}

/// A topic that is to have more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorePartitions {
    /// Its name, unchecked.
    pub name: String,
    /// How many partitions it is to have in all.
    pub count: i32,
    /// The brokers of each *new* partition in order, if the caller says so; empty lets the controller place them.
    pub assignments: Vec<Vec<BrokerId>>,
}

/// Whether an alteration names changes or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterConfigsMode {
    /// Only the settings that are named change (KIP-339).
    Incremental,
    /// Settings that are not named return to their defaults; every change must be a [`ConfigChange::Set`].
    Full,
}

/// The settings of one resource that are to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigAlteration {
    /// Whose settings.
    pub target: ConfigTarget,
    /// Setting names with their changes; a name twice is INVALID_REQUEST.
    pub changes: Vec<(String, ConfigChange)>,
}

/// Whose settings are to change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigTarget {
    /// A topic, by its name, unchecked.
    Topic(String),
    /// One broker.
    Broker(BrokerId),
    /// The default of all brokers.
    DefaultBroker,
}

/// What happens to one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// It gets this value.
    Set(String),
    /// It returns to its default.
    Delete,
    /// These elements (comma-separated) are added to the list it holds.
    Append(String),
    /// These elements (comma-separated) are taken from the list it holds.
    Subtract(String),
}

/// A replica and the directory it lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaDirectory {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number.
    pub partition: PartitionIndex,
    /// The directory, one of those that the broker registered.
    pub directory: DirectoryId,
}

impl Command {
    /// How many fresh ids [`crate::decide`] needs for it.
    #[must_use]
    pub fn fresh_ids(&self) -> usize {
        match self {
            Self::CreateTopics { topics, .. } => topics.len().min(crate::limits::MAX_TOPICS_PER_REQUEST),
            Self::CreateShards(_) => 1,
            _ => 0,
        }
    }
}
