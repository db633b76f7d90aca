//! One partition replica as a pure state machine: leader, follower, high watermark, in-sync set, truncation.
//!
//! A [`Replica`] takes [`Event`]s and returns [`Effect`]s. It knows no clock, no disk and no network: time is an argument,
//! the log is told of by its ends and asked for its leader epochs ([`EpochHistory`]), and messages are plain values. So the
//! broker and the simulator run the very same code.
//!
//! - A leader keeps what each follower has, says what is committed, and proposes the in-sync set to the controller; it
//!   never changes it.
//! - A follower attaches with its log end, truncates what its leader says is not the leader's, appends what comes, and
//!   acknowledges what is appended.
//! - Every attachment is a [`Session`]. A message bears its leader epoch and session; what is not the receiver's is
//!   dropped, so nothing late or doubled does harm.
//! - [`SendWindow`] is the sender's place in one stream: where it goes on, and how much it may send.
//! - [`invariants`] says what must always hold, as predicates over a world of replicas.
//!
//! Floor 1: pure. Uses the metadata's types for what the controller decides.

#[cfg(test)]
mod chaos;
mod effect;
mod epoch_history;
mod event;
mod follower;
pub mod invariants;
mod leader;
mod log_ends;
mod message;
mod own;
mod partition_view;
mod replica;
mod rules;
mod send_window;
mod session;
#[cfg(test)]
mod toy;

pub use levada_metadata::IsrMember;

pub use effect::{Effect, Lane, Proposal, ProposalId};
pub use epoch_history::{EpochEnd, EpochHistory};
pub use event::{Event, ProposalAnswer};
pub use log_ends::LogEnds;
pub use message::{Ack, Attach, AttachAnswer, AttachOutcome, AttachRefusal, Frame};
pub use partition_view::{PartitionView, ReplicaView};
pub use replica::{Refusal, Replica, ReplicaConfig};
pub use rules::{Defect, Rules};
pub use send_window::{Due, SendWindow};
pub use session::Session;
