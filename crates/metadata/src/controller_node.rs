//! A controller as the cluster knows it.

use std::fmt;

use levada_types::DirectoryId;

use crate::LevelRange;

/// A controller node's number, which is also its id in Raft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ControllerId(pub u64);

impl fmt::Display for ControllerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A controller that has announced itself. Who votes is Raft's own membership; this says where each one is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerRegistration {
    /// Its number.
    pub id: ControllerId,
    /// The identity of its data directory: a voter is (id, directory), so that one that lost its disk is another voter
    /// (KIP-853).
    pub directory: DirectoryId,
    /// Where other roles reach its internal services.
    pub internal_address: String,
    /// The metadata levels it can run at.
    pub levels: LevelRange,
}

/// A controller that votes, as Raft has it (KIP-853).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Voter {
    /// Its number.
    pub id: ControllerId,
    /// The directory under which it votes: the same node with another directory is another voter.
    pub directory: DirectoryId,
}
