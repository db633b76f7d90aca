//! Moving replicas between this broker's data directories (KIP-113).
//!
//! - `wanted`: which replicas are to lie elsewhere, as asked.
//! - `mover`: the task that goes about it, a few replicas at a time.
//! - `copying`: the copy of one replica, and how it takes the replica's place.

mod copying;
mod mover;
mod wanted;

#[cfg(test)]
pub(crate) use mover::Mover;
pub(crate) use mover::move_replicas;
pub(crate) use wanted::{Moves, Wanted};
