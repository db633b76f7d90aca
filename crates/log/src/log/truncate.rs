//! Cutting the tail off a log, as a follower does whose tail is not the leader's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::Offset;
use tracing::info;

use super::LogWriter;
use super::writer::ActiveProgress;
use crate::LogError;
use crate::directory::Failure;
use crate::producers::ProducerStates;
use crate::recovery::{rebuild_producers, snapshots_in};
use crate::segment::{FileKind, Position, ScanError, Segment, SegmentList};

impl LogWriter {
    /// Removes every batch that holds or follows `offset`. Returns whether there was any. The log then ends at
    /// `offset`, or where the batch that holds it began.
    ///
    /// Durable when it returns: a crash must not bring back old records among those that take their place.
    ///
    /// # Errors
    /// What the disk says; the writer then refuses everything, and the log is opened again.
    pub fn truncate_to(&mut self, offset: Offset, now_ms: i64) -> Result<bool, LogError> {
        if self.failed {
            return Err(LogError::Closed);
        }
        if offset >= self.active.end_offset() {
            return Ok(false);
        }
        if offset < self.state.log_start_offset() {
            self.truncate_fully_and_start_at(offset, now_ms)?;
            return Ok(true);
        }
        let list = self.state.segments.load_full();
        let Some(segment) = list.starting_at(offset).next() else { return Ok(false) };
        let cut = self.find_cut(segment, offset)?;
        let start = self.state.log_start_offset();
        if cut.1 < start {
            // The batch that holds the log start offset goes, and with it everything that was left.
            self.truncate_fully_and_start_at(start, now_ms)?;
            return Ok(true);
        }
        self.begin_truncation(cut.1)?;
        let active = Arc::new(self.cut_segment(segment, cut)?);

        let kept = list.closed().iter().take_while(|closed| closed.base_offset() < segment.base_offset());
        let gone: Vec<_> =
            list.iter().rev().take_while(|later| later.base_offset() > segment.base_offset()).cloned().collect();
        let end = active.end_offset();
        self.state.segments.store(Arc::new(SegmentList::new(kept.cloned().collect(), Arc::clone(&active))));
        // The last one first, so that a crash in between leaves a log without a hole.
        self.bury(&gone, now_ms)?;
        info!(partition = %self.state.dir.partition, end, "truncated the log");
        self.active = active;
        self.progress = ActiveProgress { max_timestamp: None, ..ActiveProgress::empty(now_ms) };
        self.change_epochs(|epochs| {
            epochs.truncate_end(end);
        });
        self.reload_producers(end, now_ms)?;
        self.sync_names()?;
        self.end_truncation();
        Ok(true)
    }

