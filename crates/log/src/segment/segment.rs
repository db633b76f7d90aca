//! One segment: a file of record batches with its indexes.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use levada_records::BatchHeader;
use levada_types::{Offset, TimestampMs};

use super::position::SharedPosition;
use super::times::{MaxTimestamp, Times};
use super::{FileKind, HeaderScan, Position, ScanError};
use crate::disk::{OpenFile, OpenMode, PooledFile};
use crate::index::{IndexFile, OffsetEntry, SparseIndex, TimeEntry};
use crate::log::LogDir;

/// One segment of a log. The log's writer appends to the active one; everybody reads. Its files are opened when they
/// are needed.
#[derive(Debug)]
pub(crate) struct Segment {
    dir: Arc<LogDir>,
    base_offset: Offset,
    log: PooledFile,
    offset_index: SparseIndex<OffsetEntry>,
    time_index: SparseIndex<TimeEntry>,
    /// How far the log goes.
    end: SharedPosition,
    times: Times,
    /// Where a read ended, which is where the next one of a sequential reader begins.
    hint: SharedPosition,
    /// Whether there may be a transaction index. Without one a read of committed records touches no file for it.
    has_transaction_index: AtomicBool,
    /// What its files are called: [`LIVE`], [`DELETED`], or the number of one that was replaced.
    name: AtomicU64,
    /// The file of record batches of a segment that was replaced: whoever reads it still goes on with this.
    pinned: OnceLock<Arc<OpenFile>>,
}

/// The files are the log's.
const LIVE: u64 = 0;

/// The files are about to be removed.
const DELETED: u64 = 1;

/// The number of the next segment that is replaced.
static NEXT_REPLACED: AtomicU64 = AtomicU64::new(DELETED + 1);

impl Segment {
    /// A segment that exists on disk, with `end` as far as it goes.
    pub(crate) fn existing(dir: Arc<LogDir>, base_offset: Offset, end: Position) -> Self {
        Self {
            dir,
            base_offset,
            log: PooledFile::new(),
            offset_index: SparseIndex::lazy(),
            time_index: SparseIndex::lazy(),
            end: SharedPosition::new(end),
            times: Times::unknown(),
            hint: SharedPosition::new(Position { bytes: 0, relative_offset: 0 }),
            has_transaction_index: AtomicBool::new(false),
            name: AtomicU64::new(LIVE),
            pinned: OnceLock::new(),
        }
    }

    /// A segment without records; its files come into being when they are first written.
    pub(crate) fn empty(dir: Arc<LogDir>, base_offset: Offset) -> Self {
        let segment = Self {
            offset_index: SparseIndex::with_stored(0),
            time_index: SparseIndex::with_stored(0),
            ..Self::existing(dir, base_offset, Position { bytes: 0, relative_offset: 0 })
        };
        segment.times.set(MaxTimestamp::NONE);
        segment
    }

    pub(crate) const fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// How far it goes: what is before is written and may be read.
    pub(crate) fn end(&self) -> Position {
        self.end.get()
    }

    /// Bytes of its records.
    pub(crate) fn size(&self) -> u64 {
        u64::from(self.end().bytes)
    }

    /// The offset after its last record.
    pub(crate) fn end_offset(&self) -> Offset {
        self.base_offset + i64::from(self.end().relative_offset)
    }

    /// Lets readers see everything up to `end`. The writer's.
    pub(crate) fn set_end(&self, end: Position) {
        self.end.set(end);
    }

    pub(crate) fn offset_index(&self) -> &SparseIndex<OffsetEntry> {
        &self.offset_index
    }

    pub(crate) fn time_index(&self) -> &SparseIndex<TimeEntry> {
        &self.time_index
    }

    fn path(&self, kind: FileKind) -> PathBuf {
        match self.name.load(Ordering::Acquire) {
            LIVE => kind.path(&self.dir.path, self.base_offset),
            DELETED => kind.deleted_path(&self.dir.path, self.base_offset),
            number => kind.replaced_path(&self.dir.path, self.base_offset, number),
        }
    }

    /// Calls `operation` with where the index of this kind lies.
    pub(crate) fn with_index<T>(&self, kind: FileKind, operation: impl FnOnce(IndexFile<'_>) -> T) -> T {
        operation(IndexFile { pool: self.dir.pool(), path: &|| self.path(kind) })
    }

    /// The file of record batches.
    pub(crate) fn log_file(&self) -> io::Result<Arc<OpenFile>> {
        if let Some(pinned) = self.pinned.get() {
            return Ok(Arc::clone(pinned));
        }
        let opened = match self.log.get(self.dir.pool(), OpenMode::Write, || self.path(FileKind::Log)) {
            // It may have been renamed between reading the mark and opening it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_deleted() => {
                self.log.get(self.dir.pool(), OpenMode::Write, || self.path(FileKind::Log))
            }
            result => result,
        };
        // Another segment's file may have got the name just before it was opened.
        self.pinned.get().map_or(opened, |pinned| Ok(Arc::clone(pinned)))
    }

