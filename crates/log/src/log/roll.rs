//! Closing the active segment and opening the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{Offset, TimestampMs};
use tracing::{debug, warn};

use super::LogWriter;
use super::writer::ActiveProgress;
use crate::LogError;
use crate::directory::Failure;
use crate::disk::is_full;
use crate::index::{IndexEntry, OffsetEntry, TimeEntry};
use crate::producers::encode_snapshot;
use crate::segment::{FileKind, Segment, SegmentList};

impl LogWriter {
    /// Closes the active segment if it is older than the topic's `segment.ms`. Returns whether it did. Without this a
    /// log that is not written any more would keep its last segment for ever.
    ///
    /// # Errors
    /// What the disk says.
    pub fn roll_if_due(&mut self, now_ms: i64) -> Result<bool, LogError> {
        if self.active.size() == 0 || self.failed {
            return Ok(false);
        }
        self.state.dir.directory.check_writable(now_ms)?;
        self.load_progress()?;
        let opened = self.progress.first_timestamp.filter(|&first| first >= 0).unwrap_or(self.progress.created_ms);
        if now_ms.saturating_sub(opened) <= self.segment_age_limit() {
            return Ok(false);
        }
        self.roll_to(self.active.end_offset(), now_ms)?;
        Ok(true)
    }

    /// Closes the active segment, if there is anything in it. Returns whether it did.
    ///
    /// # Errors
    /// What the disk says.
    pub fn roll(&mut self, now_ms: i64) -> Result<bool, LogError> {
        if self.active.size() == 0 || self.failed {
            return Ok(false);
        }
        self.state.dir.directory.check_writable(now_ms)?;
        self.roll_to(self.active.end_offset(), now_ms)?;
        Ok(true)
    }

    /// How old the active segment may get: on a compacted topic `max.compaction.lag.ms`, and `segment.ms` less a share of `segment.jitter.ms` that depends on the log and
    /// the segment, so that it is another one everywhere and the same one after a restart.
    fn segment_age_limit(&self) -> i64 {
        let most = self.config.segment_jitter_ms.min(self.config.segment_ms);
        let jitter = if most > 0 { (self.jitter_seed() % most.unsigned_abs()) as i64 } else { 0 };
        // What must be compacted in time must be in a closed segment by then.
        let lag = self.config.max_compaction_lag_ms.filter(|_| self.config.compacted).unwrap_or(i64::MAX);
        (self.config.segment_ms - jitter).min(lag)
    }

    fn jitter_seed(&self) -> u64 {
        let id = self.state.dir.topic_id.0.as_u64_pair().0;
        let partition = u64::from(self.state.dir.partition.partition.unsigned_abs());
        // SplitMix64's finaliser: close inputs give outputs far apart.
        let mut seed = id ^ partition.rotate_left(40) ^ self.active.base_offset().unsigned_abs();
        seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        seed ^ (seed >> 31)
    }

    /// Whether the offset can be told relative to the active segment's base.
    pub(super) fn fits_relative(&self, offset: Offset) -> bool {
        offset - self.active.base_offset() <= i64::from(i32::MAX)
    }

    /// Whether the active segment, with `used` bytes, must be closed before a batch of `size` bytes is appended.
    pub(super) fn must_roll(
        &mut self,
        used: u64,
        size: u64,
        max_timestamp: TimestampMs,
        last_offset: Offset,
        now_ms: i64,
    ) -> Result<bool, Failure> {
        let limit = self.config.segment_bytes.min(i32::MAX as u64);
        if used + size > limit || !self.fits_relative(last_offset) {
            return Ok(true);
        }
        self.load_progress()?;
        // As in Kafka the records' time counts, and the clock only if they have none: a log that is filled with old
        // records rolls as it would have rolled then.
        let first =
            self.progress.first_timestamp.or_else(|| self.staged.first().map(|first| first.header.max_timestamp));
        let age = match first.filter(|&first| first >= 0) {
            Some(first) => max_timestamp.saturating_sub(first),
            None => now_ms.saturating_sub(self.progress.created_ms),
        };
        Ok(age > self.segment_age_limit() || self.index_full()?)
    }