    /// Removes everything and goes on at `offset`.
    ///
    /// # Errors
    /// As [`Self::truncate_to`].
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now_ms: i64) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Closed);
        }
        Ok(self.begin_anew(offset, offset, now_ms)?)
    }

    /// Removes everything and goes on at `offset`, with a log that starts at `log_start`: if that is further on, a batch
    /// has to follow that holds it.
    pub(super) fn begin_anew(&mut self, offset: Offset, log_start: Offset, now_ms: i64) -> Result<(), Failure> {
        let list = self.state.segments.load_full();
        // Down to the segment that holds the offset: should a crash leave it beside the new one, recovery has to find
        // that it reaches beyond the new one's start, and then the old log stays.
        let holding = list.starting_at(offset).next().map_or(offset, |segment| segment.base_offset().min(offset));
        self.begin_truncation(holding)?;
        // Before there is a new log that they could be taken for its own.
        self.remove_snapshots()?;
        let active = Arc::new(Segment::empty(Arc::clone(&self.state.dir), offset));
        let create = || active.log_file_for_append().map(drop).map_err(|error| self.state.failure(error));
        // The new file first, so that a crash in between leaves one or the other; unless they bear the same name.
        let same_name = list.iter().any(|old| old.base_offset() == offset);
        if !same_name {
            create()?;
        }
        self.state.segments.store(Arc::new(SegmentList::new(Vec::new(), Arc::clone(&active))));
        self.state.log_start.store(log_start, Ordering::Release);
        // The old log may have started later: after a crash the new one would be taken to end before it starts.
        let dir = &self.state.dir;
        let lowered = dir.directory.checkpoints.log_starts.lower(dir.disk(), &dir.partition, log_start);
        lowered.map_err(|error| self.state.failure(error))?;
        let gone: Vec<_> = list.iter().rev().cloned().collect();
        self.bury(&gone, now_ms)?;
        if same_name {
            create()?;
        }
        self.sync_names()?;
        info!(partition = %self.state.dir.partition, start = offset, "emptied the log");
        self.active = active;
        self.progress = ActiveProgress::empty(now_ms);
        self.change_epochs(|epochs| {
            epochs.truncate_end(Offset::MIN);
        });
        self.producers = ProducerStates::default();
        self.last_snapshot = None;
        self.publish_transactions();
        // The recovery point stays where it was lowered to: a log that was never flushed may lose its very directory.
        self.end_truncation();
        Ok(())
    }

    /// Lowers the recovery point in memory and on disk, before anything is cut: what takes the place of truncated records
    /// would else be trusted after a crash as if it had been flushed. Until all of it is done, the log is neither the old
    /// one nor the new one.
    fn begin_truncation(&mut self, offset: Offset) -> Result<(), Failure> {
        let _durable = self.state.durable.lock();
        let before = self.state.recovery_point.fetch_min(offset, Ordering::AcqRel);
        let dir = &self.state.dir;
        let point = before.min(offset);
        let lowered = dir.directory.checkpoints.recovery_points.lower(dir.disk(), &dir.partition, point);
        lowered.map_err(|error| self.state.failure(error))?;
        self.state.truncations.fetch_add(1, Ordering::AcqRel);
        self.failed = true;
        self.is_mark_within = false;
        // What takes the place of cleaned records is not clean.
        let cleaned_to = self.state.cleaned_to.fetch_min(offset, Ordering::AcqRel).min(offset);
        let lowered = dir.directory.checkpoints.cleaned.lower(dir.disk(), &dir.partition, cleaned_to);
        lowered.map_err(|error| self.state.failure(error))
    }

    fn end_truncation(&mut self) {
        self.state.truncations.fetch_add(1, Ordering::AcqRel);
        self.failed = false;
    }

    /// Removes the snapshots of the producers: those that were taken when the log was closed belong to no segment, and
    /// would tell of other batches once the log gets there again.
    fn remove_snapshots(&self) -> Result<(), Failure> {
        let dir = &self.state.dir;
        let remove = |offset| match dir.disk().remove_file(&FileKind::ProducerSnapshot.path(&dir.path, offset)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let removed = snapshots_in(dir).and_then(|snapshots| snapshots.into_iter().try_for_each(remove));
        removed.map_err(|error| self.state.failure(error))
    }

    fn sync_names(&self) -> Result<(), Failure> {
        self.state.dir.disk().sync_dir(&self.state.dir.path).map_err(|error| self.state.sync_failure(error))
    }

    /// Where the first batch that holds or follows `offset` starts, and the offset at which the log ends without it.
    fn find_cut(&self, segment: &Segment, offset: Offset) -> Result<(u32, Offset), LogError> {
        let read = |error| self.state.scan_failure(segment, error);
        let end = segment.end();
        if end.bytes == 0 {
            return Ok((0, offset));
        }
        let file = segment.log_file().map_err(|error| read(ScanError::Io(error)))?;
        match segment.find(&file, offset, end).map_err(read)? {
            Some((position, header)) => Ok((position as u32, offset.min(header.base_offset))),
            None => Ok((end.bytes, offset)),
        }
    }

    /// Cuts the files of a segment, and makes of them a segment of its own for readers to come.
    fn cut_segment(&self, segment: &Segment, (bytes, end): (u32, Offset)) -> Result<Segment, LogError> {
        let failure = |error| self.state.failure(error);
        // The indexes' last entries are in the file before it is cut.
        segment
            .with_index(FileKind::OffsetIndex, |at| segment.offset_index().finish(at))
            .and_then(|()| segment.with_index(FileKind::TimeIndex, |at| segment.time_index().finish(at)))
            .map_err(failure)?;
        let relative_offset = segment.relative(end);
        let cut =
            Segment::existing(Arc::clone(&self.state.dir), segment.base_offset(), Position { bytes, relative_offset });
        cut.with_index(FileKind::OffsetIndex, |at| {
            let index = cut.offset_index();
            let valid =
                index.count_valid(at, |entry| entry.relative_offset < relative_offset && entry.position < bytes)?;
            index.truncate(at, valid)
        })
        .and_then(|()| {
            cut.with_index(FileKind::TimeIndex, |at| {
                let index = cut.time_index();
                index.truncate(at, index.count_valid(at, |entry| entry.relative_offset < relative_offset)?)
            })
        })
        .map_err(failure)?;
        if segment.size() > u64::from(bytes) {
            let file = cut.log_file().map_err(failure)?;
            file.set_len(u64::from(bytes)).map_err(failure)?;
            file.sync().map_err(|error| self.state.sync_failure(error))?;
        }
        cut.set_has_transaction_index(segment.has_transaction_index());
        // The writer goes on from it.
        cut.max_timestamp().map_err(|error| self.state.scan_failure(segment, error))?;
        Ok(cut)
    }

    /// The producers as of the new end: those of an older snapshot, and what the log says since.
    fn reload_producers(&mut self, end: Offset, now_ms: i64) -> Result<(), LogError> {
        let snapshots = snapshots_in(&self.state.dir).map_err(|error| self.state.failure(error))?;
        let rebuilt = rebuild_producers(&self.state, snapshots, end, now_ms)?;
        self.producers = rebuilt.producers;
        self.last_snapshot = rebuilt.snapshot;
        self.publish_transactions();
        Ok(())
    }
}
