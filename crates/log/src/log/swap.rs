//! Puts what compaction has left of segments in their place.
//!
//! In steps, each a change of names in the log's directory, which a file system makes durable in their order:
//! 1. The new files (`.cleaned`, durable by now) become `.swap`, the records last. From then on the old segments are gone:
//!    whoever opens the log finishes what follows ([`crate::recovery`]).
//! 2. The old files are put aside, the last segment's first, to be removed later. Who reads them goes on.
//! 3. The new files get their names, the records last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::debug;

use super::LogWriter;
use crate::directory::{DirectoryState, Failure};
use crate::segment::{FileKind, Segment, SegmentList};
use crate::{CleanedSegment, CleaningSnapshot, LogError};

/// The files that a cleaned segment may have, in the order in which they change their names: the records last.
const KINDS: [FileKind; 4] = [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex, FileKind::Log];

impl LogWriter {
    /// What a [`crate::Cleaner`] has to know of the log as it stands now; `None` if nobody may write it any more.
    #[must_use]
    pub fn begin_cleaning(&self) -> Option<CleaningSnapshot> {
        (!self.failed).then(|| CleaningSnapshot {
            state: Arc::clone(&self.state),
            segments: self.state.segments.load_full(),
            truncations: self.state.truncations.load(Ordering::Acquire),
            last_offsets: self.producers.last_offsets(),
        })
    }

    /// Puts a cleaned segment in the place of those that it was made of; says whether it did. It does not if the log is not
    /// the one that was read: if it was truncated since, even behind them, or they are not all there any more.
    ///
    /// # Errors
    /// What the disk says. If it stops half-way, the writer refuses everything, and opening the log anew finishes it.
    pub fn swap(&mut self, mut cleaned: CleanedSegment, now_ms: i64) -> Result<bool, LogError> {
        if self.failed {
            return Err(LogError::Closed);
        }
        if self.state.dir.directory.state() == DirectoryState::Offline {
            return Err(LogError::DirectoryOffline);
        }
        let list = self.state.segments.load_full();
        let Some(at) = self.place_of(&cleaned, &list) else { return Ok(false) };
        // A record that took an older one's place may have been cut off since.
        if !Arc::ptr_eq(&self.state, &cleaned.state)
            || self.state.truncations.load(Ordering::Acquire) != cleaned.truncations
        {
            return Ok(false);
        }
        let put_aside = self.rename(&mut cleaned)?;
        let dir = &self.state.dir;
        let (base_offset, end) = (cleaned.base_offset(), cleaned.end);
        let segment = if end.bytes == 0 {
            let empty = Segment::empty(Arc::clone(dir), base_offset);
            empty.set_end(end);
            empty
        } else {
            Segment::existing(Arc::clone(dir), base_offset, end)
        };
        segment.set_max_timestamp(cleaned.max);
        segment.set_has_transaction_index(cleaned.has_aborted);
        let mut closed = list.closed().to_vec();
        closed.splice(at..at + cleaned.sources.len(), [Arc::new(segment)]);
        self.state.segments.store(Arc::new(SegmentList::new(closed, Arc::clone(list.active()))));
        self.state.names_dirty.store(true, Ordering::Release);
        let due_ms = now_ms.saturating_add(self.config.file_delete_delay_ms);
        dir.directory.graveyard.add_files(due_ms, put_aside);
        debug!(partition = %dir.partition, base_offset, segments = cleaned.sources.len(), bytes = end.bytes,
            "put a cleaned segment in place");
        Ok(true)
    }

    /// Where the segments stand that it is to take the place of, if they all do.
    fn place_of(&self, cleaned: &CleanedSegment, list: &SegmentList) -> Option<usize> {
        let first = cleaned.sources.first()?;
        let at = list.closed().iter().position(|segment| Arc::ptr_eq(segment, first))?;
        let there = list.closed().get(at..at + cleaned.sources.len())?;
        there.iter().zip(&cleaned.sources).all(|(there, source)| Arc::ptr_eq(there, source)).then_some(at)
    }

    /// Changes the names; gives what is to be removed later.
    fn rename(&mut self, cleaned: &mut CleanedSegment) -> Result<Vec<PathBuf>, Failure> {
        let base_offset = cleaned.base_offset();
        let dir = Arc::clone(&self.state.dir);
        let disk = dir.disk();
        let kinds = KINDS.into_iter().filter(|kind| cleaned.has_aborted || *kind != FileKind::TransactionIndex);
        let kinds: Vec<_> = kinds.collect();
        for &kind in &kinds {
            let (from, to) = (kind.cleaned_path(&dir.path, base_offset), kind.swap_path(&dir.path, base_offset));
            let is_decided = kind == FileKind::Log;
            if is_decided {
                // Whether this one fails or not, nobody can tell any more what a crash would leave.
                self.failed = true;
                cleaned.is_aside = false;
            }
            disk.rename(&from, &to).map_err(|error| self.state.failure(error))?;
        }
        let mut put_aside = Vec::new();
        for source in cleaned.sources.iter().rev() {
            let keeps_snapshot = source.base_offset() == base_offset;
            put_aside.extend(source.mark_replaced(keeps_snapshot).map_err(|error| self.state.failure(error))?);
        }
        for kind in kinds {
            let from = kind.swap_path(&dir.path, base_offset);
            let renamed: io::Result<()> = disk.rename(&from, &kind.path(&dir.path, base_offset));
            renamed.map_err(|error| self.state.failure(error))?;
        }
        self.failed = false;
        Ok(put_aside)
    }
}
