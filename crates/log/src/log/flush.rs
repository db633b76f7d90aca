//! Making a log durable, and giving it up cleanly.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::Offset;

use super::{Durable, EpochsOnDisk, FlushTicket, Flushed, LogState, LogWriter};
use crate::LogError;
use crate::checkpoint::{Durability, EPOCH_CHECKPOINT_FILE, PARTITION_METADATA_FILE, epochs_text, replace_file};
use crate::directory::Failure;
use crate::disk::{OpenFile, OpenMode, is_full};
use crate::segment::{FileKind, SegmentList};

impl LogState {
    /// Makes the segments of `segments` durable up to `end`, with their indexes, the epochs and the names of the files,
    /// and moves the recovery point there. `durable` is locked, so that nobody truncates the log or takes segments away
    /// meanwhile.
    pub(super) fn flush_up_to(
        &self,
        durable: &mut Durable,
        end: Offset,
        segments: &SegmentList,
    ) -> Result<(), Failure> {
        let from = self.recovery_point();
        // Once the writer is gone the files may be another one's, or removed.
        if end <= from || self.released.load(Ordering::Acquire) {
            return Ok(());
        }
        let (failure, sync_failure) = (|error| self.failure(error), |error| self.sync_failure(error));
        let unflushed = segments.starting_at(from).filter(|segment| segment.base_offset() < end);
        // Retention may have taken some since they were listed; the log starts behind them.
        for segment in unflushed.filter(|segment| !segment.is_deleted()) {
            segment.sync().map_err(sync_failure)?;
            if segment.end_offset() <= end {
                // Recovery replays the log from here, or has nothing else once retention has deleted what is before.
                self.sync_snapshot(segment.end_offset()).map_err(sync_failure)?;
            }
        }
        let epochs = self.epochs.load_full();
        if !durable.epochs.are_durable(&epochs) {
            durable.epochs = EpochsOnDisk::Unknown;
            self.write_epochs(&epochs, Durability::Machine).map_err(failure)?;
            durable.epochs = EpochsOnDisk::Durable((*epochs).clone());
        }
        if self.names_dirty.swap(false, Ordering::AcqRel) {
            self.dir.disk().sync_dir(&self.dir.path).map_err(|error| {
                // If there was only no descriptor for it, the next flush tries again.
                self.names_dirty.store(true, Ordering::Release);
                self.sync_failure(error)
            })?;
        }
        if !durable.identity {
            self.sync_identity().map_err(sync_failure)?;
            durable.identity = true;
        }
        self.recovery_point.store(end, Ordering::Release);
        Ok(())
    }

    /// Makes the closed segments durable. Nothing is done while the log is being truncated.
    pub(super) fn flush_closed(&self) -> Result<(), Failure> {
        let mut durable = self.durable.lock();
        if self.truncations.load(Ordering::Acquire) % 2 == 1 {
            return Ok(());
        }
        let segments = self.segments.load_full();
        self.flush_up_to(&mut durable, segments.active().base_offset(), &segments)
    }

    pub(super) fn write_epochs(
        &self,
        epochs: &crate::epochs::LeaderEpochs,
        durability: Durability,
    ) -> std::io::Result<()> {
        let path = self.dir.path.join(EPOCH_CHECKPOINT_FILE);
        replace_file(self.dir.disk(), &path, epochs_text(epochs).as_bytes(), durability)
    }

