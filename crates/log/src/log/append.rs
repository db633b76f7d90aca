//! Appending: check, assign offsets, write once, and leave nothing behind if that fails.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use levada_records::{BatchHeader, Batches, EndTxnMarker, RecordBuffer};
use levada_types::{LeaderEpoch, Offset};
use tracing::error;

use super::check::{CheckedBatch, check};
use super::stage::{self, Staged};
use super::{AppendBatch, AppendInfo, FollowerAppend, LogWriter, Origin, read_marker};
use crate::AppendError;
use crate::directory::Failure;
use crate::index::{OffsetEntry, TimeEntry};
use crate::producers::Checked;
use crate::segment::{FileKind, MaxTimestamp, Position};

type Outcome = Result<AppendInfo, AppendError>;

/// A batch of a leader, checked.
struct Replicated {
    header: BatchHeader,
    bytes: Bytes,
    marker: Option<EndTxnMarker>,
}

impl LogWriter {
    /// Appends batches as the leader of `leader_epoch`: checks each, assigns offsets, and writes all that are accepted
    /// in one vectored write (one per segment, if a segment fills up in between). The batches stand for themselves:
    /// each has its own result, at its own index. `Ok` says that a batch is in the log and that readers see it; an error
    /// says that nothing of it is, with one exception.
    ///
    /// If `flush.messages` asks for a flush, it comes after all of them and before the answer. When it fails, what lies
    /// past the recovery point has the result [`AppendError::NotFlushed`], duplicates among it too: it is in the log,
    /// readers may have seen it, and nobody can tell whether it outlives the machine.
    pub fn append(
        &mut self,
        batches: &[AppendBatch],
        leader_epoch: LeaderEpoch,
        origin: Origin,
        now_ms: i64,
    ) -> Vec<Result<AppendInfo, AppendError>> {
        if let Err(error) = self.check_open(now_ms) {
            return batches.iter().map(|_| Err(error.clone())).collect();
        }
        // Each entry is replaced: at once by an error or a duplicate, or when its batch is written.
        let mut outcomes: Vec<Outcome> = batches.iter().map(|_| Err(AppendError::Closed)).collect();
        // For this call alone: it takes no memory unless a batch is compressed, and then too much to keep per log.
        let mut buffer = RecordBuffer::new();
        for (index, batch) in batches.iter().enumerate() {
            let staged = check(&batch.records, origin, &self.config, &mut buffer, now_ms)
                .and_then(|checked| self.stage(checked, index, leader_epoch, origin, now_ms, &mut outcomes));
            if let Some(outcome) = staged.transpose() {
                outcomes[index] = outcome;
            }
        }
        self.write_staged(now_ms, &mut outcomes);
        self.flush_if_asked(now_ms, &mut outcomes);
        outcomes
    }

    /// Stages a batch; `Some` if it is a duplicate.
    fn stage(
        &mut self,
        checked: CheckedBatch,
        index: usize,
        leader_epoch: LeaderEpoch,
        origin: Origin,
        now_ms: i64,
        outcomes: &mut [Outcome],
    ) -> Result<Option<AppendInfo>, AppendError> {
        if checked.bytes.len() as u64 > self.config.segment_bytes {
            return Err(AppendError::LargerThanSegment { size: checked.bytes.len(), limit: self.config.segment_bytes });
        }
        if let Some(duplicate) = self.check_producer(&checked, origin)? {
            return Ok(Some(duplicate));
        }
        let CheckedBatch { bytes, mut header, marker, log_append_time } = checked;
        header.partition_leader_epoch = leader_epoch.0;
        header.base_offset = self.next_offset();
        self.make_room(&header, bytes.len(), now_ms, outcomes)?;
        let mut staged = Staged::new(header, bytes);
        (staged.marker, staged.log_append_time, staged.index) = (marker, log_append_time, index);
        self.push_staged(staged, now_ms);
        Ok(None)
    }

    fn check_producer(&self, checked: &CheckedBatch, origin: Origin) -> Result<Option<AppendInfo>, AppendError> {
        let header = &checked.header;
        if let Some(marker) = &checked.marker {
            self.producers.check_marker(header, marker)?;
            return Ok(None);
        }
        if !header.has_producer_id() || origin != Origin::Client {
            return Ok(None);
        }
        let Checked::Duplicate(range) = self.producers.check(header)? else { return Ok(None) };
        Ok(Some(AppendInfo {
            base_offset: range.first_offset(),
            last_offset: range.last_offset,
            log_append_time: if checked.log_append_time >= 0 { range.timestamp } else { -1 },
            max_timestamp: range.timestamp,
            log_start_offset: self.state.log_start_offset(),
            duplicate: true,
            bytes: 0,
        }))
    }

