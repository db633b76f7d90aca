//! The one writer of a log.

use bytes::Bytes;
use levada_types::{LeaderEpoch, Offset};

use super::{ActiveProducer, AppendBatch, AppendInfo, DeletedSegment, FollowerAppend, LogReader, Origin};
use crate::{AppendError, LogConfig, LogError};

/// The one writer of a log. Whoever holds it is the only one who changes the log.
#[derive(Debug)]
pub struct LogWriter {}

impl LogWriter {
    /// Appends batches as the leader of `leader_epoch`: checks each, assigns offsets, and writes all that are accepted
    /// in one vectored write. The batches stand for themselves: each has its own result, at its own index.
    pub fn append(
        &mut self,
        batches: &[AppendBatch],
        leader_epoch: LeaderEpoch,
        origin: Origin,
        now_ms: i64,
    ) -> Vec<Result<AppendInfo, AppendError>> {
        let _ = (leader_epoch, origin, now_ms);
        batches.iter().map(|_| Err(AppendError::Closed)).collect()
    }
    /// Appends batches as the leader made them: offsets, epochs and timestamps are kept.
    ///
    /// # Errors
    /// Nothing of `records` is in the log then.
    pub fn append_as_follower(&mut self, records: &Bytes, now_ms: i64) -> Result<FollowerAppend, AppendError> {
        let _ = (records, now_ms);
        Err(AppendError::Closed)
    }
    /// Removes every batch at or above `offset`. Returns whether there was any.
    ///
    /// # Errors
    /// What the disk says.
    pub fn truncate_to(&mut self, offset: Offset, now_ms: i64) -> Result<bool, LogError> {
        let _ = (offset, now_ms);
        Ok(false)
    }
    /// Removes everything and goes on at `offset`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now_ms: i64) -> Result<(), LogError> {
        let _ = (offset, now_ms);
        Ok(())
    }
    /// Moves the log start offset up (DeleteRecords) and returns it. Segments below it go with the next retention.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] above the log end.
    pub fn advance_log_start(&mut self, offset: Offset) -> Result<Offset, LogError> {
        Ok(offset)
    }
    /// Deletes closed segments that retention no longer keeps and that lie below `high_watermark`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn enforce_retention(&mut self, high_watermark: Offset, now_ms: i64) -> Result<Vec<DeletedSegment>, LogError> {
        let _ = (high_watermark, now_ms);
        Ok(Vec::new())
    }
    /// Closes the active segment if it is older than the topic's `segment.ms`. Returns whether it did.
    ///
    /// # Errors
    /// What the disk says.
    pub fn roll_if_due(&mut self, now_ms: i64) -> Result<bool, LogError> {
        let _ = now_ms;
        Ok(false)
    }
    /// Fsyncs everything and moves the recovery point to the log end, which it returns.
    ///
    /// # Errors
    /// What the disk says; an I/O error takes the directory offline.
    pub fn flush(&mut self, now_ms: i64) -> Result<Offset, LogError> {
        let _ = now_ms;
        Ok(0)
    }
    /// Flushes if `flush.ms` asks for it. (`flush.messages` is minded by the appends themselves.)
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn flush_if_due(&mut self, now_ms: i64) -> Result<bool, LogError> {
        let _ = now_ms;
        Ok(false)
    }
    /// Takes new settings; they hold from the next operation on.
    pub fn update_config(&mut self, config: LogConfig) {
        drop(config);
    }
    /// Forgets producers that have been silent for `producer.id.expiration.ms`; returns how many.
    pub fn expire_producers(&mut self, now_ms: i64) -> usize {
        let _ = now_ms;
        0
    }
    /// The idempotent producers that the log knows, by id.
    #[must_use]
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        Vec::new()
    }
    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        0
    }
    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader {}
    }
    /// Flushes, writes the producer snapshot and gives the log up, so that it opens without recovery.
    ///
    /// # Errors
    /// What the disk says; the log is then recovered when it is opened.
    pub fn close(self, now_ms: i64) -> Result<(), LogError> {
        let _ = now_ms;
        Ok(())
    }
}
