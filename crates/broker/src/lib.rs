//! The broker role: partition logs and what its faces ask of them.
//!
//! Knows no wire format. Faces (the Kafka protocol, gRPC) bind their listeners, are handed to the broker as values, and
//! call [`Broker`] in the words of [`api`].
//!
//! - `partition`: one hosted replica as everybody sees it; roles, the high watermark, who sleeps on it.
//! - `threads`: the log threads and the actors on them, the only ones who write to logs.
//! - `replication`: the streams between brokers, and what goes out of the replicas' state machines.
//! - `services`: what faces ask, one room each.
//! - `shard_log`: what the owners of coordinators' shards ask: append sessions, and reading up to an offset.
//! - `readers`: what other roles ask for the sake of those who read here: lag, and records to be passed on.
//! - `cleaner`: compacts the logs of compacted topics.
//! - `directories`: data directories that fail, and what the controller knows of them.
//! - `reassignment`: what brokers tell of their logs.
//! - `reconcile`: makes the hosted replicas what the metadata image says.
//! - `life`: start, upkeep, stop.
//!
//! Invariants:
//! 1. A replica's log is written by its actor alone, on one thread, in the order in which jobs were posted.
//! 2. The image that faces see never assigns this broker a replica that it has not opened (or reported as failed).
//! 3. The high watermark never moves backwards while this broker leads, and no consumer reads past it.
//! 4. Nothing waits on a timer but the time limit of a request and the intervals of maintenance.

pub mod api;
mod broker;
mod cleaner;
mod clock;
mod directories;
mod face;
mod life;
mod log_config;
mod mandate;
mod options;
mod partition;
mod phase;
mod readers;
mod reassignment;
mod reconcile;
mod replication;
mod services;
mod shard_log;
mod telemetry;
#[cfg(test)]
mod tests;
mod threads;
mod throttle;

pub use broker::Broker;
pub use face::{Face, FaceError};
pub use life::{BrokerDeps, RunError, RunningBroker, StartError, start};
pub use options::{BrokerOptions, DEFAULT_QUEUED_BYTES};
pub use phase::{Phase, PhaseReporter};
