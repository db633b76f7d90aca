//! Replicas that move between brokers, and what brokers tell each other of their logs.
//!
//! - `replica_logs`: the internal service that tells where this broker's logs end and how large they are; the active
//!   controller compares them where nobody complete is left.
//! - `progress`: how far reassignments have come.

mod progress;
mod replica_logs;

pub use progress::{MovingReplica, ReassignmentProgress};
pub(crate) use replica_logs::replica_logs_service;
