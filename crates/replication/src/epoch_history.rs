//! The leader epochs of a log, as the replica asks for them (KIP-101).

use levada_types::{LeaderEpoch, Offset};

/// Where a leader epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end_offset: Offset,
}

/// The leader epochs of this replica's own log, in the state that the log is in when an event is handled. The log keeps
/// them; the replica looks them up.
pub trait EpochHistory {
    /// The epoch of the log's last record; `None` if it has no records.
    fn latest(&self) -> Option<LeaderEpoch>;

    /// The greatest epoch at or below `epoch` that has records here, and where it ended: where the next one starts, or
    /// the log end. `None` if all epochs here are greater, or there are none.
    fn floor(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
}
