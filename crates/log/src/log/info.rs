//! What goes into a log's operations and what comes out of them.

use bytes::Bytes;
use levada_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::Slice;

/// One record batch to append, as it was received: a slice of the request's frame.
#[derive(Debug, Clone)]
pub struct AppendBatch {
    /// Exactly one record batch (format v2). The first 16 bytes are replaced by the leader's when it is written.
    pub records: Bytes,
}

/// Who asks for an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A producer. Its batches are checked in full, and it may not write control records.
    Client,
    /// A coordinator of the house: transaction markers and the records of internal topics.
    Coordinator,
}

/// What became of an appended batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record; of a duplicate, the one it got at first.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The broker's time if the topic stamps it (`message.timestamp.type=LogAppendTime`), else -1.
    pub log_append_time: TimestampMs,
    /// The greatest timestamp of the records.
    pub max_timestamp: TimestampMs,
    /// The log start offset at the time of the append.
    pub log_start_offset: Offset,
    /// Whether the batch was in the log already. It is answered like the original: not before that is committed.
    pub duplicate: bool,
    /// Bytes added to the log: 0 for a duplicate.
    pub bytes: usize,
}

/// What a follower has appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerAppend {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Bytes added to the log.
    pub bytes: usize,
}

/// What a read has found.
#[derive(Debug, Clone)]
pub struct ReadInfo {
    /// Whole batches, the first of which holds the offset asked for (or the next that exists).
    pub slice: Slice,
    /// Where to go on: the offset after the last batch of the slice, or further on where compaction has left nothing; the
    /// offset asked for if the slice is empty.
    pub next_offset: Offset,
    /// The log start offset when it was read.
    pub log_start_offset: Offset,
    /// The log end offset when it was read.
    pub log_end_offset: Offset,
}

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// The leader epoch it was written in, if known.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Where a leader epoch ended (KIP-101, KIP-279).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The greatest epoch at or below the one asked for that has records here.
    pub epoch: LeaderEpoch,
    /// The offset at which the next epoch starts, or the log end.
    pub end_offset: Offset,
}

/// The state that a log keeps of one idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Who.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of its last record; -1 if it has none.
    pub last_sequence: Sequence,
    /// The greatest timestamp of its last batch; -1 if it has none.
    pub last_timestamp: TimestampMs,
    /// The epoch of the coordinator that wrote its last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction, if one is open.
    pub current_txn_first_offset: Option<Offset>,
}

/// A transaction that was aborted, as the `.txnindex` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer_id: ProducerId,
    /// Its first offset.
    pub first_offset: Offset,
    /// The offset of its marker.
    pub last_offset: Offset,
    /// The last stable offset when the marker was written.
    pub last_stable_offset: Offset,
}

/// Why a segment was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionReason {
    /// Its newest record is older than `retention.ms`.
    Time,
    /// The log is larger than `retention.bytes`.
    Size,
    /// It lies below the log start offset.
    LogStart,
}

/// A segment that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedSegment {
    /// Its base offset.
    pub base_offset: Offset,
    /// The size of its records in bytes.
    pub bytes: u64,
    /// Why.
    pub reason: DeletionReason,
}
