//! Cleans a log: learns the newest offset of each key, then writes what is left.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use levada_types::Offset;

use super::batch_reader::{BatchReader, Stop};
use super::cleaned_files::CleanedFiles;
use super::grouping::group;
use super::keeper::{Counts, Keeper, Left, Room};
use super::offset_map::OffsetMap;
use super::outcomes::Outcomes;
use super::{Cleanable, CleanedSegment, CleaningSnapshot};
use crate::index::{MAX_TRANSACTION_INDEX_BYTES, decode_aborted};
use crate::segment::{FileKind, ScanError, Segment};
use crate::{AbortedTransaction, CleanError, LogConfig};

/// Bytes that have to be free beside what a cleaning writes: more than it takes for a full directory to take writes
/// again, so that compaction is never what fills it.
const SPARE_BYTES: u64 = 16 << 20;

/// The least that is read or written at a time, whatever the settings say.
const LEAST_PIECE: usize = 64 << 10;

/// What one cleaner may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerOptions {
    /// Bytes for the newest offsets of keys, 24 for each (this cleaner's share of `log.cleaner.dedupe.buffer.size`).
    pub dedupe_buffer_bytes: usize,
    /// How full that memory may become, from 0 to 1 (`log.cleaner.io.buffer.load.factor`).
    pub load_factor: f64,
    /// Bytes for reading and writing together (its share of `log.cleaner.io.buffer.size`). A larger batch takes more for
    /// a while.
    pub io_buffer_bytes: usize,
}

/// Who asks for a cleaning, and is asked how to go on.
pub trait Guide {
    /// These bytes are about to be read, or were written. Whoever holds a cleaning back waits in here. `Break` ends it.
    fn spend(&mut self, bytes: u64) -> ControlFlow<()>;

    /// Has the log's writer put this in the place of what it was made of.
    ///
    /// # Errors
    /// Whatever ends the cleaning.
    fn swap(&mut self, cleaned: CleanedSegment) -> Result<(), CleanError>;
}

/// What a cleaning has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cleaned {
    /// Everything below is clean now.
    pub end: Offset,
    /// What was done.
    pub stats: CleaningStats,
}

/// What a cleaning has done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CleaningStats {
    /// Bytes of the segments that were read to learn the keys.
    pub mapped_bytes: u64,
    /// Bytes of the segments that were cleaned.
    pub bytes_before: u64,
    /// Bytes that are left of them.
    pub bytes_after: u64,
    /// Records in them.
    pub records_before: u64,
    /// Records that are left.
    pub records_after: u64,
    /// Records that went since they have no key.
    pub records_without_key: u64,
    /// Segments that were cleaned.
    pub segments_before: usize,
    /// Segments that are left of them.
    pub segments_after: usize,
    /// How full the memory for keys was, from 0 to 1.
    pub map_utilization: f64,
}

/// Cleans one log after the other. It blocks: for a thread of its own.
pub struct Cleaner {
    options: CleanerOptions,
    /// What is read.
    input: Vec<u8>,
    /// What is left of one batch.
    output: Vec<u8>,
    room: Room,
}

impl Cleaner {
    /// A cleaner that may use this much. It holds next to nothing while it cleans nothing.
    #[must_use]
    pub fn new(options: CleanerOptions) -> Self {
        Self { options, input: Vec::new(), output: Vec::new(), room: Room::default() }
    }

    /// Cleans what `what`, which [`CleaningSnapshot::cleanable`] has found, says of a log with these settings, as far as
    /// the keys fit the memory. `now_ms` is the time that tombstones are held against.
    ///
    /// # Errors
    /// [`CleanError`]. What had been put in place by then stays: it is whole, as is the rest.
    pub fn clean(
        &mut self,
        snapshot: &CleaningSnapshot,
        what: &Cleanable,
        config: &LogConfig,
        now_ms: i64,
        guide: &mut dyn Guide,
    ) -> Result<Cleaned, CleanError> {
        let cleaned = self.clean_log(snapshot, what, config, now_ms, guide);
        self.input = Vec::new();
        self.output = Vec::new();
        let cleaned = cleaned?;
        snapshot.finish(cleaned.end);
        Ok(cleaned)
    }