    /// The offset after what is staged.
    fn next_offset(&self) -> Offset {
        self.staged.last().map_or_else(|| self.active.end_offset(), |last| last.header.next_offset())
    }

    fn staged_bytes(&self) -> u64 {
        self.staged.iter().map(|staged| u64::from(staged.size())).sum()
    }

    /// Makes sure that the active segment can take a batch: writes what is staged and rolls, if it cannot. A batch whose
    /// predecessors could not be written fails with them: its offset and its sequence follow theirs, and a segment that
    /// is still empty would be closed by one of the same name.
    fn make_room(
        &mut self,
        header: &BatchHeader,
        size: usize,
        now_ms: i64,
        outcomes: &mut [Outcome],
    ) -> Result<(), AppendError> {
        // A batch before it in the same call may have met a disk that failed.
        self.check_open(now_ms)?;
        let used = self.active.size() + self.staged_bytes();
        if used == 0 && self.fits_relative(header.last_offset()) {
            return Ok(());
        }
        if !self.must_roll(used, size as u64, header.max_timestamp, header.last_offset(), now_ms)? {
            return Ok(());
        }
        if let Some(error) = self.write_staged(now_ms, outcomes) {
            return Err(error);
        }
        // Segments follow each other without a gap, unless a compacting leader's gap is too wide for one.
        let end = self.active.end_offset();
        let near = header.last_offset() - end <= i64::from(i32::MAX);
        Ok(self.roll_to(if near { end } else { header.base_offset }, now_ms)?)
    }

    fn push_staged(&mut self, mut staged: Staged, now_ms: i64) {
        if staged.header.has_producer_id() {
            staged.undo = Some(self.producers.savepoint(staged.header.producer_id));
            self.apply_producer(&staged, now_ms);
        }
        self.staged.push(staged);
    }

    fn apply_producer(&mut self, staged: &Staged, now_ms: i64) {
        match &staged.marker {
            Some(marker) => {
                self.producers.apply_marker(&staged.header, marker, now_ms);
            }
            None => self.producers.apply(&staged.header, now_ms),
        }
    }

    /// Writes what is staged, and says so in the outcomes. On failure nothing of it is left, neither in the file nor in
    /// the producers' state, a duplicate that was found among it fails with it, and the error is returned.
    fn write_staged(&mut self, now_ms: i64, outcomes: &mut [Outcome]) -> Option<AppendError> {
        let staged = std::mem::take(&mut self.staged);
        let first = staged.first()?.header.base_offset;
        let result = self.commit(&staged, now_ms);
        match &result {
            Ok(()) => {
                let log_start_offset = self.state.log_start_offset();
                for batch in &staged {
                    outcomes[batch.index] = Ok(AppendInfo {
                        base_offset: batch.header.base_offset,
                        last_offset: batch.header.last_offset(),
                        log_append_time: batch.log_append_time,
                        max_timestamp: batch.header.max_timestamp,
                        log_start_offset,
                        duplicate: false,
                        bytes: batch.size() as usize,
                    });
                }
            }
            Err(error) => {
                for batch in &staged {
                    outcomes[batch.index] = Err(error.clone());
                }
                for outcome in outcomes.iter_mut() {
                    if outcome.as_ref().is_ok_and(|info| info.duplicate && info.base_offset >= first) {
                        *outcome = Err(error.clone());
                    }
                }
            }
        }
        // The room is used again.
        self.staged = staged;
        self.staged.clear();
        result.err()
    }

    /// Writes these batches and takes them into the indexes, or undoes everything.
    fn commit(&mut self, staged: &[Staged], now_ms: i64) -> Result<(), AppendError> {
        if let Err(failure) = self.write(staged) {
            for batch in staged.iter().rev() {
                if let Some(savepoint) = batch.undo {
                    self.producers.roll_back(savepoint);
                }
            }
            return Err(failure);
        }
        self.account(staged);
        self.unflushed_since_ms.get_or_insert(now_ms);
        Ok(())
    }

    /// Flushes if `flush.messages` asks for it. If that fails, nothing that is not durable is acknowledged; the records
    /// stay, since readers may have seen them, and a retry is a duplicate that has to get past this as well.
    fn flush_if_asked(&mut self, now_ms: i64, outcomes: &mut [Outcome]) {
        if self.config.flush_messages.is_none_or(|limit| self.unflushed() < limit) {
            return;
        }
        let Err(error) = self.flush(now_ms) else { return };
        error!(partition = %self.state.dir.partition, %error, "the flush that flush.messages asks for failed");
        let durable = self.state.recovery_point();
        for outcome in outcomes {
            if outcome.as_ref().is_ok_and(|info| info.last_offset >= durable) {
                *outcome = Err(AppendError::NotFlushed(error.clone()));
            }
        }
    }

