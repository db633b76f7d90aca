//! Committed offsets that are set, moved and forgotten.

use levada_proto::v1;
use levada_types::{LeaderEpoch, Offset, TimestampMs, TopicPartition};

use crate::ClientError;
use crate::admin::{PartitionOutcome, by_name};

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// Which partition.
    pub partition: TopicPartition,
    /// The next record to be consumed.
    pub offset: Offset,
    /// The leader epoch of the last record that was consumed, where it is known.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Anything to keep with it, up to `offset.metadata.max.bytes`.
    pub metadata: String,
}

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSelection {
    /// The topic.
    pub topic: String,
    /// Which partitions; all, if it is empty.
    pub partitions: Vec<i32>,
}

/// Where to move committed offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTarget {
    /// To the first offset that the partition holds.
    Earliest,
    /// To its end.
    Latest,
    /// To what is committed now: only what lies outside of the partition is moved.
    Current,
    /// To the first record whose timestamp is at least this, in milliseconds since 1970, or to the end.
    Timestamp(TimestampMs),
    /// By so many records, backward if it is negative.
    ShiftBy(i64),
    /// To this offset, in every partition.
    Offset(Offset),
}

/// A committed offset that was moved, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedOffset {
    /// What was committed before, if anything was.
    pub from: Option<Offset>,
    /// What is committed now, or would be.
    pub to: Offset,
}

impl OffsetToCommit {
    /// `offset` as the next record of `partition` to be consumed.
    #[must_use]
    pub fn new(partition: TopicPartition, offset: Offset) -> Self {
        Self { partition, offset, leader_epoch: None, metadata: String::new() }
    }

    pub(crate) fn to_message(&self) -> v1::OffsetToCommit {
        v1::OffsetToCommit {
            topic: Some(by_name(self.partition.topic.as_str())),
            partition: self.partition.partition,
            offset: self.offset,
            leader_epoch: self.leader_epoch.map(|epoch| epoch.0),
            metadata: self.metadata.clone(),
        }
    }
}

impl TopicSelection {
    /// All partitions of `topic`.
    pub fn all(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), partitions: Vec::new() }
    }

    pub(super) fn to_message(&self) -> v1::ResetTopic {
        v1::ResetTopic { topic: Some(by_name(&self.topic)), partitions: self.partitions.clone() }
    }
}

impl ResetTarget {
    pub(super) fn to_message(self) -> v1::reset_offsets_request::Target {
        use v1::reset_offsets_request::Target;
        match self {
            Self::Earliest => Target::Position(v1::OffsetPosition::Earliest.into()),
            Self::Latest => Target::Position(v1::OffsetPosition::Latest.into()),
            Self::Current => Target::Current(true),
            Self::Timestamp(timestamp_ms) => Target::TimestampMs(timestamp_ms),
            Self::ShiftBy(records) => Target::ShiftBy(records),
            Self::Offset(offset) => Target::Offset(offset),
        }
    }
}

impl MovedOffset {
    pub(super) fn read(address: &str, result: v1::ResetOffset) -> Result<PartitionOutcome<Self>, ClientError> {
        let moved = Self { from: result.old_offset, to: result.new_offset };
        PartitionOutcome::new(address, &result.topic, result.partition, Some(moved), result.error)
    }
}

pub(super) fn read_outcomes(
    address: &str,
    results: Vec<v1::CommittedOffset>,
) -> Result<Vec<PartitionOutcome<()>>, ClientError> {
    let one = |result: v1::CommittedOffset| {
        PartitionOutcome::new(address, &result.topic, result.partition, Some(()), result.error)
    };
    results.into_iter().map(one).collect()
}