    fn clean_log(
        &mut self,
        snapshot: &CleaningSnapshot,
        what: &Cleanable,
        config: &LogConfig,
        now_ms: i64,
        guide: &mut dyn Guide,
    ) -> Result<Cleaned, CleanError> {
        let closed = snapshot.segments.closed();
        let sources = &closed[..closed.partition_point(|segment| segment.end_offset() <= what.end)];
        let mut stats = CleaningStats::default();
        let mut outcomes = None;
        let mut map = OffsetMap::new(self.options.dedupe_buffer_bytes, self.options.load_factor);
        let mut mapping = Mapping { snapshot, what, map: &mut map, outcomes: &mut outcomes, end: what.end };
        for segment in sources.iter().filter(|segment| segment.end_offset() > what.first_dirty) {
            let goes_on = self.map_segment(segment, &mut mapping, guide)?;
            stats.mapped_bytes += segment.size();
            if !goes_on {
                break;
            }
        }
        let map_end = mapping.end;
        stats.map_utilization = map.utilization();
        if map_end <= what.first_dirty {
            return Ok(Cleaned { end: what.first_dirty, stats });
        }

        let sources = &sources[..sources.partition_point(|segment| segment.base_offset() < map_end)];
        let epochs = snapshot.state.epochs.load_full();
        let mut keeper = Keeper {
            map: &map,
            map_end,
            outcomes: outcomes.as_ref(),
            epochs: &epochs,
            last_offsets: &snapshot.last_offsets,
            now_ms,
            horizon_ms: now_ms.saturating_add(config.delete_retention_ms),
            in_transaction: Default::default(),
            counts: Counts::default(),
        };
        for group in group(sources, config.segment_bytes) {
            let bytes: u64 = group.iter().map(|segment| segment.size()).sum();
            stats.bytes_before += bytes;
            stats.segments_before += group.len();
            stats.segments_after += 1;
            let left = self.clean_group(snapshot, group, config, &mut keeper, guide)?;
            stats.bytes_after += left.as_ref().map_or(bytes, CleanedSegment::size);
            if let Some(cleaned) = left {
                guide.swap(cleaned)?;
            }
        }
        let Counts { read, kept, invalid } = keeper.counts;
        (stats.records_before, stats.records_after, stats.records_without_key) = (read, kept, invalid);
        Ok(Cleaned { end: map_end, stats })
    }

    fn piece(&self) -> usize {
        (self.options.io_buffer_bytes / 2).max(LEAST_PIECE)
    }

    /// Learns the keys of a segment; false if what is learned ends within it.
    fn map_segment(
        &mut self,
        segment: &Arc<Segment>,
        mapping: &mut Mapping<'_>,
        guide: &mut dyn Guide,
    ) -> Result<bool, CleanError> {
        let first_dirty = mapping.what.first_dirty;
        let failed = |error| scan_failed(mapping.snapshot, segment, error);
        let file = segment.log_file().map_err(|error| failed(ScanError::Io(error)))?;
        let end = segment.end();
        let Some((position, _)) = segment.find(&file, first_dirty, end).map_err(failed)? else { return Ok(true) };
        let piece = self.piece();
        let mut reader = BatchReader::new(&file, position, u64::from(end.bytes), &mut self.input, piece);
        loop {
            let at = reader.position();
            let batch = reader.next(guide).map_err(|stop| stopped(mapping.snapshot, segment, stop))?;
            let Some(batch) = batch else { return Ok(true) };
            let header = *batch.header();
            if header.is_transactional() && !header.is_control() {
                let outcomes = mapping.outcomes(&mut self.room)?;
                let (is_aborted, undecided) = (outcomes.is_aborted(&header), outcomes.first_undecided());
                if is_aborted {
                    continue;
                }
                mapping.end = mapping.end.min(undecided.unwrap_or(Offset::MAX)).max(first_dirty);
            }
            if header.is_control() {
                continue;
            }
            if header.base_offset >= mapping.end {
                return Ok(false);
            }
            let corrupt = |reason| CleanError::Corrupt { base_offset: segment.base_offset(), position: at, reason };
            for record in batch.records(&mut self.room.buffer).map_err(corrupt)? {
                let record = record.map_err(corrupt)?;
                let Some(key) = record.key.filter(|_| record.offset >= first_dirty) else { continue };
                if record.offset >= mapping.end || !mapping.map.put(key, record.offset) {
                    mapping.end = mapping.end.min(record.offset);
                    return Ok(false);
                }
            }
        }
    }

