//! Consumer groups as a pure state machine.
//!
//! [`api`] is what is asked of a group and what it answers, in the words of Kafka's messages but of no version of them.
//!
//! Floor 1: pure. Time, metadata and fresh ids come in by [`levada_shard::Context`].

pub mod api;
