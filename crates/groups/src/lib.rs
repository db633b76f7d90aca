//! Consumer groups as a pure state machine.
//!
//! [`Groups`] is all groups of one shard: the state that the records of one partition of `__consumer_offsets` add up to.
//! [`api`] is what is asked of a group and what it answers, in the words of Kafka's messages but of no version of them;
//! [`records`] are the formats of that topic.
//!
//! Floor 1: pure. Time, metadata and fresh ids come in by [`levada_shard::Context`].

pub mod assignor;
mod classic;
mod config;
mod consumer;
mod draft;
mod group;
mod groups;
mod offsets;
mod outcome;
#[cfg(test)]
mod world;

pub mod api;
pub mod records;

pub use config::{ContradictorySettings, GroupConfig, MigrationPolicy};
pub use consumer::{NamedPartitions, read_assignment};
pub use groups::{GroupCounts, GroupOverview, Groups, MAX_GROUP_ID_BYTES};
