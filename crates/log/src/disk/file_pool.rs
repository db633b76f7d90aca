//! How many files are open at once: a bound on descriptors over all partitions.
//!
//! Every segment has a slot per file. A slot opens its file on first use and enters the pool; at the bound the pool
//! closes the slot that has gone unused longest (second chance: a use since the last look spares it once). Closing
//! means dropping the pool's reference; a [`crate::Slice`] that pins the file keeps it open.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::{Disk, OpenFile, OpenMode};

/// The files that are open, at most `limit` of them.
#[derive(Debug)]
pub(crate) struct FilePool {
    disk: Arc<dyn Disk>,
    limit: usize,
    /// The open slots, the one to look at next in front.
    open: Mutex<VecDeque<Weak<Slot>>>,
}

/// A file that is opened when it is needed.
#[derive(Debug, Clone)]
pub(crate) struct PooledFile(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    file: ArcSwapOption<OpenFile>,
    used: AtomicBool,
}

impl FilePool {
    /// A pool over `disk` that keeps at most `limit` files open (one at least).
    pub(crate) fn new(disk: Arc<dyn Disk>, limit: usize) -> Self {
        Self { disk, limit: limit.max(1), open: Mutex::new(VecDeque::new()) }
    }

    /// The disk that the files are on.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    fn admit(&self, slot: &Arc<Slot>) {
        let mut open = self.open.lock();
        // Each look either drops an entry, or clears its mark: two rounds always find one.
        let mut looks = open.len() * 2;
        while open.len() >= self.limit && looks > 0 {
            looks -= 1;
            let Some(front) = open.pop_front() else { break };
            let Some(candidate) = front.upgrade() else { continue };
            if candidate.used.swap(false, Ordering::Relaxed) {
                open.push_back(front);
            } else {
                candidate.file.store(None);
            }
        }
        open.push_back(Arc::downgrade(slot));
    }
}

impl PooledFile {
    /// A file that is not open yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Slot { file: ArcSwapOption::empty(), used: AtomicBool::new(false) }))
    }

    /// The open file; opens the one at `path` if it is not open.
    pub(crate) fn get(
        &self,
        pool: &FilePool,
        mode: OpenMode,
        path: impl FnOnce() -> PathBuf,
    ) -> io::Result<Arc<OpenFile>> {
        if let Some(file) = self.0.file.load_full() {
            if !self.0.used.load(Ordering::Relaxed) {
                self.0.used.store(true, Ordering::Relaxed);
            }
            return Ok(file);
        }
        let opened = Arc::new(OpenFile::new(pool.disk.open(&path(), mode)?));
        // Another thread may have opened it meanwhile: then both end up with the first.
        let raced = self.0.file.compare_and_swap(&None::<Arc<OpenFile>>, Some(Arc::clone(&opened)));
        if let Some(first) = &*raced {
            return Ok(Arc::clone(first));
        }
        self.0.used.store(true, Ordering::Relaxed);
        pool.admit(&self.0);
        Ok(opened)
    }

    /// Closes it, as far as the pool is concerned.
    pub(crate) fn close(&self) {
        self.0.file.store(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    fn open_files(pool: &FilePool, files: &[PooledFile]) -> usize {
        let open = files.iter().filter(|file| file.0.file.load().is_some()).count();
        assert!(pool.open.lock().len() <= pool.limit);
        open
    }

    #[test]
    fn never_more_files_are_open_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let pool = FilePool::new(Arc::new(RealDisk), 3);
        let files: Vec<_> = (0..10).map(|_| PooledFile::new()).collect();
        for round in 0..3 {
            for (i, file) in files.iter().enumerate() {
                let opened = file.get(&pool, OpenMode::Create, || dir.path().join(i.to_string())).unwrap();
                opened.write_all_at(&[i as u8], round).unwrap();
                assert!(open_files(&pool, &files) <= 3);
            }
        }
        for i in 0..10u8 {
            assert_eq!(std::fs::read(dir.path().join(i.to_string())).unwrap(), [i; 3]);
        }
    }

    #[test]
    fn a_file_that_is_held_outlives_its_slot() {
        let dir = tempfile::tempdir().unwrap();
        let pool = FilePool::new(Arc::new(RealDisk), 1);
        let (first, second) = (PooledFile::new(), PooledFile::new());
        let held = first.get(&pool, OpenMode::Create, || dir.path().join("a")).unwrap();
        held.write_all_at(b"kept", 0).unwrap();
        second.get(&pool, OpenMode::Create, || dir.path().join("b")).unwrap();
        std::fs::remove_file(dir.path().join("a")).unwrap();
        let mut bytes = [0; 4];
        held.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"kept");
    }
}