    fn index_full(&self) -> Result<bool, Failure> {
        let segment = &self.active;
        let failure = |error| self.state.failure(error);
        let most = |entry: usize| (self.config.segment_index_bytes as usize) / entry;
        let offsets =
            segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().len(at)).map_err(failure)?;
        let times = segment.with_index(FileKind::TimeIndex, |at| segment.time_index().len(at)).map_err(failure)?;
        // What is staged adds entries before the next look; the time index also gets one when it is closed.
        let coming = self.staged.len() + 1;
        Ok(offsets + coming > most(OffsetEntry::SIZE).max(2) || times + coming >= most(TimeEntry::SIZE).max(3))
    }

    /// Closes the active segment and opens one at `base_offset`. The closed one is made durable later, by
    /// [`crate::LogReader::flush_closed_segments`] or the next flush.
    pub(super) fn roll_to(&mut self, base_offset: Offset, now_ms: i64) -> Result<(), Failure> {
        self.load_progress()?;
        let next = Arc::new(Segment::empty(Arc::clone(&self.state.dir), base_offset));
        if let Err(failure) = self.prepare(&next) {
            // An empty file with this name would be taken for the end of the log.
            let path = FileKind::Log.path(&self.state.dir.path, base_offset);
            match self.state.dir.disk().remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    self.failed = true;
                    self.state.failure(error);
                }
                _ => {}
            }
            return Err(failure);
        }
        let before = self.state.segments.load_full();
        let mut closed = before.closed().to_vec();
        // A follower whose leader has compacted may skip so far that a segment closes without a record.
        let empty = self.active.size() == 0;
        if !empty {
            closed.push(Arc::clone(&self.active));
        }
        self.state.segments.store(Arc::new(SegmentList::new(closed, Arc::clone(&next))));
        debug!(partition = %self.state.dir.partition, base_offset, "rolled to a new segment");
        let closed = std::mem::replace(&mut self.active, next);
        self.progress = ActiveProgress::empty(now_ms);
        if empty { self.bury(&[closed], now_ms) } else { Ok(()) }
    }

    /// Creates the file of the next segment, and makes the active one what a closed one is.
    fn prepare(&mut self, next: &Segment) -> Result<(), Failure> {
        // The file comes first: without it nothing else has happened yet.
        let file = next.log_file_for_append().map_err(|error| self.state.failure(error))?;
        file.set_len(0).map_err(|error| self.state.failure(error))?;
        if self.config.preallocate {
            // Only a hint: without the room the appends will say so.
            file.reserve(self.config.segment_bytes).or_else(ignore_full).map_err(|error| self.state.failure(error))?;
        }
        self.state.names_dirty.store(true, Ordering::Release);
        self.finish_active()?;
        self.write_snapshot(next.base_offset())
    }

    /// Gives the active segment's indexes their last entries and writes them out. A full disk keeps nobody from it:
    /// the indexes then stay in memory, and are built again if that is lost.
    pub(super) fn finish_active(&mut self) -> Result<(), Failure> {
        let segment = &self.active;
        let max = self.progress.max_timestamp.filter(|max| max.timestamp >= 0);
        let times = segment.with_index(FileKind::TimeIndex, |at| {
            if let Some(max) = max
                && segment.time_index().last(at)?.is_none_or(|last| last.timestamp < max.timestamp)
            {
                let entry = TimeEntry { timestamp: max.timestamp, relative_offset: max.relative_offset };
                segment.time_index().push(at, entry)?;
            }
            segment.time_index().finish(at)
        });
        let offsets = segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().finish(at));
        for result in [offsets, times] {
            result.or_else(ignore_full).map_err(|error| self.state.failure(error))?;
        }
        Ok(())
    }

    /// Writes the producers as of `offset`, which is the log end; also if there are none, since recovery starts from
    /// the newest snapshot and would have to read the whole log without one.
    pub(super) fn write_snapshot(&mut self, offset: Offset) -> Result<(), Failure> {
        if self.last_snapshot == Some(offset) {
            return Ok(());
        }
        let bytes = encode_snapshot(self.producers.entries().iter());
        let path = FileKind::ProducerSnapshot.path(&self.state.dir.path, offset);
        match crate::checkpoint::replace_file(
            self.state.dir.disk(),
            &path,
            &bytes,
            crate::checkpoint::Durability::Process,
        ) {
            Ok(()) => {
                self.last_snapshot = Some(offset);
                self.state.names_dirty.store(true, Ordering::Release);
                Ok(())
            }
            Err(error) if is_full(&error) => {
                warn!(partition = %self.state.dir.partition, "no space for a producer snapshot: it will be rebuilt");
                Ok(())
            }
            Err(error) => Err(self.state.failure(error)),
        }
    }
}

/// What is written here can be built again, so a full disk is no failure.
fn ignore_full(error: std::io::Error) -> std::io::Result<()> {
    if is_full(&error) { Ok(()) } else { Err(error) }
}
