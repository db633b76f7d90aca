//! Finding offsets by position or time.

use levada_types::{LeaderEpoch, Offset, TimestampMs, TopicIdPartition};

/// Which offset to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start offset (-2 on the wire).
    Earliest,
    /// The high watermark, or the last stable offset for `read_committed` (-1).
    Latest,
    /// The record with the greatest timestamp (-3, KIP-734).
    MaxTimestamp,
    /// The local log start offset (-4); equal to `Earliest` without tiering.
    EarliestLocal,
    /// The last tiered offset (-5); none without tiering.
    LatestTiered,
    /// The first record whose timestamp is at least this.
    Timestamp(TimestampMs),
}

/// Find an offset of one partition.
#[derive(Debug, Clone)]
pub struct ListOffset {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// Which offset.
    pub spec: OffsetSpec,
    /// The leader epoch that the client believes in.
    pub current_leader_epoch: Option<LeaderEpoch>,
}

/// An offset that was found; offset and timestamp are -1 if no record matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset, or -1.
    pub offset: Offset,
    /// The record's timestamp for searches by time, or -1.
    pub timestamp: TimestampMs,
    /// The leader epoch of the record, if known.
    pub leader_epoch: Option<LeaderEpoch>,
}
