//! The files and directories that the kernel knows of, by inode number.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fuser::{FileAttr, FileType, INodeNo};
use nix::fcntl::OFlag;

use super::path_of;

/// A file or directory, held by a descriptor that only names it, so that it keeps its number however it is renamed.
#[derive(Debug)]
struct Node {
    name: File,
    /// How often the kernel was told of it and has not forgotten it.
    lookups: u64,
}

/// The files and directories that the kernel knows of.
#[derive(Debug)]
pub(super) struct Nodes {
    root: File,
    nodes: Mutex<HashMap<u64, Node>>,
}

impl Nodes {
    /// Only the top directory.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: name(root)?, nodes: Mutex::default() })
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<u64, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A path by which a node can be reached now.
    pub(super) fn path(&self, inode: INodeNo) -> io::Result<PathBuf> {
        if inode == INodeNo::ROOT {
            return Ok(path_of(&self.root));
        }
        let nodes = self.nodes();
        let node = nodes.get(&inode.0).ok_or(io::ErrorKind::NotFound)?;
        Ok(path_of(&node.name))
    }

    /// A path by which an entry of a directory can be reached now.
    pub(super) fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.path(parent)?.join(name))
    }

    /// What is known of a node.
    pub(super) fn attributes(&self, inode: INodeNo) -> io::Result<FileAttr> {
        // The path is a link to the node itself.
        Ok(attributes(inode, &fs::metadata(self.path(inode)?)?))
    }

    /// Finds an entry of a directory; the kernel knows it from now on.
    pub(super) fn look_up(&self, parent: INodeNo, entry: &OsStr) -> io::Result<FileAttr> {
        let held = name(&self.entry(parent, entry)?)?;
        let metadata = held.metadata()?;
        let inode = metadata.ino();
        self.nodes().entry(inode).or_insert(Node { name: held, lookups: 0 }).lookups += 1;
        Ok(attributes(INodeNo(inode), &metadata))
    }

    /// The kernel has forgotten a node so many times.
    pub(super) fn forget(&self, inode: INodeNo, times: u64) {
        let mut nodes = self.nodes();
        if let Some(node) = nodes.get_mut(&inode.0) {
            node.lookups = node.lookups.saturating_sub(times);
            if node.lookups == 0 {
                nodes.remove(&inode.0);
            }
        }
    }
}

/// A descriptor that names a file or directory and opens nothing.
fn name(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags((OFlag::O_PATH | OFlag::O_NOFOLLOW).bits()).open(path)
}

/// The kind of a file, as FUSE calls it.
pub(super) fn kind(file_type: fs::FileType) -> FileType {
    if file_type.is_dir() {
        FileType::Directory
    } else if file_type.is_symlink() {
        FileType::Symlink
    } else if file_type.is_socket() {
        FileType::Socket
    } else {
        FileType::RegularFile
    }
}

fn attributes(ino: INodeNo, metadata: &Metadata) -> FileAttr {
    let time = |seconds: i64, nanos: i64| -> SystemTime {
        UNIX_EPOCH + Duration::new(seconds.try_into().unwrap_or(0), nanos.try_into().unwrap_or(0))
    };
    FileAttr {
        ino,
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: kind(metadata.file_type()),
        // The lower twelve bits are the permissions; the others are the kind.
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: metadata.nlink().try_into().unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
