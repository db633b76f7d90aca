//! Two simulated disks side by side, each under its own path, so that one can fail alone.

use std::any::Any;
use std::io;
use std::path::Path;

use levada_log::disk::{DirEntry, DiskSpace, FileStat, OpenMode};
use levada_log::sim::SimDisk;
use levada_log::{Disk, DiskFile};

#[derive(Debug, Clone)]
pub(super) struct TwoDisks {
    /// What lies under `/a`.
    pub(super) a: SimDisk,
    /// Everything else.
    pub(super) b: SimDisk,
}

impl TwoDisks {
    pub(super) fn new() -> Self {
        Self { a: SimDisk::new(), b: SimDisk::new() }
    }

    fn of(&self, path: &Path) -> &SimDisk {
        if path.starts_with("/a") { &self.a } else { &self.b }
    }
}

impl Disk for TwoDisks {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.of(path).open(path, mode)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.of(path).read(path, limit)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.of(dir).list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.of(path).stat(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.of(dir).create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.of(from).rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.of(path).remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.of(dir).remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.of(dir).sync_dir(dir)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.of(path).sync_all(path)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.of(path).space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.of(path).lock(path)
    }
}
