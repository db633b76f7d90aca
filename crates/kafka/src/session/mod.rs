//! Incremental fetch sessions (KIP-227).
//!
//! A consumer names its partitions once; afterwards it sends only what changed and is told only what changed. This
//! room is pure: it knows no broker, no socket and no clock.

mod cache;
mod fetch_session;

pub(crate) use cache::{Context, FetchSessions, SessionRequest};
pub(crate) use fetch_session::{Seen, TopicKey, Wanted};
