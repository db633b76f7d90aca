//! Where a leader epoch ended (KIP-101, KIP-279).

use levada_types::{LeaderEpoch, Offset, TopicIdPartition};

/// Ask where an epoch ended.
#[derive(Debug, Clone)]
pub struct EpochEndRequest {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// The leader epoch that the client believes in.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The epoch asked for.
    pub leader_epoch: LeaderEpoch,
}

/// The greatest epoch at or below the one asked for, and the offset after its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch found.
    pub epoch: LeaderEpoch,
    /// The offset at which the next epoch starts, or the log end.
    pub end_offset: Offset,
}
