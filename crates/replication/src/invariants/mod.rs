//! What must always hold of a replicated partition, as predicates over a world of replicas.
//!
//! 1. An offset below the high watermark never changes and never disappears while an ISR or ELR member survives.
//! 2. Two replicas that agree on (offset, leader epoch) agree on everything before it.
//! 3. There is at most one leader per leader epoch.
//! 4. `acks=all` succeeds, and the high watermark moves, only when every member of the committed and the proposed in-sync
//!    set has the records and the committed one has the minimum of members.
//! 5. The high watermark never moves backwards at a leader, and "latest" is told only once it is known.
//! 6. Only the controller changes the in-sync set, and who enters has everything up to the high watermark and up to the
//!    start of the leader's epoch.
//! 7. A replica that may have lost bytes is not in sync until it has caught up.
//! 8. What is kept beside the log (here: its leader epochs) equals a replay of it.
//!
//! A simulator shows the [`World`] to a [`Checker`] after every step. The world is put together from what the simulator
//! itself knows (disks, what it delivered), not from what replicas believe.

mod checker;
mod predicates;
mod violation;
mod world;

pub use checker::Checker;
pub use violation::Violation;
pub use world::{Batch, Leading, ReplicaState, World};
