//! What everybody but the writer holds of a log.

use levada_types::{DirectoryId, LeaderEpoch, Offset, TimestampMs, TopicPartition};

use super::{AbortedTransaction, EpochEnd, ReadInfo, TimestampOffset};
use crate::{LogError, ReadError};

/// Reads a log, from any thread and without waiting for the writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader {}

impl LogReader {
    /// Reads whole batches from `offset` on: as many as fit into `max_bytes`, all below `upper_bound` (the high
    /// watermark for a consumer, the log end for a follower). An offset inside a batch returns the whole batch. With
    /// `min_one` the first batch is returned even if it is larger than `max_bytes`.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] if `offset` is below the log start or above the log end.
    pub fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        upper_bound: Offset,
        min_one: bool,
    ) -> Result<ReadInfo, ReadError> {
        let _ = (max_bytes, upper_bound, min_one);
        Err(ReadError::OffsetOutOfRange { offset, start: 0, end: 0 })
    }
    /// The first offset that exists.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        0
    }
    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        0
    }
    /// Everything below has been fsynced.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        0
    }
    /// Bytes of records in the segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        0
    }
    /// Segments, the active one included.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        0
    }
    /// The partition by name.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        unreachable!()
    }
    /// The data directory that holds it.
    #[must_use]
    pub fn directory_id(&self) -> DirectoryId {
        DirectoryId::UNASSIGNED
    }
    /// The epoch of the newest record; `None` if there is none.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        None
    }
    /// The leader epoch that `offset` was written in.
    #[must_use]
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let _ = offset;
        None
    }
    /// Where `epoch` ended: the greatest epoch at or below it that has records here, and where the next starts.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let _ = epoch;
        None
    }
    /// The first record below `upper_bound` whose timestamp is at least `timestamp`.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        upper_bound: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let _ = (timestamp, upper_bound);
        Ok(None)
    }
    /// The first record with the greatest timestamp (KIP-734).
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn max_timestamp_offset(&self) -> Result<Option<TimestampOffset>, ReadError> {
        Ok(None)
    }
    /// The aborted transactions that overlap `[from, to)`.
    ///
    /// # Errors
    /// If the transaction indexes cannot be read.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, ReadError> {
        let _ = (from, to);
        Ok(Vec::new())
    }
    /// Whether closed segments wait to be fsynced by [`Self::flush_closed_segments`].
    #[must_use]
    pub fn has_unflushed_closed_segments(&self) -> bool {
        false
    }
    /// Fsyncs the segments that were closed since the last flush and moves the recovery point to the active one. Meant
    /// for a maintenance thread, so that rolling a segment does not hold up appends.
    ///
    /// # Errors
    /// What the disk says; an I/O error takes the directory offline.
    pub fn flush_closed_segments(&self) -> Result<(), LogError> {
        Ok(())
    }
}
