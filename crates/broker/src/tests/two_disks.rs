//! Two simulated disks side by side, each under its own path, so that one can fail alone; and whoever comes to them can be
//! stopped on the way.

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use levada_log::disk::{DirEntry, DiskSpace, FileStat, OpenMode};
use levada_log::sim::SimDisk;
use levada_log::{Disk, DiskFile};
use parking_lot::Mutex;

use super::world::FOR_EVER;

#[derive(Debug, Clone)]
pub(super) struct TwoDisks {
    /// What lies under `/a`.
    pub(super) a: SimDisk,
    /// Everything else.
    pub(super) b: SimDisk,
    hook: Hook,
}

/// What somebody is about to do to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Rename,
    SyncDir,
    Write,
    Other,
}

type Meet = Arc<dyn Fn(Operation, &Path) + Send + Sync>;

/// What is met by whoever comes to a disk. It may wait, or panic.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Option<Meet>>>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// Where somebody stands until it is opened.
pub(super) struct Gate {
    reached: Receiver<()>,
    opening: Sender<()>,
}

impl Gate {
    /// Blocks until somebody stands there.
    pub(super) fn reached(&self) {
        self.reached.recv_timeout(FOR_EVER).unwrap();
    }

    pub(super) fn open(&self) {
        self.opening.send(()).unwrap();
    }
}

impl TwoDisks {
    pub(super) fn new() -> Self {
        Self { a: SimDisk::new(), b: SimDisk::new(), hook: Hook::default() }
    }

    /// Has `meet` called before the first thing done that `here` is true of.
    pub(super) fn once(
        &self,
        here: impl Fn(Operation, &Path) -> bool + Send + Sync + 'static,
        meet: impl FnOnce() + Send + 'static,
    ) {
        let meet = Mutex::new(Some(meet));
        *self.hook.0.lock() = Some(Arc::new(move |operation, path| {
            if here(operation, path) {
                let meet = meet.lock().take();
                if let Some(meet) = meet {
                    meet();
                }
            }
        }));
    }

    /// Stops who first does what `here` is true of.
    pub(super) fn stop_at(&self, here: impl Fn(Operation, &Path) -> bool + Send + Sync + 'static) -> Gate {
        let ((arrives, reached), (opening, opened)) = (channel(), channel());
        self.once(here, move || {
            arrives.send(()).unwrap();
            opened.recv_timeout(FOR_EVER).unwrap();
        });
        Gate { reached, opening }
    }

    fn meet(&self, operation: Operation, path: &Path) {
        let meet = self.hook.0.lock().clone();
        if let Some(meet) = meet {
            meet(operation, path);
        }
    }

    fn of(&self, path: &Path) -> &SimDisk {
        if path.starts_with("/a") { &self.a } else { &self.b }
    }
}

impl Disk for TwoDisks {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.meet(Operation::Other, path);
        let file = self.of(path).open(path, mode)?;
        Ok(Box::new(MetFile { file, path: path.to_path_buf(), disks: self.clone() }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.meet(Operation::Other, path);
        self.of(path).read(path, limit)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.meet(Operation::List, dir);
        self.of(dir).list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.meet(Operation::Other, path);
        self.of(path).stat(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.meet(Operation::Other, dir);
        self.of(dir).create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.meet(Operation::Rename, to);
        self.of(from).rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.meet(Operation::Other, path);
        self.of(path).remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.meet(Operation::Other, dir);
        self.of(dir).remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.meet(Operation::SyncDir, dir);
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

#[derive(Debug)]
struct MetFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    disks: TwoDisks,
}

impl DiskFile for MetFile {
    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.disks.meet(Operation::Write, &self.path);
        self.file.write_vectored_at(buffers, position)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.file.reserve(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.disks.meet(Operation::Other, &self.path);
        self.file.sync()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }

    fn is_cached(&self, position: u64) -> bool {
        self.file.is_cached(position)
    }

    fn forget(&self, position: u64, len: u64) {
        self.file.forget(position, len);
    }

    fn set_modified_ms(&self, modified_ms: i64) -> io::Result<()> {
        self.file.set_modified_ms(modified_ms)
    }
}
