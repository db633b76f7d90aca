//! The controller role: cluster metadata on Raft.
//!
//! Everything that is decided lives in `levada-metadata`; here it is driven. `raft` writes and restores the log of
//! decisions, `active` drives the proposer while this node leads, `session` keeps the brokers' sessions, `feed` and
//! `watch` give everybody the metadata, `service` is the gRPC face of it all, and `controller` puts it together.

mod active;
mod controller;
mod feed;
mod options;
mod raft;
mod refusal;
mod service;
mod session;
mod watch;

pub use controller::{RunningController, start};
pub use options::{ControllerOptions, StartError};
pub use raft::StorageError;
