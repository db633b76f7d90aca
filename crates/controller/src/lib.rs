//! The controller role: cluster metadata on Raft.
//!
//! Everything that is decided lives in `levada-metadata`; here it is driven. `raft` writes and restores the log of
//! decisions and knows who votes, `active` drives the proposer while this node leads, `session` keeps the brokers'
//! sessions, `announce` makes controllers known, `balance` brings leaderships home, `feed` and `watch` give everybody the
//! metadata, `service` is the gRPC face of it all with `quorum` and `forward` behind it, and `controller` puts it
//! together.

mod active;
mod announce;
mod balance;
mod controller;
mod feed;
mod forward;
mod log_elections;
mod moves;
mod options;
mod quorum;
mod raft;
mod refusal;
mod service;
mod session;
mod watch;

pub use controller::{RunningController, start};
pub use options::{ControllerOptions, StartError};
pub use raft::StorageError;