    /// The file of record batches, created if it is absent.
    pub(crate) fn log_file_for_append(&self) -> io::Result<Arc<OpenFile>> {
        self.log.get(self.dir.pool(), OpenMode::Create, || self.path(FileKind::Log))
    }

    /// Reads the headers between two positions.
    pub(crate) fn scan<'a>(&self, file: &'a OpenFile, from: u32, to: u32) -> HeaderScan<'a> {
        HeaderScan::new(file, u64::from(from), u64::from(to))
    }

    /// A position at or before the first batch that holds or follows `offset`, as near as the index knows.
    fn position_before(&self, file: &OpenFile, offset: Offset, end: Position) -> io::Result<u32> {
        let relative = u32::try_from((offset - self.base_offset).max(0)).unwrap_or(u32::MAX);
        let entry = self.with_index(FileKind::OffsetIndex, |at| {
            self.offset_index.last_where(at, |entry| entry.relative_offset <= relative && entry.position < end.bytes)
        })?;
        Ok(entry.filter(|entry| self.confirms(file, *entry, end)).map_or(0, |entry| entry.position))
    }

    /// Where the last batch starts that the index knows of.
    pub(crate) fn last_indexed(&self, file: &OpenFile) -> io::Result<u32> {
        let end = self.end();
        let last = self.with_index(FileKind::OffsetIndex, |at| self.offset_index.last(at))?;
        let known = last.filter(|entry| entry.position < end.bytes && self.confirms(file, *entry, end));
        Ok(known.map_or(0, |entry| entry.position))
    }

    /// Whether a batch lies where the index says. A damaged index must not lead a reader astray.
    fn confirms(&self, file: &OpenFile, entry: OffsetEntry, end: Position) -> bool {
        match self.scan(file, entry.position, end.bytes).next() {
            Ok(Some((_, header))) => {
                let indexed = self.base_offset + i64::from(entry.relative_offset);
                header.base_offset >= self.base_offset && header.last_offset() <= indexed
            }
            _ => false,
        }
    }

    /// The first batch that holds or follows `offset`.
    pub(crate) fn find(
        &self,
        file: &OpenFile,
        offset: Offset,
        end: Position,
    ) -> Result<Option<(u64, BatchHeader)>, ScanError> {
        let hint = self.hint.get();
        if offset == self.base_offset + i64::from(hint.relative_offset)
            && let Ok(Some((position, header))) = self.scan(file, hint.bytes, end.bytes).next()
            && header.base_offset >= offset
        {
            return Ok(Some((position, header)));
        }
        let from = self.position_before(file, offset, end).map_err(ScanError::Io)?;
        let mut scan = self.scan(file, from, end.bytes);
        while let Some((position, header)) = scan.next()? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
        }
        Ok(None)
    }

    /// Notes that what follows the batches before `position` begins there, and holds no offset below `offset`.
    pub(crate) fn note_read(&self, position: u64, offset: Offset) {
        if let Ok(bytes) = u32::try_from(position) {
            self.hint.set(Position { bytes, relative_offset: self.relative(offset) });
        }
    }

    /// Where the batches end that begin at `start`, fit into `max_bytes` and lie below `upper_bound`, with the offset
    /// after the last of them. At least one batch if `min_one`.
    pub(crate) fn find_end(
        &self,
        file: &OpenFile,
        start: (u64, BatchHeader),
        max_bytes: usize,
        upper_bound: Offset,
        min_one: bool,
        end: Position,
    ) -> Result<(u64, Offset), ScanError> {
        let (start_at, first) = start;
        let limit = start_at.saturating_add(max_bytes as u64);
        if limit >= u64::from(end.bytes) && upper_bound >= self.base_offset + i64::from(end.relative_offset) {
            return Ok((u64::from(end.bytes), self.base_offset + i64::from(end.relative_offset)));
        }
        let first_end = start_at + first.size_in_bytes() as u64;
        if first.last_offset() >= upper_bound || (first_end > limit && !min_one) {
            return Ok((start_at, first.base_offset));
        }
        // The index leads near the end that is wanted; from there on it is batch by batch.
        let entry = self.with_index(FileKind::OffsetIndex, |at| {
            self.offset_index.last_where(at, |entry| {
                u64::from(entry.position) <= limit
                    && entry.position < end.bytes
                    && self.base_offset + i64::from(entry.relative_offset) < upper_bound
            })
        });
        let from = entry
            .map_err(ScanError::Io)?
            .filter(|entry| u64::from(entry.position) > start_at && self.confirms(file, *entry, end))
            .map_or(start_at, |entry| u64::from(entry.position));
        let mut found = (first_end, first.next_offset());
        let mut scan = HeaderScan::new(file, from, u64::from(end.bytes));
        while let Some((position, header)) = scan.next()? {
            let batch_end = position + header.size_in_bytes() as u64;
            if header.last_offset() >= upper_bound || (batch_end > limit && position > start_at) {
                // The batch before this one was the last: it ends where this one starts.
                if position > start_at {
                    found = (position, found.1.max(header.base_offset.min(upper_bound)));
                }
                break;
            }
            found = (batch_end, header.next_offset());
        }
        Ok(found)
    }

    /// The greatest timestamp in it. When it is not known yet, it comes from the last entry of the time index and the
    /// batches behind that: the index may have lost its end to a full disk or a crash, and retention must not take a
    /// segment for older than it is.
    pub(crate) fn max_timestamp(&self) -> Result<MaxTimestamp, ScanError> {
        if let Some(max) = self.times.get() {
            return Ok(max);
        }
        let end = self.end();
        if end.bytes == 0 {
            self.times.set(MaxTimestamp::NONE);
            return Ok(MaxTimestamp::NONE);
        }
        let entry = self.with_index(FileKind::TimeIndex, |at| self.time_index.last(at)).map_err(ScanError::Io)?;
        let entry = entry.filter(|entry| entry.relative_offset < end.relative_offset);
        let file = self.log_file().map_err(ScanError::Io)?;
        let mut max = entry.map_or(MaxTimestamp::NONE, |entry| MaxTimestamp {
            timestamp: entry.timestamp,
            relative_offset: entry.relative_offset,
        });
        let from = match entry {
            Some(entry) => self.find(&file, self.base_offset + i64::from(entry.relative_offset), end)?,
            None => None,
        };
        let mut scan = self.scan(&file, from.map_or(0, |(position, _)| position as u32), end.bytes);
        while let Some((_, header)) = scan.next()? {
            if header.max_record_timestamp() > max.timestamp {
                let relative_offset = self.relative(header.last_offset());
                max = MaxTimestamp { timestamp: header.max_record_timestamp(), relative_offset };
            }
        }
        self.times.set(max);
        Ok(max)
    }

    /// Notes the greatest timestamp. The writer's.
    pub(crate) fn set_max_timestamp(&self, max: MaxTimestamp) {
        self.times.set(max);
    }

    /// The time to count a segment's age by when it has no timestamps: when its file was last written.
    pub(crate) fn modified_ms(&self) -> io::Result<TimestampMs> {
        Ok(self.dir.disk().stat(&self.path(FileKind::Log))?.modified_ms)
    }

    /// An offset of this segment relative to its base.
    pub(crate) fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset - self.base_offset).unwrap_or(0)
    }

    /// Makes its records and indexes durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self.log_file() {
            Ok(file) => file.sync()?,
            // Nothing was ever written to it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.size() == 0 => return Ok(()),
            Err(error) => return Err(error),
        }
        self.with_index(FileKind::OffsetIndex, |at| self.offset_index.sync(at))?;
        self.with_index(FileKind::TimeIndex, |at| self.time_index.sync(at))
    }

    /// Renames its files so that they are removed even if that is interrupted. Readers that hold it go on reading.
    pub(crate) fn mark_deleted(&self) -> io::Result<()> {
        self.name.store(DELETED, Ordering::Release);
        FileKind::ALL.into_iter().try_for_each(|kind| self.put_aside(kind))
    }

    /// As [`Self::mark_deleted`], of a segment that another takes the place of; gives what its files are called then. The
    /// snapshot of the producers tells of what was before it: if the other one begins there too, `keeps_snapshot` leaves
    /// it to that one.
    pub(crate) fn mark_replaced(&self, keeps_snapshot: bool) -> io::Result<Vec<PathBuf>> {
        let kinds = FileKind::ALL.into_iter().filter(|kind| !keeps_snapshot || *kind != FileKind::ProducerSnapshot);
        // Opened before its name changes: nobody who reads it is to be turned away for that.
        drop(self.pinned.set(self.log_file()?));
        self.name.store(NEXT_REPLACED.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        kinds.clone().try_for_each(|kind| self.put_aside(kind))?;
        Ok(kinds.map(|kind| self.path(kind)).collect())
    }

    fn put_aside(&self, kind: FileKind) -> io::Result<()> {
        let from = kind.path(&self.dir.path, self.base_offset);
        let renamed = self.dir.disk().rename(&from, &self.path(kind));
        // A file that kept its name would come back at the next start. On a full disk a new name may find no room.
        match renamed.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Err(error),
            _ => self.dir.disk().remove_file(&from),
        }) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether its files have been renamed to be removed.
    pub(crate) fn is_deleted(&self) -> bool {
        self.name.load(Ordering::Acquire) != LIVE
    }

    /// Notes whether there is a transaction index.
    pub(crate) fn set_has_transaction_index(&self, has: bool) {
        self.has_transaction_index.store(has, Ordering::Release);
    }

    /// Whether there may be a transaction index.
    pub(crate) fn has_transaction_index(&self) -> bool {
        self.has_transaction_index.load(Ordering::Acquire)
    }

    /// Lets go of its files.
    pub(crate) fn close(&self) {
        self.log.close();
        self.offset_index.close();
        self.time_index.close();
    }
}
