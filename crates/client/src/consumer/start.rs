//! Where a consumer begins to read a partition.

use levada_proto::v1;
use levada_types::{Offset, TimestampMs};

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the first offset that the partition holds.
    Earliest,
    /// At its end: only what is produced from now on.
    Latest,
    /// At this offset.
    Offset(Offset),
    /// At the first record whose timestamp is at least this (milliseconds since 1970), or at the end.
    Timestamp(TimestampMs),
}

/// Where to go on when the offset that a consumer stands at does not exist any more (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// `earliest`: at the first offset that the partition holds.
    Earliest,
    /// `latest`: at its end. Kafka's default.
    #[default]
    Latest,
    /// `none`: nowhere; the consumer fails.
    Fail,
}

/// Which offset to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetTarget {
    /// The first offset that the partition holds.
    Earliest,
    /// The offset that the next visible record will get.
    Latest,
    /// The offset of the record with the greatest timestamp.
    MaxTimestamp,
    /// The first record whose timestamp is at least this, in milliseconds since 1970.
    Timestamp(TimestampMs),
}

impl OffsetTarget {
    pub(crate) fn to_message(self) -> v1::list_offsets_request::Target {
        use v1::list_offsets_request::Target;
        match self {
            Self::Earliest => Target::Position(v1::OffsetPosition::Earliest.into()),
            Self::Latest => Target::Position(v1::OffsetPosition::Latest.into()),
            Self::MaxTimestamp => Target::Position(v1::OffsetPosition::MaxTimestamp.into()),
            Self::Timestamp(timestamp_ms) => Target::TimestampMs(timestamp_ms),
        }
    }
}