    fn sync_snapshot(&self, offset: Offset) -> std::io::Result<()> {
        match self.dir.disk().open(&FileKind::ProducerSnapshot.path(&self.dir.path, offset), OpenMode::Write) {
            Ok(file) => file.sync(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Creating a log syncs nothing, so that thousands can be created in a moment. What makes the directory the
    /// topic's own is synced before anything in it counts as durable.
    fn sync_identity(&self) -> std::io::Result<()> {
        self.sync_topic_id()?;
        self.dir.disk().sync_dir(&self.dir.directory.path)
    }

    /// Makes durable which topic the log is of, before there is a record in it. Otherwise a power loss could leave records
    /// of which nobody can tell whether they are a deleted topic's or those of the one that bears its name now. Kafka does
    /// so at the same moment.
    pub(super) fn sync_topic_id(&self) -> std::io::Result<()> {
        let disk = self.dir.disk();
        let metadata = disk.open(&self.dir.path.join(PARTITION_METADATA_FILE), OpenMode::Write)?;
        OpenFile::new(metadata).sync()?;
        disk.sync_dir(&self.dir.path)
    }
}

impl LogWriter {
    /// Fsyncs everything and moves the recovery point to the log end, which it returns.
    ///
    /// # Errors
    /// What the disk says. A sync that fails takes the directory offline, whatever the reason: the kernel reports it
    /// once and may have dropped what it could not write, so that trying again proves nothing.
    pub fn flush(&mut self, now_ms: i64) -> Result<Offset, LogError> {
        match self.begin_flush(now_ms)? {
            Some(ticket) => self.flushed(ticket.run()),
            None => Ok(self.active.end_offset()),
        }
    }

    /// Begins a flush of everything that is in the log now, for another thread to run: here only what the indexes hold in
    /// memory is written out. `None` if everything is durable. Flushes may overlap; the recovery point never goes back
    /// for it.
    ///
    /// Meant for group commit: begin one flush, collect appends while it runs, begin the next when it is back.
    ///
    /// # Errors
    /// As [`Self::flush`], but for what only fsyncing finds out.
    pub fn begin_flush(&mut self, now_ms: i64) -> Result<Option<FlushTicket>, LogError> {
        if self.failed {
            return Err(LogError::Closed);
        }
        // A full disk is no obstacle to making durable what has its blocks already.
        if matches!(self.state.dir.directory.check_writable(now_ms), Err(Failure::Offline)) {
            return Err(LogError::DirectoryOffline);
        }
        let end = self.active.end_offset();
        if end <= self.state.recovery_point() {
            self.unflushed_since_ms = None;
            return Ok(None);
        }
        // Entries that a later write put below the recovery point would be trusted without having been synced.
        let segment = &self.active;
        let offsets = segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().write_out(at));
        let times = segment.with_index(FileKind::TimeIndex, |at| segment.time_index().write_out(at));
        for result in [offsets, times] {
            result.map_err(|error| self.state.failure(error))?;
        }
        Ok(Some(FlushTicket {
            state: Arc::clone(&self.state),
            segments: self.state.segments.load_full(),
            end,
            truncations: self.state.truncations.load(Ordering::Acquire),
            begun_ms: now_ms,
        }))
    }

    /// Takes note of a flush of this log that has run; returns the recovery point. One that an earlier writer of the log
    /// has begun says nothing.
    ///
    /// # Errors
    /// Those of the flush.
    pub fn flushed(&mut self, flushed: Flushed) -> Result<Offset, LogError> {
        if !Arc::ptr_eq(&self.state, &flushed.state) {
            return Ok(self.state.recovery_point());
        }
        let recovery_point = flushed.result?;
        if recovery_point >= self.active.end_offset() {
            self.unflushed_since_ms = None;
        } else if recovery_point >= flushed.end {
            // What is left was appended since it was begun.
            self.unflushed_since_ms = Some(flushed.begun_ms);
        }
        Ok(recovery_point)
    }

    /// Flushes if `flush.ms` asks for it. (`flush.messages` is minded by the appends themselves.)
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn flush_if_due(&mut self, now_ms: i64) -> Result<bool, LogError> {
        let (Some(limit), Some(since)) = (self.config.flush_ms, self.unflushed_since_ms) else { return Ok(false) };
        if now_ms.saturating_sub(since) < limit {
            return Ok(false);
        }
        self.flush(now_ms)?;
        Ok(true)
    }

    /// Writes everything out that is in memory only (indexes, epochs, the snapshot of the producers) and gives the log
    /// up, so that it opens without recovery. [`crate::LogStore::close`] then makes all logs durable in one go.
    ///
    /// # Errors
    /// What the disk says; the log is then recovered when it is opened.
    pub fn close(mut self, now_ms: i64) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Closed);
        }
        if matches!(self.state.dir.directory.check_writable(now_ms), Err(Failure::Offline)) {
            return Err(LogError::DirectoryOffline);
        }
        let is_read_whole = self.is_read_whole()?;
        if self.active.size() > 0 && !is_read_whole {
            self.load_progress()?;
            self.finish_active()?;
        }
        let has_records = self.active.end_offset() > self.state.log_start_offset();
        if (has_records && !is_read_whole) || self.last_snapshot.is_some() {
            self.write_snapshot(self.active.end_offset())?;
        }
        let epochs = self.state.epochs.load_full();
        let mut durable = self.state.durable.lock();
        let needs_no_file = is_read_whole && matches!(durable.epochs, EpochsOnDisk::Absent);
        if !needs_no_file && !durable.epochs.are_written(&epochs) {
            durable.epochs = EpochsOnDisk::Unknown;
            match self.state.write_epochs(&epochs, Durability::Process) {
                Ok(()) => durable.epochs = EpochsOnDisk::Written((*epochs).clone()),
                // Recovery finds the epochs in the batches.
                Err(error) if is_full(&error) => return Err(LogError::DiskFull),
                Err(error) => return Err(self.state.failure(error).into()),
            }
        }
        drop(durable);
        for segment in self.state.segments.load().iter() {
            segment.close();
        }
        self.state.closed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether opening the log reads the headers of all batches there ever were: it has one segment, from offset 0 on, and
    /// no index leads past any of it. Then the records alone tell everything, and files beside them (the end of the time
    /// index, the snapshot of the producers, the leader epochs) would repeat it. Creating those for each of ten thousand
    /// small logs is what a stop and the start after it would otherwise spend their time on.
    fn is_read_whole(&self) -> Result<bool, Failure> {
        let segment = &self.active;
        if segment.base_offset() != 0 || !self.state.segments.load().closed().is_empty() {
            return Ok(false);
        }
        let offsets = segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().len(at));
        let times = segment.with_index(FileKind::TimeIndex, |at| segment.time_index().len(at));
        let entries = offsets.and_then(|offsets| Ok(offsets + times?));
        Ok(entries.map_err(|error| self.state.failure(error))? == 0)
    }
}