    fn write(&mut self, staged: &[Staged]) -> Result<(), AppendError> {
        self.load_progress()?;
        let start = self.active.size();
        self.bring_mark_within()?;
        if self.holds_nothing() {
            self.state.sync_topic_id().map_err(|error| self.state.sync_failure(error))?;
        }
        let file = self.active.log_file_for_append().map_err(|error| self.state.failure(error))?;
        if start == 0 {
            self.state.names_dirty.store(true, Ordering::Release);
        }
        let Err(error) = stage::write(staged, &file, start) else { return Ok(()) };
        // Part of it may be in the file. Readers never look behind the end that they were told, but the next append
        // would leave this in its wake if it were shorter.
        if let Err(cut) = file.set_len(start) {
            error!(partition = %self.state.dir.partition, error = %cut, "a failed write could not be taken back");
            self.failed = true;
            self.state.failure(cut);
        } else if let Err(unsynced) = file.sync() {
            // If everything before it was flushed and the segment is closed now, no flush would sync it again, and a
            // crash would bring the rest of the write back behind the recovery point's back.
            self.failed = true;
            self.state.sync_failure(unsynced);
        }
        Err(self.state.failure(error).into())
    }

    /// Lowers the high watermark of the checkpoint to where the log ends: where committed records were lost or cut, what takes
    /// their place was not committed. Not before something does, so that whoever opens the log until then sees what it lacks.
    fn bring_mark_within(&mut self) -> Result<(), Failure> {
        if !self.is_mark_within {
            let (dir, end) = (&self.state.dir, self.active.end_offset());
            let lowered = dir.directory.checkpoints.high_watermarks.lower(dir.disk(), &dir.partition, end);
            lowered.map_err(|error| self.state.failure(error))?;
            self.is_mark_within = true;
        }
        Ok(())
    }

    /// Takes batches that are in the file into indexes, epochs and the end that readers see.
    fn account(&mut self, staged: &[Staged]) {
        let mut end = self.active.end();
        let mut max = self.progress.max_timestamp.unwrap_or(MaxTimestamp::NONE);
        for batch in staged {
            let header = &batch.header;
            let relative_offset = self.active.relative(header.last_offset());
            if header.max_record_timestamp() > max.timestamp {
                max = MaxTimestamp { timestamp: header.max_record_timestamp(), relative_offset };
            }
            self.progress.first_timestamp.get_or_insert(header.max_timestamp);
            if self.progress.bytes_since_index > self.config.index_interval_bytes {
                self.add_index_entries(OffsetEntry { relative_offset, position: end.bytes }, max);
                self.progress.bytes_since_index = 0;
            }
            self.progress.bytes_since_index += u64::from(batch.size());
            end = Position { bytes: end.bytes + batch.size(), relative_offset: relative_offset + 1 };

            let epoch = LeaderEpoch(header.partition_leader_epoch);
            if self.state.epochs.load().would_change(epoch) {
                let start = header.base_offset;
                self.change_epochs(|epochs| epochs.assign(epoch, start));
            }
            if header.is_transactional() {
                self.publish_transactions();
            }
        }
        self.progress.max_timestamp = Some(max);
        self.active.set_max_timestamp(max);
        // From here on readers see them.
        self.active.set_end(end);
    }

