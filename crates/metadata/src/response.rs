//! Responses: what a command came to, item by item, in the order of the command.

mod features;
mod partitions;

use levada_types::{BrokerEpoch, BrokerId, CoordinatorEpoch, ProducerId, TopicId, TopicName};

use crate::{ConfigTarget, ItemError};

pub use features::UpdatedFeature;
pub use partitions::{AlteredPartition, BalancedLeaders, ElectedLeader, Reassigned};

/// How many producer ids a block holds. Kafka's number: one round trip to the controller per thousand producers.
pub const PRODUCER_ID_BLOCK_LEN: i64 = 1_000;

/// The answer to a [`crate::Command`]; its kind is the command's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The epoch of the registration.
    RegisterBroker(Result<BrokerEpoch, ItemError>),
    /// The broker may lead, or why not.
    UnfenceBroker(Result<(), ItemError>),
    /// The broker leads nothing any more, or why it does.
    FenceBroker(Result<(), ItemError>),
    /// How many partitions the broker still leads or is in sync in; with 0 it may stop. Or why nothing was moved.
    StopBroker(Result<u32, ItemError>),
    /// The broker is being emptied or is not any more, or why not.
    DrainBroker(Result<(), ItemError>),
    /// Brokers are being evened out, or not any more, or why not.
    SetRebalance(Result<(), ItemError>),
    /// The broker is forgotten, or why not.
    UnregisterBroker(Result<(), ItemError>),
    /// Leaderships have moved as the directories ask, or why not.
    ReportDirectories(Result<(), ItemError>),
    /// The controller is known, or why not.
    RegisterController(Result<(), ItemError>),
    /// The controller is forgotten, or why not.
    UnregisterController(Result<(), ItemError>),
    /// The voters are told, or why not.
    SetVoters(Result<(), ItemError>),
    /// The epoch of the registration.
    RegisterCoordinator(Result<CoordinatorEpoch, ItemError>),
    /// The coordinator owns nothing any more, or why it does.
    RemoveCoordinator(Result<(), ItemError>),
    /// The topic of the shards, which was there or was created, or why there is none.
    CreateShards(Result<CreatedTopic, ItemError>),
    /// The outer result is that of the broker, the inner ones those of the partitions.
    AlterPartition(Result<Vec<Result<AlteredPartition, ItemError>>, ItemError>),
    /// One result per partition asked for.
    ElectLeaders(Vec<ElectedLeader>),
    /// How many leaderships moved.
    BalanceLeaders(BalancedLeaders),
    /// Who leads now, per partition asked for.
    ElectFromLogs(Vec<Result<BrokerId, ItemError>>),
    /// One result per partition asked for.
    AlterPartitionReassignments(Vec<Reassigned>),
    /// One result per feature asked for; one that was refused refuses all.
    UpdateFeatures(Vec<UpdatedFeature>),
    /// One result per topic asked for.
    CreateTopics(Vec<TopicCreation>),
    /// One result per topic asked for.
    DeleteTopics(Vec<DeletedTopic>),
    /// One result per topic asked for.
    CreatePartitions(Vec<CreatedPartitions>),
    /// One result per resource asked for.
    AlterConfigs(Vec<AlteredConfig>),
    /// The block that is the caller's alone.
    AllocateProducerIds(Result<ProducerIdBlock, ItemError>),
    /// The outer result is that of the broker, the inner ones those of the replicas.
    AssignReplicasToDirs(Result<Vec<Result<(), ItemError>>, ItemError>),
}

/// What became of one topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCreation {
    /// The name asked for.
    pub name: String,
    /// The topic, or why there is none.
    pub result: Result<CreatedTopic, ItemError>,
}

/// A topic that was created (or, with `validate_only`, could be; its id is then [`TopicId::ZERO`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each has (of the first partition, where they differ).
    pub replication_factor: i16,
}

/// What became of one topic to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// The name asked for, or that of the identity asked for; `None` if there is none.
    pub name: Option<String>,
    /// The identity asked for, or that of the name asked for; [`TopicId::ZERO`] if there is none.
    pub id: TopicId,
    /// Done, or why not.
    pub result: Result<(), ItemError>,
}

/// What became of one topic that was to have more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedPartitions {
    /// The name asked for.
    pub name: String,
    /// Done, or why not.
    pub result: Result<(), ItemError>,
}

/// What became of one resource's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlteredConfig {
    /// Whose settings.
    pub target: ConfigTarget,
    /// Done, or why nothing of it was.
    pub result: Result<(), ItemError>,
}

/// A range of producer ids that nobody else was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: ProducerId,
    /// How many there are: [`PRODUCER_ID_BLOCK_LEN`].
    pub len: i64,
}

impl TopicCreation {
    pub(crate) fn refused(name: &str, error: ItemError) -> Self {
        Self { name: name.to_owned(), result: Err(error) }
    }
}

impl DeletedTopic {
    pub(crate) fn done(name: &TopicName, id: TopicId) -> Self {
        Self { name: Some(name.to_string()), id, result: Ok(()) }
    }
}
