//! A coordinator's state machine, as the runtime that hosts it sees it, and what becomes of it on its partition.
//!
//! A *shard* is one partition of an internal topic (`__consumer_offsets`, `__transaction_state`) and the state that its
//! records add up to. The state machine is a [`Core`]: it takes requests and returns records to write and answers. The
//! [`machine`] of a shard says how it is loaded by replaying the partition, what is written when, and that an answer goes out
//! once everything that it was decided on is committed. At the partition's leader an [`AppendGate`] says whose appends are
//! taken.
//!
//! Floor 1: pure. Time, metadata and fresh ids come in by [`Context`].

mod append_gate;
mod context;
mod core;
mod key;
pub mod machine;
mod output;
mod replayed;
mod rules;

pub use append_gate::{AppendGate, AppendRefusal, AppendSession, AppendTicket};
pub use context::Context;
pub use core::Core;
pub use key::shard_of;
pub use output::{KeyValue, Output, Token, TransactionalProducer, Write};
pub use replayed::Replayed;
pub use rules::{Defect, Rules};
