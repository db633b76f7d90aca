//! The seam to the storage: what the log needs of a file system, and nothing more.
//!
//! [`RealDisk`] is the machine's; [`crate::sim::SimDisk`] is a simulated one that loses, tears and refuses. The traits
//! are used as objects: one virtual call beside a system call costs nothing, and no type above has to be generic.

mod file_pool;
mod open_file;
mod page_cache;
mod real;

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;

pub(crate) use file_pool::{FilePool, PooledFile};
pub use open_file::OpenFile;
pub use real::RealDisk;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; fails with `NotFound` if it is absent.
    Read,
    /// For reading and writing; fails with `NotFound` if it is absent.
    Write,
    /// For reading and writing; created empty if it is absent.
    Create,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name, without the directory. Names that are not UTF-8 are none of ours and are left out.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: i64,
}

/// How much room a volume has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Its size.
    pub total: u64,
    /// What this process may still write.
    pub available: u64,
}

/// A file system. All paths are absolute or relative to the process, as given by the options.
///
/// What is durable: the bytes of a file after [`DiskFile::sync`]; a name (created, renamed, removed) after
/// [`Disk::sync_dir`] of its directory. Everything else may be lost, in part and in any order, when the machine stops.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;
    /// The whole of a small file (checkpoints, snapshots); refuses one that is longer than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Length and age of a file.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;
    /// Creates a directory and those above it; succeeds if it exists.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and everything in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes everything on the volume that holds `dir` durable: bytes, lengths and names.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;
    /// The room on the volume that holds `path`.
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
    /// Takes the lock file at `path` for this process, until the returned guard is dropped. `WouldBlock` if another
    /// process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
}

/// An open file. Positions and lengths are in bytes.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Writes the buffers one after the other at `position`, as far as it gets, and returns how many bytes it wrote.
    /// At most [`MAX_BUFFERS`] buffers.
    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    /// Reads up to `buffer.len()` bytes at `position`; fewer at the end of the file, none behind it.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// The file's length.
    fn size(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves room up to `len` without changing the file's length. A hint: a file system that cannot do it succeeds.
    fn reserve(&self, len: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable.
    fn sync(&self) -> io::Result<()>;
    /// The descriptor for `sendfile`, if there is one.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
    /// Whether the byte at `position` can be read without waiting for a device. A hint that is out of date at once.
    fn is_cached(&self, position: u64) -> bool;
    /// These bytes will not be wanted again soon: their memory may be used for others. A hint; what is not yet on the
    /// device stays.
    fn forget(&self, position: u64, len: u64);
    /// Sets when the file was last written, in milliseconds since 1970.
    fn set_modified_ms(&self, modified_ms: i64) -> io::Result<()>;
}

/// The most buffers that one vectored write takes: Linux's `UIO_MAXIOV`.
pub const MAX_BUFFERS: usize = 1024;

/// Whether an error says that the volume, or this user's share of it, is full.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
