//! What everybody but the writer holds of a log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{DirectoryId, LeaderEpoch, Offset, TopicIdPartition, TopicPartition};

use super::{EpochEnd, LogState, ReadInfo};
use crate::directory::DirectoryState;
use crate::segment::{Position, ScanError, Segment};
use crate::{LogError, ReadError, Slice};

/// Reads a log, from any thread and without waiting for the writer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(crate) state: Arc<LogState>,
}

impl LogReader {
    pub(crate) const fn new(state: Arc<LogState>) -> Self {
        Self { state }
    }

    /// Reads whole batches from `offset` on: as many as fit into `max_bytes`, all below `upper_bound` (the high
    /// watermark for a consumer, `Offset::MAX` for a follower). An offset inside a batch returns the whole batch. With
    /// `min_one` the first batch is returned even if it is larger than `max_bytes`. One read ends at the end of a
    /// segment at the latest; `next_offset` says where to go on.
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
        self.read_batches(offset, (max_bytes, upper_bound, min_one), false)
    }

    /// As [`Self::read`], for who wants records: batches of which compaction has left none are passed over, unless nothing
    /// follows them. librdkafka takes an answer without a record for a limit that is too tight, asks for twice as much
    /// from then on, and gives up when it has met ten of them.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_records(
        &self,
        offset: Offset,
        max_bytes: usize,
        upper_bound: Offset,
        min_one: bool,
    ) -> Result<ReadInfo, ReadError> {
        let bounds = (max_bytes, upper_bound, min_one);
        let info = self.read_batches(offset, bounds, true)?;
        if info.slice.is_empty() { self.read_batches(offset, bounds, false) } else { Ok(info) }
    }

    fn read_batches(
        &self,
        offset: Offset,
        bounds: (usize, Offset, bool),
        passes_empty: bool,
    ) -> Result<ReadInfo, ReadError> {
        if self.state.dir.directory.state() == DirectoryState::Offline {
            return Err(ReadError::DirectoryOffline);
        }
        let start = self.state.log_start_offset();
        let segments = self.state.segments.load();
        let end = segments.end_offset();
        if offset < start || offset > end {
            return Err(ReadError::OffsetOutOfRange { offset, start, end });
        }
        let mut info =
            ReadInfo { slice: Slice::empty(), next_offset: offset, log_start_offset: start, log_end_offset: end };
        if offset >= bounds.1.min(end) {
            return Ok(info);
        }
        for segment in segments.starting_at(offset) {
            let found = read_segment(segment, offset, bounds, passes_empty);
            match found.map_err(|error| self.state.scan_failure(segment, error))? {
                // Compaction and gaps can leave a segment without what the list promises: the next one has it.
                Found::NotHere => {}
                Found::Nothing => break,
                Found::Batches(slice, next_offset) => {
                    (info.slice, info.next_offset) = (slice, next_offset);
                    break;
                }
            }
        }
        Ok(info)
    }

    /// The first offset that exists.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.state.log_start_offset()
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.state.end_offset()
    }

    /// Everything below has been fsynced.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.state.recovery_point()
    }

    /// Everything below has been compacted once, if anything was.
    #[must_use]
    pub fn cleaned_to(&self) -> Offset {
        self.state.cleaned_to()
    }

    /// Where the oldest open transaction starts, if one is open: the bound of the last stable offset.
    #[must_use]
    pub fn first_open_transaction(&self) -> Option<Offset> {
        Some(self.state.first_open_transaction.load(Ordering::Acquire)).filter(|&offset| offset != i64::MAX)
    }

    /// Bytes of records in the segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.state.segments.load().size()
    }

    /// Whether `offset` lies in the active segment, or behind it. Reading there hardly ever waits for the device, since
    /// the segment was written not long ago. Looks at nothing on disk.
    #[must_use]
    pub fn is_in_active_segment(&self, offset: Offset) -> bool {
        offset >= self.state.segments.load().active().base_offset()
    }

    /// Segments, the active one included.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.state.segments.load().len()
    }

    /// The partition by its topic's name.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.state.dir.partition
    }

    /// The partition by its topic's id.
    #[must_use]
    pub fn topic_id_partition(&self) -> TopicIdPartition {
        TopicIdPartition { topic_id: self.state.dir.topic_id, partition: self.state.dir.partition.partition }
    }

    /// The data directory that holds it.
    #[must_use]
    pub fn directory_id(&self) -> DirectoryId {
        self.state.dir.directory.id
    }

    /// In what state that data directory is.
    #[must_use]
    pub fn directory_state(&self) -> DirectoryState {
        self.state.dir.directory.state()
    }

    /// The epoch of the newest record; `None` if there is none.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.state.epochs.load().latest()
    }

    /// The leader epoch that `offset` was written in.
    #[must_use]
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state.epochs.load().epoch_of(offset)
    }

    /// Where `epoch` ended: the greatest epoch at or below it that has records here, and where the next one starts (or
    /// the log end). `None` if this log has only greater ones, or has not heard of it.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let end = self.log_end_offset();
        self.state.epochs.load().end_of(epoch, end)
    }

    /// Whether closed segments wait to be fsynced by [`Self::flush_closed_segments`].
    #[must_use]
    pub fn has_unflushed_closed_segments(&self) -> bool {
        self.state.recovery_point() < self.state.segments.load().active().base_offset()
    }

    /// Fsyncs the segments that were closed since the last flush and moves the recovery point to the active one. Meant
    /// for a maintenance thread, so that rolling a segment does not hold up appends.
    ///
    /// # Errors
    /// What the disk says; an I/O error takes the directory offline.
    pub fn flush_closed_segments(&self) -> Result<(), LogError> {
        if self.state.deleted.load(Ordering::Acquire) || !self.has_unflushed_closed_segments() {
            return Ok(());
        }
        Ok(self.state.flush_closed()?)
    }
}

enum Found {
    /// The segment ends before the offset.
    NotHere,
    /// The batch is there, but may not be returned.
    Nothing,
    /// These, and where to go on.
    Batches(Slice, Offset),
}

fn read_segment(
    segment: &Segment,
    offset: Offset,
    (max_bytes, upper_bound, min_one): (usize, Offset, bool),
    passes_empty: bool,
) -> Result<Found, ScanError> {
    let end: Position = segment.end();
    if end.bytes == 0 {
        return Ok(Found::NotHere);
    }
    let file = segment.log_file().map_err(ScanError::Io)?;
    let Some(mut first) = segment.find(&file, offset, end)? else { return Ok(Found::NotHere) };
    if passes_empty && first.1.records_count == 0 {
        let mut scan = segment.scan(&file, u32::try_from(first.0).unwrap_or(u32::MAX), end.bytes);
        while first.1.records_count == 0 {
            let Some(next) = scan.next()? else { return Ok(Found::NotHere) };
            first = next;
        }
    }
    let (start, (to, next_offset)) = (first.0, segment.find_end(&file, first, max_bytes, upper_bound, min_one, end)?);
    if to <= start {
        return Ok(Found::Nothing);
    }
    segment.note_read(to, next_offset);
    Ok(Found::Batches(Slice::of_file(file, start, (to - start) as usize), next_offset))
}
