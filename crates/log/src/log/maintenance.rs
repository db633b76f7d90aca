//! Deleting the head of a log: by request, and by retention.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::Offset;
use tracing::{info, warn};

use super::{DeletedSegment, DeletionReason, LogWriter};
use crate::LogError;
use crate::directory::Failure;
use crate::segment::{FileKind, ScanError, Segment, SegmentList};

impl LogWriter {
    /// Moves the log start offset up to `offset` (DeleteRecords), and returns where it is then: it never moves down.
    /// Segments that lie below it go with the next retention. The caller minds the high watermark.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] above the log end.
    pub fn advance_log_start(&mut self, offset: Offset) -> Result<Offset, LogError> {
        let (start, end) = (self.state.log_start_offset(), self.active.end_offset());
        if offset > end {
            return Err(LogError::OffsetOutOfRange { offset, start, end });
        }
        if offset > start {
            self.move_log_start(offset);
        }
        Ok(offset.max(start))
    }

    pub(super) fn move_log_start(&self, offset: Offset) {
        self.state.log_start.store(offset, Ordering::Release);
        self.change_epochs(|epochs| {
            epochs.truncate_start(offset);
        });
    }

    /// Deletes closed segments, oldest first, that retention no longer keeps and that lie below `high_watermark`, and
    /// those below the log start offset. The active segment stays: [`Self::roll_if_due`] closes it in time.
    ///
    /// # Errors
    /// What the disk says.
    pub fn enforce_retention(&mut self, high_watermark: Offset, now_ms: i64) -> Result<Vec<DeletedSegment>, LogError> {
        if matches!(self.state.dir.directory.check_writable(now_ms), Err(Failure::Offline)) {
            return Err(LogError::DirectoryOffline);
        }
        let list = self.state.segments.load_full();
        let mut excess = self.config.retention_bytes.map_or(0, |limit| list.size().saturating_sub(limit));
        let mut deleted = Vec::new();
        for segment in list.closed().iter().take_while(|segment| segment.end_offset() <= high_watermark) {
            let Some(reason) = self.deletion_reason(segment, excess, now_ms)? else { break };
            excess = excess.saturating_sub(segment.size());
            deleted.push(DeletedSegment { base_offset: segment.base_offset(), bytes: segment.size(), reason });
        }
        if deleted.is_empty() {
            return Ok(deleted);
        }
        let (gone, kept) = list.closed().split_at(deleted.len());
        let kept = SegmentList::new(kept.to_vec(), Arc::clone(list.active()));
        let start = kept.first().base_offset().max(self.state.log_start_offset());
        // Readers are turned away before the files go.
        self.move_log_start(start);
        self.state.segments.store(Arc::new(kept));
        for segment in &deleted {
            info!(partition = %self.state.dir.partition, base_offset = segment.base_offset, bytes = segment.bytes,
                reason = ?segment.reason, "deleted a segment");
        }
        self.bury(gone, now_ms)?;
        Ok(deleted)
    }

    fn deletion_reason(&self, segment: &Segment, excess: u64, now_ms: i64) -> Result<Option<DeletionReason>, Failure> {
        if segment.end_offset() <= self.state.log_start_offset() {
            return Ok(Some(DeletionReason::LogStart));
        }
        if !self.config.delete_enabled {
            return Ok(None);
        }
        if let Some(limit) = self.config.retention_ms {
            let newest = match segment.max_timestamp() {
                Ok(max) if max.timestamp >= 0 => max.timestamp,
                Ok(_) => segment.modified_ms().map_err(|error| self.state.failure(error))?,
                Err(ScanError::Io(error)) => return Err(self.state.failure(error)),
                Err(ScanError::Corrupt { position, reason }) => {
                    warn!(partition = %self.state.dir.partition, base_offset = segment.base_offset(), position, %reason,
                        "the age of a damaged segment is that of its file");
                    segment.modified_ms().map_err(|error| self.state.failure(error))?
                }
            };
            if now_ms.saturating_sub(newest) > limit {
                return Ok(Some(DeletionReason::Time));
            }
        }
        Ok((self.config.retention_bytes.is_some() && excess >= segment.size()).then_some(DeletionReason::Size))
    }

    /// Renames the files of segments that are no longer in the list, and leaves their removal to the graveyard.
    pub(super) fn bury(&self, segments: &[Arc<Segment>], now_ms: i64) -> Result<(), Failure> {
        // A flush may be at them: it finishes first, since it would miss the old names.
        let _durable = self.state.durable.lock();
        let due_ms = now_ms.saturating_add(self.config.file_delete_delay_ms);
        let dir = &self.state.dir;
        for segment in segments {
            segment.mark_deleted().map_err(|error| self.state.failure(error))?;
            let files = FileKind::ALL.map(|kind| kind.deleted_path(&dir.path, segment.base_offset()));
            dir.directory.graveyard.add_files(due_ms, files);
        }
        self.state.names_dirty.store(true, Ordering::Release);
        Ok(())
    }
}
