//! The Kafka face over a real broker and a real controller in one process, used by clients that speak the protocol
//! byte by byte.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test tells by panicking what went wrong")]

mod administration;
mod client;
mod data;
mod every_version;
mod group_refusals;
mod groups;
mod hostile;
mod node;
mod refusals;