    pub(super) fn add_index_entries(&self, entry: OffsetEntry, max: MaxTimestamp) {
        let segment = &self.active;
        let offsets = segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().push(at, entry));
        let times = segment.with_index(FileKind::TimeIndex, |at| {
            let time = TimeEntry { timestamp: max.timestamp, relative_offset: max.relative_offset };
            match segment.time_index().last(at)? {
                Some(last) if max.timestamp <= last.timestamp => Ok(()),
                None if max.timestamp < 0 => Ok(()),
                _ => segment.time_index().push(at, time),
            }
        });
        for result in [offsets, times] {
            // The entry is in memory either way, and an index can be built again: the append stands.
            if let Err(error) = result {
                self.state.failure(error);
            }
        }
    }

    /// Records that are not flushed yet.
    fn unflushed(&self) -> u64 {
        u64::try_from(self.active.end_offset() - self.state.recovery_point()).unwrap_or(0)
    }

    /// Appends batches as the leader made them: offsets, epochs and timestamps are kept, and every batch's checksum is
    /// checked. Offsets may leave gaps, where the leader has compacted its log.
    ///
    /// The leader's log start offset may lie within a batch (DeleteRecords). A log that has nothing yet and starts there
    /// takes that batch whole, and still starts where it did.
    ///
    /// # Errors
    /// Batches that were written to a segment that filled up before the failure stay, and so does everything if only the
    /// flush failed ([`AppendError::NotFlushed`]); otherwise nothing of `records` is in the log.
    /// [`Self::log_end_offset`] says where to go on.
    pub fn append_as_follower(&mut self, records: &Bytes, now_ms: i64) -> Result<FollowerAppend, AppendError> {
        self.check_open(now_ms)?;
        // Everything is checked before anything is changed.
        let checked = self.check_replicated(records)?;
        let start = self.active.end_offset();
        let first = checked.first().map_or(start, |batch| batch.header.base_offset);
        if first < start {
            self.begin_anew(first, start, now_ms)?;
        }
        let appended = self.append_replicated(checked, now_ms);
        if first < start {
            // Without the batch the log starts where it ends, as every empty one does.
            self.move_log_start(start.min(self.active.end_offset()));
        }
        appended
    }

    fn check_replicated(&self, records: &Bytes) -> Result<Vec<Replicated>, AppendError> {
        let mut checked = Vec::new();
        let mut buffer = RecordBuffer::new();
        let mut expected = self.active.end_offset();
        for batch in Batches::new(records) {
            let batch = batch?;
            batch.verify_crc()?;
            let header = *batch.header();
            let begins_within = checked.is_empty() && header.next_offset() > expected && self.holds_nothing();
            if (header.base_offset < expected && !begins_within) || header.last_offset_delta < 0 {
                return Err(AppendError::UnexpectedOffset { expected, found: header.base_offset });
            }
            expected = header.next_offset();
            let marker = if header.is_control() { read_marker(&batch, &mut buffer)? } else { None };
            checked.push(Replicated { header, bytes: records.slice_ref(batch.bytes()), marker });
        }
        Ok(checked)
    }

    /// Whether there is no record in any segment, not even one below the log start offset.
    fn holds_nothing(&self) -> bool {
        self.active.size() == 0 && self.state.segments.load().closed().is_empty()
    }

    fn append_replicated(&mut self, batches: Vec<Replicated>, now_ms: i64) -> Result<FollowerAppend, AppendError> {
        let mut outcomes = Vec::new();
        if let Err(error) = self.stage_replicated(batches, now_ms, &mut outcomes) {
            self.unstage();
            return Err(error);
        }
        self.write_staged(now_ms, &mut outcomes);
        self.flush_if_asked(now_ms, &mut outcomes);
        let mut total: Option<FollowerAppend> = None;
        for outcome in outcomes {
            let info = outcome?;
            let total = total.get_or_insert(FollowerAppend {
                base_offset: info.base_offset,
                last_offset: info.last_offset,
                bytes: 0,
            });
            total.last_offset = info.last_offset;
            total.bytes += info.bytes;
        }
        total.ok_or(AppendError::InvalidRecord("there is no batch to append"))
    }

    fn stage_replicated(
        &mut self,
        batches: Vec<Replicated>,
        now_ms: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), AppendError> {
        for Replicated { header, bytes, marker } in batches {
            outcomes.push(Err(AppendError::Closed));
            self.make_room(&header, bytes.len(), now_ms, outcomes)?;
            let mut staged = Staged::new(header, bytes);
            (staged.marker, staged.index) = (marker, outcomes.len() - 1);
            self.push_staged(staged, now_ms);
        }
        Ok(())
    }

    /// Gives up what is staged.
    fn unstage(&mut self) {
        while let Some(staged) = self.staged.pop() {
            if let Some(savepoint) = staged.undo {
                self.producers.roll_back(savepoint);
            }
        }
    }

    /// Looks up what the writer has to know of an active segment that it did not write itself.
    pub(super) fn load_progress(&mut self) -> Result<(), Failure> {
        if self.progress.max_timestamp.is_none() {
            let max = match self.active.max_timestamp() {
                Ok(max) => max,
                Err(crate::segment::ScanError::Io(error)) => return Err(self.state.failure(error)),
                // The segment is damaged: reads will say where. Appending behind the damage loses nothing more.
                Err(crate::segment::ScanError::Corrupt { .. }) => MaxTimestamp::NONE,
            };
            self.progress.max_timestamp = Some(max);
        }
        if self.progress.first_timestamp.is_none() && self.active.size() > 0 {
            let file = self.active.log_file().map_err(|error| self.state.failure(error))?;
            let first = self.active.scan(&file, 0, self.active.end().bytes).next();
            self.progress.first_timestamp = first.ok().flatten().map(|(_, header)| header.max_timestamp);
        }
        Ok(())
    }
}
