//! A sparse index: most of it in its file, the newest entries in memory.
//!
//! The writer adds entries to a tail in memory; a full tail goes to the file in one write and an empty one takes its
//! place. Readers take a snapshot of the tail (`ArcSwap`) and search that, or the part of the file in front of it,
//! which never changes. So lookups need neither a lock nor a memory map, and an index at rest takes no memory.

use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::IndexEntry;
use crate::disk::{FilePool, OpenFile, OpenMode, PooledFile};

/// Entries that the tail holds when it goes to the file: with `index.interval.bytes=4096` every MiB of records.
const TAIL_ENTRIES: usize = 256;

/// Entries that the tail of a new segment has room for. It doubles as it fills, so that ten thousand small logs hold some
/// hundred bytes each and not some thousand.
const FIRST_TAIL_ENTRIES: usize = 8;

/// Bytes that one step of a search in the file reads: a page.
const SEARCH_BYTES: usize = 4096;

/// A sparse index of one segment.
#[derive(Debug)]
pub(crate) struct SparseIndex<E> {
    file: PooledFile,
    /// `None` until somebody needs it.
    view: ArcSwapOption<View<E>>,
    /// Whether the file may hold what was not synced.
    unsynced: AtomicBool,
    entry: PhantomData<E>,
}

/// Where an index lies.
#[derive(Clone, Copy)]
pub(crate) struct IndexFile<'a> {
    pub(crate) pool: &'a FilePool,
    pub(crate) path: &'a dyn Fn() -> PathBuf,
}

#[derive(Debug)]
struct View<E> {
    /// Entries in the file that come before the tail.
    stored: usize,
    tail: Box<[OnceLock<E>]>,
    len: AtomicUsize,
    /// Entries of the tail that are in the file as well. The writer's.
    written: AtomicUsize,
    /// The first entry of each page of the file, once somebody has searched it: 8 or 12 bytes per MiB of records or so
    /// save a handful of reads per lookup.
    pages: OnceLock<Vec<E>>,
}

impl<E: IndexEntry> View<E> {
    fn new(stored: usize, capacity: usize) -> Self {
        Self {
            stored,
            tail: (0..capacity).map(|_| OnceLock::new()).collect(),
            len: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            pages: OnceLock::new(),
        }
    }

    /// The view that follows when the whole tail is in the file.
    fn spilled(&self, capacity: usize) -> Self {
        let next = Self::new(self.stored + self.len(), capacity);
        if let Some(pages) = self.pages.get() {
            let starts = self.entries().enumerate().filter(|(i, _)| (self.stored + i).is_multiple_of(per_page::<E>()));
            let pages = pages.iter().copied().chain(starts.map(|(_, entry)| entry)).collect();
            next.pages.get_or_init(|| pages);
        }
        next
    }

    /// The same view with more room.
    fn grown(&self) -> Self {
        let larger = Self::new(self.stored, (self.tail.len() * 2).max(FIRST_TAIL_ENTRIES));
        for entry in self.entries() {
            larger.push(entry);
        }
        larger.written.store(self.written.load(Ordering::Relaxed), Ordering::Relaxed);
        if let Some(pages) = self.pages.get() {
            larger.pages.get_or_init(|| pages.clone());
        }
        larger
    }

    /// The first entry of each page of the file. Stops where the file is not what it should be.
    fn pages(&self, file: &OpenFile) -> io::Result<&[E]> {
        if let Some(pages) = self.pages.get() {
            return Ok(pages);
        }
        let mut pages = Vec::new();
        for page in 0..self.stored.div_ceil(per_page::<E>()) {
            let Some(entry) = read_entry(file, page * per_page::<E>())? else { break };
            pages.push(entry);
        }
        Ok(self.pages.get_or_init(|| pages))
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    fn get(&self, index: usize) -> Option<E> {
        self.tail.get(index).and_then(OnceLock::get).copied()
    }

    fn push(&self, entry: E) -> bool {
        let len = self.len();
        let added = self.tail.get(len).is_some_and(|slot| slot.set(entry).is_ok());
        if added {
            self.len.store(len + 1, Ordering::Release);
        }
        added
    }

    fn entries(&self) -> impl Iterator<Item = E> + '_ {
        self.tail.iter().take(self.len()).filter_map(|slot| slot.get().copied())
    }
}

