//! An entry of the metadata log, and the rule by which a run of entries holds together.

use crate::Delta;

/// Where an entry stands: in the run that began with the barrier at Raft index `barrier`, as number `number` of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunPosition {
    /// The Raft index of the barrier that began the run.
    pub barrier: u64,
    /// The entry's number in the run, from 0.
    pub number: u64,
}

/// What one Raft entry carries.
///
/// The entries of a run were decided one upon the other. Should one of them be lost, those after it were decided on a
/// state that never came to be; so [`crate::Image::apply`] skips an entry whose position is not the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Begins a run: what follows was decided on the state as of this entry.
    Barrier,
    /// One decision of a run.
    Deltas {
        /// Where it stands.
        position: RunPosition,
        /// What changed, applied whole or not at all.
        deltas: Vec<Delta>,
    },
}
