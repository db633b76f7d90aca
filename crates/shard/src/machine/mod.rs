//! A shard as a pure state machine: events in, effects out; no I/O, no clock.
//!
//! What always holds:
//! 1. A shard serves only what it has loaded up to the log end that its append session told, so that it knows everything that
//!    can be in the log but what it appends itself.
//! 2. An answer goes out when everything that was decided before it is committed.
//! 3. When an append was refused, the state is again the one from before it, and everything that was decided since is failed.
//! 4. Who may take a shard over follows what is committed of it, and serves nothing. When it takes over, it loads as in 1, from
//!    where it stands.
//! 5. When nobody knows what became of an append, and when the session, the epoch or an offset is refused, the shard loads
//!    again before it serves.

mod effect;
mod event;
mod kept;
mod limits;
mod replay;
mod serving;
mod shard_machine;
#[cfg(test)]
mod tests;
mod under_way;
mod unserved;

pub use effect::{Effect, News};
pub use event::{Event, Opened, Outcome, RefusalReason, Term};
pub use limits::Limits;
pub use shard_machine::{ShardMachine, Standing};
pub use unserved::Unserved;
