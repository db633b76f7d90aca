//! The files of a segment that compaction writes: its records and its indexes.

use std::io;
use std::path::Path;

use levada_records::BatchHeader;
use levada_types::Offset;

use crate::AbortedTransaction;
use crate::disk::{Disk, OpenFile, OpenMode};
use crate::index::{IndexEntry, OffsetEntry, TimeEntry, encode_aborted};
use crate::log::LogDir;
use crate::segment::{FileKind, MaxTimestamp, Position};

/// Bytes after which what was written is made durable: so there is never much that the device has to take at once while
/// others wait for it.
const SYNC_BYTES: u64 = 16 << 20;

/// Bytes of index entries that are kept before they are written.
const INDEX_PIECE: usize = 64 << 10;

/// The files of a segment that compaction writes. They bear names of their own until they take the place of others, and
/// are removed when this is dropped before they are complete.
pub(super) struct CleanedFiles<'a> {
    dir: &'a LogDir,
    base_offset: Offset,
    log: Target,
    offsets: Target,
    times: Target,
    index_interval_bytes: u64,
    since_index: u64,
    max: MaxTimestamp,
    /// The greatest timestamp in the time index.
    indexed: i64,
    /// One past the last offset, relative to the base.
    relative_end: u32,
    /// Others read what it is made of: then they will read this.
    is_hot: bool,
    is_complete: bool,
}

/// One file that is written from its start to its end.
struct Target {
    file: OpenFile,
    pending: Vec<u8>,
    piece: usize,
    written: u64,
    synced: u64,
}

impl Target {
    fn create(disk: &dyn Disk, path: &Path, piece: usize) -> io::Result<Self> {
        let file = OpenFile::new(disk.open(path, OpenMode::Create)?);
        file.set_len(0)?;
        Ok(Self { file, pending: Vec::new(), piece, written: 0, synced: 0 })
    }

    fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= self.piece { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.pending, self.written)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn sync(&mut self, is_hot: bool) -> io::Result<()> {
        self.file.sync()?;
        if !is_hot {
            self.file.forget(self.synced, self.written - self.synced);
        }
        self.synced = self.written;
        Ok(())
    }
}

impl<'a> CleanedFiles<'a> {
    /// Creates the files of the segment at `base_offset`; records are written `piece` bytes at a time.
    pub(super) fn create(
        dir: &'a LogDir,
        base_offset: Offset,
        index_interval_bytes: u64,
        piece: usize,
    ) -> io::Result<Self> {
        let [log, offsets, times] = create_all(dir, base_offset, piece).inspect_err(|_| {
            remove_all(dir, base_offset);
        })?;
        Ok(Self {
            dir,
            base_offset,
            log,
            offsets,
            times,
            index_interval_bytes,
            since_index: 0,
            max: MaxTimestamp::NONE,
            indexed: -1,
            relative_end: 0,
            is_hot: false,
            is_complete: false,
        })
    }

    /// Part of what it is made of is read by others.
    pub(super) const fn mind_readers(&mut self) {
        self.is_hot = true;
    }

    /// How many bytes of records there are.
    pub(super) fn len(&self) -> u64 {
        self.log.len()
    }

    /// Whether a batch of `size` bytes fits.
    pub(super) fn fits(&self, size: usize) -> bool {
        self.len() + size as u64 <= u64::from(i32::MAX.unsigned_abs())
    }

    /// Appends a batch that [`Self::fits`].
    pub(super) fn append(&mut self, bytes: &[u8], header: &BatchHeader) -> io::Result<()> {
        let relative_offset = u32::try_from(header.last_offset() - self.base_offset).unwrap_or(0);
        if header.max_record_timestamp() > self.max.timestamp {
            self.max = MaxTimestamp { timestamp: header.max_record_timestamp(), relative_offset };
        }
        if self.since_index > self.index_interval_bytes {
            let position = u32::try_from(self.len()).unwrap_or(u32::MAX);
            let mut entry = Vec::with_capacity(OffsetEntry::SIZE);
            OffsetEntry { relative_offset, position }.encode(&mut entry);
            self.offsets.push(&entry)?;
            self.index_time()?;
            self.since_index = 0;
        }
        self.since_index += bytes.len() as u64;
        self.relative_end = relative_offset + 1;
        self.log.push(bytes)?;
        if self.log.written - self.log.synced >= SYNC_BYTES { self.log.sync(self.is_hot) } else { Ok(()) }
    }

    fn index_time(&mut self) -> io::Result<()> {
        if self.max.timestamp <= self.indexed {
            return Ok(());
        }
        self.indexed = self.max.timestamp;
        let mut entry = Vec::with_capacity(TimeEntry::SIZE);
        TimeEntry { timestamp: self.max.timestamp, relative_offset: self.max.relative_offset }.encode(&mut entry);
        self.times.push(&entry)
    }

    /// Writes the index of aborted transactions, and makes the files durable, names included, with the age of what they take
    /// the place of; gives how far the records go.
    pub(super) fn complete(
        mut self,
        aborted: &[AbortedTransaction],
        modified_ms: i64,
    ) -> io::Result<(Position, MaxTimestamp)> {
        self.index_time()?;
        if !aborted.is_empty() {
            let path = FileKind::TransactionIndex.cleaned_path(&self.dir.path, self.base_offset);
            let mut target = Target::create(self.dir.disk(), &path, INDEX_PIECE)?;
            aborted.iter().for_each(|transaction| encode_aborted(transaction, &mut target.pending));
            target.write()?;
            target.file.sync()?;
        }
        for target in [&mut self.offsets, &mut self.times, &mut self.log] {
            target.write()?;
            target.sync(self.is_hot)?;
        }
        self.log.file.set_modified_ms(modified_ms)?;
        self.dir.disk().sync_dir(&self.dir.path)?;
        self.is_complete = true;
        let bytes = u32::try_from(self.log.written).unwrap_or(u32::MAX);
        Ok((Position { bytes, relative_offset: self.relative_end }, self.max))
    }
}

/// Removes what was written. What stays is removed when the log is opened the next time.
pub(super) fn remove_all(dir: &LogDir, base_offset: Offset) {
    for kind in FileKind::ALL {
        drop(dir.disk().remove_file(&kind.cleaned_path(&dir.path, base_offset)));
    }
}

fn create_all(dir: &LogDir, base_offset: Offset, piece: usize) -> io::Result<[Target; 3]> {
    let target = |kind: FileKind, piece| Target::create(dir.disk(), &kind.cleaned_path(&dir.path, base_offset), piece);
    Ok([
        target(FileKind::Log, piece)?,
        target(FileKind::OffsetIndex, INDEX_PIECE)?,
        target(FileKind::TimeIndex, INDEX_PIECE)?,
    ])
}

impl Drop for CleanedFiles<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            remove_all(self.dir, self.base_offset);
        }
    }
}