impl<E: IndexEntry> SparseIndex<E> {
    /// The index of a segment that exists; looked at when it is needed.
    pub(crate) fn lazy() -> Self {
        Self {
            file: PooledFile::new(),
            view: ArcSwapOption::empty(),
            // Whoever wrote it may have been killed before the sync.
            unsynced: AtomicBool::new(true),
            entry: PhantomData,
        }
    }

    /// An index whose file holds `stored` entries: 0 for a new segment.
    pub(crate) fn with_stored(stored: usize) -> Self {
        let index = Self::lazy();
        index.view.store(Some(Arc::new(View::new(stored, 0))));
        index.unsynced.store(stored > 0, Ordering::Relaxed);
        index
    }

    fn open(&self, at: IndexFile<'_>, mode: OpenMode) -> io::Result<Arc<OpenFile>> {
        self.file.get(at.pool, mode, at.path)
    }

    /// The file for reading; `None` if there is none, which is an empty index.
    fn existing(&self, at: IndexFile<'_>) -> io::Result<Option<Arc<OpenFile>>> {
        match self.open(at, OpenMode::Write) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn view(&self, at: IndexFile<'_>) -> io::Result<Arc<View<E>>> {
        if let Some(view) = self.view.load_full() {
            return Ok(view);
        }
        let stored = match self.existing(at)? {
            Some(file) => self.count_stored(&file)?,
            None => 0,
        };
        let loaded = Arc::new(View::new(stored, 0));
        let raced = self.view.compare_and_swap(&None::<Arc<View<E>>>, Some(Arc::clone(&loaded)));
        Ok(raced.as_ref().map_or(loaded, Arc::clone))
    }

    /// How many entries of the file count. Kafka preallocates an active segment's index, so a file that was not
    /// trimmed ends in zeros; the last entry is then found by halving, since entries ascend.
    fn count_stored(&self, file: &OpenFile) -> io::Result<usize> {
        let total = (file.size()? / E::SIZE as u64) as usize;
        let Some(last) = total.checked_sub(1) else { return Ok(0) };
        let Some(first) = read_entry::<E>(file, 0)? else { return Ok(0) };
        if total == 1 || read_entry::<E>(file, last)?.is_some_and(|entry| entry.may_follow(&first)) {
            return Ok(total);
        }
        let (mut valid, mut invalid) = (1, total);
        while valid < invalid {
            let middle = valid + (invalid - valid) / 2;
            if read_entry::<E>(file, middle)?.is_some_and(|entry| entry.may_follow(&first)) {
                valid = middle + 1;
            } else {
                invalid = middle;
            }
        }
        Ok(valid)
    }

    /// How many entries it has.
    pub(crate) fn len(&self, at: IndexFile<'_>) -> io::Result<usize> {
        let view = self.view(at)?;
        Ok(view.stored + view.len())
    }

    /// Its last entry.
    pub(crate) fn last(&self, at: IndexFile<'_>) -> io::Result<Option<E>> {
        let view = self.view(at)?;
        if let Some(index) = view.len().checked_sub(1) {
            return Ok(view.get(index));
        }
        let Some(index) = view.stored.checked_sub(1) else { return Ok(None) };
        match self.existing(at)? {
            Some(file) => read_entry(&file, index),
            None => Ok(None),
        }
    }

    /// The last entry of those at the front for which `holds` is true. It must hold for none after the first for which
    /// it does not.
    pub(crate) fn last_where(&self, at: IndexFile<'_>, holds: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        let view = self.view(at)?;
        let in_tail = partition_point(view.len(), |index| Ok(view.get(index).is_some_and(|entry| holds(&entry))))?;
        if let Some(index) = in_tail.checked_sub(1) {
            return Ok(view.get(index));
        }
        if view.stored == 0 {
            return Ok(None);
        }
        let Some(file) = self.existing(at)? else { return Ok(None) };
        search_file(&file, &view, &holds)
    }

    /// Adds an entry. If the file takes no more (a full disk), the entries stay in memory: the index is whole either
    /// way, and the error says what happened.
    pub(crate) fn push(&self, at: IndexFile<'_>, entry: E) -> io::Result<()> {
        let view = self.view(at)?;
        if view.push(entry) {
            return Ok(());
        }
        let spilled = if view.tail.len() < TAIL_ENTRIES { None } else { Some(self.write(at, &view)) };
        let next = if matches!(spilled, Some(Ok(()))) { view.spilled(TAIL_ENTRIES) } else { view.grown() };
        next.push(entry);
        self.view.store(Some(Arc::new(next)));
        spilled.unwrap_or(Ok(()))
    }

    fn write(&self, at: IndexFile<'_>, view: &View<E>) -> io::Result<()> {
        let (written, len) = (view.written.load(Ordering::Relaxed), view.len());
        if written == len {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity((len - written) * E::SIZE);
        for entry in view.entries().skip(written) {
            entry.encode(&mut bytes);
        }
        let file = self.open(at, OpenMode::Create)?;
        let result = file.write_all_at(&bytes, ((view.stored + written) * E::SIZE) as u64);
        // Not before: a sync that runs beside it may miss it.
        self.unsynced.store(true, Ordering::Release);
        result?;
        view.written.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Writes what is in memory only to the file, and cuts the file behind it.
    pub(crate) fn write_out(&self, at: IndexFile<'_>) -> io::Result<()> {
        let Some(view) = self.view.load_full() else { return Ok(()) };
        self.write(at, &view)
    }

    /// As [`Self::write_out`], and gives the memory back: nothing is added to the index any more.
    pub(crate) fn finish(&self, at: IndexFile<'_>) -> io::Result<()> {
        let Some(view) = self.view.load_full() else { return Ok(()) };
        self.write(at, &view)?;
        self.view.store(Some(Arc::new(view.spilled(0))));
        Ok(())
    }

    /// Makes the file durable, if there is one that is not.
    pub(crate) fn sync(&self, at: IndexFile<'_>) -> io::Result<()> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let synced = self.existing(at).and_then(|file| file.map_or(Ok(()), |file| file.sync()));
        if synced.is_err() {
            self.unsynced.store(true, Ordering::Release);
        }
        synced
    }

    /// Cuts the index back to its first `entries`, on disk too. Only for an index that no reader has yet.
    pub(crate) fn truncate(&self, at: IndexFile<'_>, entries: usize) -> io::Result<()> {
        if let Some(file) = self.existing(at)? {
            let len = (entries * E::SIZE) as u64;
            if file.size()? > len {
                let result = file.set_len(len);
                self.unsynced.store(true, Ordering::Release);
                result?;
            }
        }
        self.view.store(Some(Arc::new(View::new(entries, 0))));
        Ok(())
    }

    /// The entries in the file at the front that ascend and for which `holds` is true. For recovery, which trusts
    /// nothing.
    pub(crate) fn count_valid(&self, at: IndexFile<'_>, holds: impl Fn(&E) -> bool) -> io::Result<usize> {
        let Some(file) = self.existing(at)? else { return Ok(0) };
        let mut previous: Option<E> = None;
        let mut count = 0;
        let mut page = [0; SEARCH_BYTES];
        let per_page = per_page::<E>();
        loop {
            let filled = file.read_up_to(&mut page[..per_page * E::SIZE], (count * E::SIZE) as u64)?;
            let before = count;
            for bytes in page[..filled].chunks_exact(E::SIZE) {
                let Some(entry) = E::decode(bytes) else { return Ok(count) };
                if previous.is_some_and(|previous| !entry.may_follow(&previous)) || !holds(&entry) {
                    return Ok(count);
                }
                previous = Some(entry);
                count += 1;
            }
            if count - before < per_page {
                return Ok(count);
            }
        }
    }

    /// Lets go of the file.
    pub(crate) fn close(&self) {
        self.file.close();
    }
}

fn read_entry<E: IndexEntry>(file: &OpenFile, index: usize) -> io::Result<Option<E>> {
    // The longest entry is 12 bytes.
    let mut bytes = [0; 16];
    let filled = file.read_up_to(&mut bytes[..E::SIZE], (index * E::SIZE) as u64)?;
    Ok(E::decode(&bytes[..filled]))
}

/// Entries in a page of the file.
const fn per_page<E: IndexEntry>() -> usize {
    SEARCH_BYTES / E::SIZE
}

/// Finds the page by the first entries of pages, then looks within it.
fn search_file<E: IndexEntry>(file: &OpenFile, view: &View<E>, holds: &impl Fn(&E) -> bool) -> io::Result<Option<E>> {
    let (stored, per_page) = (view.stored, per_page::<E>());
    let Some(page) = view.pages(file)?.partition_point(holds).checked_sub(1) else { return Ok(None) };
    let first = page * per_page;
    let count = per_page.min(stored - first);
    let mut bytes = [0; SEARCH_BYTES];
    let filled = file.read_up_to(&mut bytes[..count * E::SIZE], (first * E::SIZE) as u64)?;
    let entry = |index: usize| bytes[..filled].chunks_exact(E::SIZE).nth(index).and_then(E::decode);
    let within = partition_point(filled / E::SIZE, |index| Ok(entry(index).is_some_and(|entry| holds(&entry))))?;
    Ok(within.checked_sub(1).and_then(entry))
}

/// How many of the first `count` indexes `holds` is true for, given that it is for none after the first for which it
/// is not.
fn partition_point(count: usize, holds: impl Fn(usize) -> io::Result<bool>) -> io::Result<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;
    use crate::index::{OffsetEntry, TimeEntry};

    fn entry(i: u32) -> OffsetEntry {
        OffsetEntry { relative_offset: i * 10 + 9, position: i * 100 }
    }

    fn find(index: &SparseIndex<OffsetEntry>, at: IndexFile<'_>, offset: u32) -> Option<OffsetEntry> {
        index.last_where(at, |entry| entry.relative_offset <= offset).unwrap()
    }

    #[test]
    fn finds_every_entry_in_memory_and_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let pool = FilePool::new(Arc::new(RealDisk), 4);
        let path = || dir.path().join("i.index");
        let at = IndexFile { pool: &pool, path: &path };
        let index = SparseIndex::with_stored(0);
        for i in 0..3_000 {
            index.push(at, entry(i)).unwrap();
        }
        let check = |index: &SparseIndex<OffsetEntry>| {
            assert_eq!(index.len(at).unwrap(), 3_000);
            assert_eq!(index.last(at).unwrap(), Some(entry(2_999)));
            assert_eq!(find(index, at, 8), None);
            for i in 0..3_000 {
                assert_eq!(find(index, at, i * 10 + 9), Some(entry(i)));
                assert_eq!(find(index, at, i * 10 + 18), Some(entry(i)));
            }
        };
        check(&index);
        index.finish(at).unwrap();
        check(&index);
        check(&SparseIndex::lazy());
    }

    #[test]
    fn zeros_behind_the_entries_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let pool = FilePool::new(Arc::new(RealDisk), 4);
        for count in [0, 1, 2, 3, 700] {
            let name = dir.path().join(count.to_string());
            let path = || name.clone();
            let at = IndexFile { pool: &pool, path: &path };
            let index = SparseIndex::with_stored(0);
            for i in 0..count {
                index.push(at, TimeEntry { timestamp: 1_000 + i64::from(i), relative_offset: i + 1 }).unwrap();
            }
            index.finish(at).unwrap();
            let file = index.open(at, OpenMode::Create).unwrap();
            file.set_len(12 * 1024).unwrap();
            let reopened = SparseIndex::<TimeEntry>::lazy();
            // A file of zeros alone has one entry that says nothing.
            assert_eq!(reopened.len(at).unwrap(), (count as usize).max(1));
            assert_eq!(reopened.count_valid(at, |entry| entry.timestamp > 0).unwrap(), count as usize);
        }
    }

    #[test]
    fn truncating_forgets_entries() {
        let dir = tempfile::tempdir().unwrap();
        let pool = FilePool::new(Arc::new(RealDisk), 4);
        let path = || dir.path().join("i.index");
        let at = IndexFile { pool: &pool, path: &path };
        let index = SparseIndex::with_stored(0);
        for i in 0..600 {
            index.push(at, entry(i)).unwrap();
        }
        index.finish(at).unwrap();
        index.truncate(at, 10).unwrap();
        assert_eq!(index.last(at).unwrap(), Some(entry(9)));
        index.push(at, OffsetEntry { relative_offset: 500, position: 2_000 }).unwrap();
        index.finish(at).unwrap();
        assert_eq!(std::fs::metadata(path()).unwrap().len(), 11 * 8);
    }
}
