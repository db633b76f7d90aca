//! Where partitions should move: off brokers that are emptied, onto brokers that are new, and nowhere else.
//!
//! A plan is a pure function of the metadata, so it needs no memory: whoever carries it out asks again when its moves are
//! done, and a new active controller goes on where the old one stopped. When there is nothing left to do the plan is empty.

mod board;
mod evening;

use levada_types::{BrokerId, TopicIdPartition};

use crate::{Reassignment, State};

use board::Board;

/// The limits of evening out the brokers, which the cluster's metadata remember while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebalance {
    /// Bytes per second that each broker may send, and may receive, of replicas that move; `None` is without a limit.
    pub throttle: Option<u64>,
}

/// What a plan may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Also spread replicas over racks and even out the brokers; otherwise only empty those that are being emptied, and bring the
    /// topics of coordinators to their replication factor.
    pub balance: bool,
    /// The number of partitions that the plan moves at most, so that moving takes its share of the network and no more.
    pub max_moves: usize,
}

/// What is to be done, and what cannot be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Moves, as [`crate::Command::AlterPartitionReassignments`] takes them (with a change of factor allowed).
    pub moves: Vec<Reassignment>,
    /// Replicas on brokers that are being emptied which have nowhere to go.
    pub stuck: Vec<StuckReplica>,
}

/// A replica that should leave its broker and has nowhere to go: every other live broker holds one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StuckReplica {
    /// The partition.
    pub partition: TopicIdPartition,
    /// The broker that is being emptied.
    pub broker: BrokerId,
}

impl Plan {
    /// The plan for `state`. Partitions that are being reassigned already are left alone.
    #[must_use]
    pub fn new(state: &State, options: PlanOptions) -> Self {
        let mut board = Board::new(state, options.max_moves);
        let mut stuck = Vec::new();
        board.empty_draining(&mut stuck);
        board.grow_shards();
        if options.balance {
            board.spread_over_racks();
            board.even_replicas();
            board.even_leaders();
        }
        Self { moves: board.moves(), stuck }
    }
}

#[cfg(test)]
mod tests;
