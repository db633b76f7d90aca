//! The disks of one broker: each data directory lies on its own.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use levada_log::disk::{DirEntry, DiskSpace, FileStat, OpenMode};
use levada_log::sim::SimDisk;
use levada_log::{Disk, DiskFile};

/// Where a broker's first data directory is; the others have the next numbers.
const DATA: &str = "/data";

/// Disks, mounted one beside the other. Clones are the same disks.
#[derive(Debug, Clone)]
pub(crate) struct Volumes(Vec<SimDisk>);

impl Volumes {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| SimDisk::new()).collect())
    }

    /// The data directories, in the order of the disks.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        (0..self.0.len()).map(|index| PathBuf::from(format!("{DATA}{index}"))).collect()
    }

    pub(crate) fn disks(&self) -> &[SimDisk] {
        &self.0
    }

    /// An empty disk takes the place of this one.
    pub(crate) fn replace(&mut self, index: usize) {
        self.0[index] = SimDisk::new();
    }

    /// The process stops in the middle of whatever it does; with `power`, the machine does, and what was not synced is
    /// there or not.
    pub(crate) fn crash(&self, power: Option<u64>) {
        for (index, disk) in self.0.iter().enumerate() {
            disk.crash_at(disk.operations() + 1);
            match power {
                Some(seed) => disk.restart(seed.wrapping_add(index as u64)),
                None => disk.restart_process(),
            }
        }
    }

    fn holder(&self, path: &Path) -> io::Result<&SimDisk> {
        let place = |(index, _): &(usize, &SimDisk)| path.starts_with(format!("{DATA}{index}"));
        let found = self.0.iter().enumerate().find(place).map(|(_, disk)| disk);
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for Volumes {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.holder(path)?.open(path, mode)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.holder(path)?.read(path, limit)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.holder(dir)?.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.holder(path)?.stat(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.holder(dir)?.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.holder(from)?.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.holder(path)?.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.holder(dir)?.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self.holder(dir) {
            Ok(disk) => disk.sync_dir(dir),
            // The root, which has a name in it on each disk.
            Err(_) => {
                self.0.iter().filter(|disk| !disk.has_crashed()).try_for_each(|disk| disk.sync_dir(dir).or(Ok(())))
            }
        }
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.holder(dir)?.sync_all(dir)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.holder(path)?.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.holder(path)?.lock(path)
    }
}
