//! What the leader of a partition of an internal topic does for the coordinator that owns the shard on it.
//!
//! An owner appends under a session, on one stream, at the offsets that it expects. The partition's actor decides on each
//! append in its turn (`threads/session_steps.rs`), so that nothing of an earlier session can land once a newer one is open,
//! and nothing behind a refused append. A new owner reads what is committed up to where the log ended when its session began;
//! who would be the next reads it all along.

mod appending;
mod outcome;
mod reading;
mod service;

pub(crate) use outcome::{AppendOutcome, OpenedSession, RefusalReason};
pub(crate) use service::{SHARD_LOG_MESSAGE, shard_log_service};
