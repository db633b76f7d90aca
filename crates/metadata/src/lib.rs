//! Cluster metadata as a pure state machine: decide, apply, the proposer, the image.
//!
//! A [`Command`] asks for a change. [`decide`] turns it, against a [`State`], into a [`Response`] and [`Delta`]s, which
//! are the outcome and nothing else. Deltas travel in an [`Entry`] of the metadata log; [`Image::apply`] is the same few
//! lines at the controller and at everybody who watches, so two versions of `decide` may differ and no two images do.
//! The [`Proposer`] keeps the order: it decides on the newest proposed state and answers when that state is committed.
//!
//! Pure: time and fresh ids come in through [`Context`].

mod broker;
mod command;
pub mod config;
mod controller_node;
mod coordinator;
mod decide;
mod delta;
mod entry;
mod image;
mod item_error;
mod level;
pub mod limits;
mod partition;
mod placement;
mod proposer;
pub mod rebalance;
mod response;
mod rules;
pub mod shards;
mod state;
mod topic;

pub use broker::{BrokerRegistration, Endpoint, EndpointProtocol};
pub use command::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, Election, FeatureChange, FeatureUpdate,
    IsrProposal, LogElection, ManualAssignment, MorePartitions, NamedPartition, NewBroker, NewCoordinator, NewShards,
    NewTopic, Reassignment, ReplicaDirectory, ReplicaEnd, TopicRef, Waiver,
};
pub use controller_node::{ControllerId, ControllerRegistration, Voter};
pub use coordinator::{Coordinator, CoordinatorKind};
pub use decide::{Context, decide};
pub use delta::{ConfigResource, Delta};
pub use entry::{Entry, RunPosition};
pub use image::{Applied, Image};
pub use item_error::ItemError;
pub use level::{GROUP_FEATURE, GROUP_LEVEL, LevelRange, METADATA_FEATURE, MetadataLevel};
pub use partition::{IsrMember, LeaderRecovery, Partition, Replica};
pub use proposer::{Effect, Event, Genesis, Outcome, Proposer, SubmitError, Ticket, WriteId};
pub use rebalance::Rebalance;
pub use response::{
    AlteredConfig, AlteredPartition, BalancedLeaders, CreatedPartitions, CreatedTopic, DeletedTopic, ElectedLeader,
    PRODUCER_ID_BLOCK_LEN, ProducerIdBlock, Reassigned, Response, TopicCreation, UpdatedFeature,
};
pub use rules::{Defect, Rules};
pub use shards::ShardTopic;
pub use state::{ApplyError, ConfigOverrides, State, Waiting, WaitingFor};
pub use topic::Topic;
