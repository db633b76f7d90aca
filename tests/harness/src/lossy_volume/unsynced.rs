//! What has been written to files since each was last synced, and how to take it back.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Lost;

/// What a file held when it was last synced, as far as it holds something else now.
#[derive(Debug)]
pub(super) struct Unsynced {
    file: Arc<File>,
    /// Its length then.
    synced_len: u64,
    /// What was overwritten or cut off below that length, and where, oldest first.
    overwritten: Vec<(u64, Vec<u8>)>,
}

impl Unsynced {
    fn new(file: Arc<File>) -> io::Result<Self> {
        Ok(Self { synced_len: file.metadata()?.len(), file, overwritten: Vec::new() })
    }

    /// Remembers the bytes from `offset` up to `end` before they change.
    fn remember(&mut self, offset: u64, end: u64) -> io::Result<()> {
        let end = end.min(self.synced_len).min(self.file.metadata()?.len());
        if let Some(length) = end.checked_sub(offset).filter(|length| *length > 0) {
            let mut before = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            self.file.read_exact_at(&mut before, offset)?;
            self.overwritten.push((offset, before));
        }
        Ok(())
    }

    /// Makes the file what it was, but for so many appended bytes as survive; tells how many are gone.
    fn take_back(self, mut survives: impl FnMut(u64) -> u64) -> io::Result<u64> {
        let appended = self.file.metadata()?.len().saturating_sub(self.synced_len);
        let kept = survives(appended).min(appended);
        for (offset, before) in self.overwritten.iter().rev() {
            self.file.write_all_at(before, *offset)?;
        }
        self.file.set_len(self.synced_len + kept)?;
        Ok(appended - kept)
    }
}

/// The files that hold something unsynced, by inode.
#[derive(Debug, Default)]
pub(super) struct UnsyncedFiles(Mutex<HashMap<u64, Unsynced>>);

impl UnsyncedFiles {
    fn files(&self) -> MutexGuard<'_, HashMap<u64, Unsynced>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes to a file, and remembers what was there.
    pub(super) fn write(&self, inode: u64, file: &Arc<File>, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut files = self.files();
        let end = offset.saturating_add(data.len() as u64);
        Self::entry(&mut files, inode, file)?.remember(offset, end)?;
        file.write_all_at(data, offset)
    }

    /// Sets the length of a file, and remembers what was cut off.
    pub(super) fn set_len(&self, inode: u64, file: &Arc<File>, length: u64) -> io::Result<()> {
        let mut files = self.files();
        Self::entry(&mut files, inode, file)?.remember(length, u64::MAX)?;
        file.set_len(length)
    }

    fn entry<'a>(files: &'a mut HashMap<u64, Unsynced>, inode: u64, file: &Arc<File>) -> io::Result<&'a mut Unsynced> {
        if let std::collections::hash_map::Entry::Vacant(vacant) = files.entry(inode) {
            vacant.insert(Unsynced::new(file.clone())?);
        }
        files.get_mut(&inode).ok_or_else(|| io::Error::other("the entry was just made"))
    }

    /// What the file holds is safe from now on.
    pub(super) fn sync(&self, inode: u64) {
        self.files().remove(&inode);
    }

    /// Takes back everything that is not synced.
    pub(super) fn lose(&self, mut survives: impl FnMut(u64) -> u64) -> io::Result<Lost> {
        let mut files: Vec<_> = self.files().drain().collect();
        // In an order that a seeded `survives` meets again.
        files.sort_by_key(|(inode, _)| *inode);
        let mut lost = Lost::default();
        for (_, unsynced) in files {
            lost.bytes += unsynced.take_back(&mut survives)?;
            lost.files += 1;
        }
        Ok(lost)
    }
}