    /// Writes what is left of some segments; `None` if that is what they are.
    fn clean_group(
        &mut self,
        snapshot: &CleaningSnapshot,
        group: &[Arc<Segment>],
        config: &LogConfig,
        keeper: &mut Keeper<'_>,
        guide: &mut dyn Guide,
    ) -> Result<Option<CleanedSegment>, CleanError> {
        let dir = &*snapshot.state.dir;
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(None) };
        let base_offset = first.base_offset();
        let io = |error| CleanError::of_io(error, || FileKind::Log.cleaned_path(&dir.path, base_offset));
        let needed = SPARE_BYTES + group.iter().map(|segment| segment.size()).sum::<u64>();
        let available = dir.disk().space(&dir.path).map_err(io)?.available;
        if available < needed {
            return Err(CleanError::NoSpace { needed, available });
        }
        let piece = self.piece();
        let mut target = CleanedFiles::create(dir, base_offset, config.index_interval_bytes, piece).map_err(io)?;
        let mut is_changed = group.len() > 1;
        let mut markers = HashSet::new();
        for segment in group {
            let failed = |error| scan_failed(snapshot, segment, ScanError::Io(error));
            let file = segment.log_file().map_err(failed)?;
            let end = u64::from(segment.end().bytes);
            let mut reader = BatchReader::new(&file, 0, end, &mut self.input, piece);
            if reader.is_hot() {
                target.mind_readers();
            }
            loop {
                let at = reader.position();
                let Some(batch) = reader.next(guide).map_err(|stop| stopped(snapshot, segment, stop))? else { break };
                let is_last = Arc::ptr_eq(segment, last) && at + batch.bytes().len() as u64 >= end;
                self.output.clear();
                let left = keeper.judge(&batch, is_last, &mut self.room, &mut self.output).map_err(|reason| {
                    CleanError::Corrupt { base_offset: segment.base_offset(), position: at, reason }
                })?;
                let (bytes, header) = match &left {
                    Left::Whole => (batch.bytes(), batch.header()),
                    Left::Instead(header) => (self.output.as_slice(), header),
                    Left::Nothing => {
                        is_changed = true;
                        continue;
                    }
                };
                is_changed |= matches!(left, Left::Instead(_));
                if header.is_control() && header.records_count > 0 {
                    markers.insert(header.base_offset);
                }
                if !target.fits(bytes.len()) {
                    return Err(CleanError::TooLarge { base_offset });
                }
                target.append(bytes, header).map_err(io)?;
                if guide.spend(bytes.len() as u64) == ControlFlow::Break(()) {
                    return Err(CleanError::CalledOff);
                }
            }
        }
        if !is_changed {
            return Ok(None);
        }
        let modified_ms = last.modified_ms().map_err(io)?;
        let aborted = aborted_in(snapshot, group, &markers).map_err(io)?;
        let (mut end, max) = target.complete(&aborted, modified_ms).map_err(io)?;
        end.relative_offset = first.relative(last.end_offset());
        let (state, truncations) = (Arc::clone(&snapshot.state), snapshot.truncations);
        let (sources, has_aborted) = (group.to_vec(), !aborted.is_empty());
        Ok(Some(CleanedSegment { state, truncations, sources, end, max, has_aborted, is_aside: true }))
    }
}

/// The first pass over a log.
struct Mapping<'a> {
    snapshot: &'a CleaningSnapshot,
    what: &'a Cleanable,
    map: &'a mut OffsetMap,
    /// How transactions have ended, once there was one.
    outcomes: &'a mut Option<Outcomes>,
    /// Where what is learned ends.
    end: Offset,
}

impl Mapping<'_> {
    fn outcomes(&mut self, room: &mut Room) -> Result<&Outcomes, CleanError> {
        if self.outcomes.is_none() {
            *self.outcomes = Some(read_outcomes(self.snapshot, self.what.stable_end, room)?);
        }
        Ok(self.outcomes.get_or_insert_default())
    }
}

fn read_outcomes(snapshot: &CleaningSnapshot, bound: Offset, room: &mut Room) -> Result<Outcomes, CleanError> {
    let mut outcomes = Outcomes::default();
    for segment in snapshot.segments.iter().take_while(|segment| segment.base_offset() < bound) {
        let read = outcomes.read(segment, bound, &mut room.buffer);
        read.map_err(|error| scan_failed(snapshot, segment, error))?;
    }
    Ok(outcomes)
}

/// The transactions that the indexes of these segments say were aborted by markers that stay.
fn aborted_in(
    snapshot: &CleaningSnapshot,
    group: &[Arc<Segment>],
    markers: &HashSet<Offset>,
) -> io::Result<Vec<AbortedTransaction>> {
    let dir = &snapshot.state.dir;
    let mut aborted = Vec::new();
    for segment in group.iter().filter(|segment| segment.has_transaction_index()) {
        let path = FileKind::TransactionIndex.path(&dir.path, segment.base_offset());
        match dir.disk().read(&path, MAX_TRANSACTION_INDEX_BYTES) {
            Ok(bytes) => {
                aborted.extend(decode_aborted(&bytes).into_iter().filter(|one| markers.contains(&one.last_offset)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(aborted)
}

fn stopped(snapshot: &CleaningSnapshot, segment: &Segment, stop: Stop) -> CleanError {
    match stop {
        Stop::CalledOff => CleanError::CalledOff,
        Stop::Scan(error) => scan_failed(snapshot, segment, error),
    }
}

fn scan_failed(snapshot: &CleaningSnapshot, segment: &Segment, error: ScanError) -> CleanError {
    if segment.is_deleted() {
        return CleanError::Changed;
    }
    let base_offset = segment.base_offset();
    CleanError::of_scan(error, base_offset, || FileKind::Log.path(&snapshot.state.dir.path, base_offset))
}
