//! Committed offsets.

use levada_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

/// Commit offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The group.
    pub group_id: String,
    /// The generation of the classic protocol or the member's epoch of the next-generation one; -1 from a client that is
    /// no member.
    pub generation_id_or_member_epoch: i32,
    /// The member; empty from a client that is none.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
    /// How long to keep these offsets, in milliseconds, where an old client asks for it.
    pub retention_time_ms: Option<i64>,
    /// The offsets.
    pub topics: Vec<CommitTopic>,
    /// See [`crate::api::ConsumerGroupHeartbeat::stream_number`].
    pub stream_number: Option<u64>,
}

/// The offsets of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic {
    /// Its name.
    pub name: String,
    /// Its id, as the face knows it; `None` where no such topic is known: it is refused with UNKNOWN_TOPIC_OR_PARTITION.
    pub topic_id: Option<TopicId>,
    /// The offsets.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset of the next record to be consumed.
    pub offset: Offset,
    /// The leader epoch of the last record that was consumed.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the client wants to keep with it.
    pub metadata: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommitAnswer {
    /// Topic by topic, in the order asked.
    pub topics: Vec<CommittedTopic>,
}

/// What came of a topic's offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedTopic {
    /// Its name.
    pub name: String,
    /// Its id, as asked.
    pub topic_id: Option<TopicId>,
    /// Partition by partition.
    pub partitions: Vec<CommittedPartition>,
}

/// What came of a partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// What went wrong.
    pub error: ErrorCode,
}

/// Read committed offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group.
    pub group_id: String,
    /// The member that asks, of the next-generation protocol.
    pub member_id: Option<String>,
    /// Its epoch; -1 from a client that is no member.
    pub member_epoch: i32,
    /// Of which partitions; `None` for all that the group has.
    pub topics: Option<Vec<FetchTopic>>,
    /// Whether offsets that a transaction has under way are refused with UNSTABLE_OFFSET_COMMIT (KIP-447); and whether the
    /// answer is confirmed at the partition's leader.
    pub require_stable: bool,
}

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic {
    /// Its name.
    pub name: String,
    /// Its id, as the face knows it.
    pub topic_id: Option<TopicId>,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOffsetsAnswer {
    /// What went wrong as a whole.
    pub error: ErrorCode,
    /// Topic by topic.
    pub topics: Vec<FetchedTopic>,
}

/// The offsets of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name.
    pub name: String,
    /// Its id, where it is known.
    pub topic_id: Option<TopicId>,
    /// Partition by partition.
    pub partitions: Vec<FetchedPartition>,
}

/// The offset of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset; `None` if nothing is committed (-1 at the faces).
    pub offset: Option<Offset>,
    /// The leader epoch that was committed with it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What the client wanted to keep with it; empty if nothing.
    pub metadata: String,
    /// When it was committed.
    pub committed_at: Option<TimestampMs>,
    /// What went wrong.
    pub error: ErrorCode,
}

/// Forget committed offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group_id: String,
    /// Of which partitions.
    pub topics: Vec<DeleteTopic>,
}

/// Partitions of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTopic {
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteOffsetsAnswer {
    /// What went wrong as a whole.
    pub error: ErrorCode,
    /// Topic by topic.
    pub topics: Vec<CommittedTopic>,
}
