//! Replication between brokers: what carries the messages of `levada_replication` to and fro.
//!
//! The state machine of each replica lives in the partition's actor (`threads`), on its log thread. Everything here is
//! around it: messages come in as jobs, and what the machine wants told goes out through queues that the actor fills
//! without waiting.
//!
//! - `serve`: the leader's side. A follower opens two streams, the tail and the one for catching up; a task for each reads
//!   what is due and sends it.
//! - `follow`: the follower's side. A task for each leader keeps the two streams, posts what comes to the actors, and
//!   sends attaches and acknowledgements.
//! - `proposals`: asks the controller for other in-sync sets, many partitions at once.
//! - `ticks`: tells replicas that time has passed: often those that wait for something, seldom the others.

mod epochs;
mod follow;
mod hub;
mod proposals;
mod serve;
mod ticks;
mod wire;

pub(crate) use epochs::LogEpochs;
pub(crate) use follow::follow_leaders;
pub(crate) use hub::{RETRY_MS, Replication};
pub(crate) use proposals::propose_in_sync_sets;
pub(crate) use serve::{FollowerLink, Sending, replication_server};
pub(crate) use ticks::tick_replicas;
pub(crate) use wire::Attachment;
