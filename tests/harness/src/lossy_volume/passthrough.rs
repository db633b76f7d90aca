//! The FUSE layer: everything goes through to a directory, and writes are remembered until they are synced.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{DirEntryExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::sys::statvfs::statvfs;

use super::{Troubles, UnsyncedFiles, nodes::Nodes, nodes::kind};

/// How long the kernel may believe what it was told of a file: not at all, since a loss of power changes it.
const TTL: Duration = Duration::ZERO;

/// Inodes are never used again while the kernel knows them.
const GENERATION: Generation = Generation(0);

/// What a new name takes on a full disk; it only has to be something.
const NAME_BYTES: u64 = 1;

/// An entry of an open directory.
type Entry = (INodeNo, FileType, OsString);

/// The layer.
pub(super) struct Passthrough {
    nodes: Nodes,
    unsynced: Arc<UnsyncedFiles>,
    troubles: Arc<Troubles>,
    files: Mutex<HashMap<u64, Arc<File>>>,
    directories: Mutex<HashMap<u64, Vec<Entry>>>,
    handles: AtomicU64,
}

impl Passthrough {
    /// A layer over the directory `disk`.
    pub(super) fn new(disk: &Path, unsynced: Arc<UnsyncedFiles>, troubles: Arc<Troubles>) -> io::Result<Self> {
        Ok(Self {
            nodes: Nodes::new(disk)?,
            unsynced,
            troubles,
            files: Mutex::default(),
            directories: Mutex::default(),
            handles: AtomicU64::new(1),
        })
    }

    fn files(&self) -> MutexGuard<'_, HashMap<u64, Arc<File>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn directories(&self) -> MutexGuard<'_, HashMap<u64, Vec<Entry>>> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_handle(&self) -> u64 {
        self.handles.fetch_add(1, Ordering::Relaxed)
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        self.files().get(&handle.0).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Opens a node for reading, and for writing too if that is wanted: what is overwritten is read first. Where to write
    /// is told with each write, and that a file is to be emptied by a request of its own.
    fn open_node(&self, inode: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let file = File::options().read(true).write(writes).open(self.nodes.path(inode)?)?;
        Ok(self.keep(file))
    }

    fn keep(&self, file: File) -> FileHandle {
        let handle = self.next_handle();
        self.files().insert(handle, Arc::new(file));
        FileHandle(handle)
    }

    fn create_file(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        exclusive: bool,
    ) -> io::Result<(FileAttr, FileHandle)> {
        self.troubles.change(NAME_BYTES)?;
        let path = self.nodes.entry(parent, name)?;
        let mut options = File::options();
        options.read(true).write(true).mode(mode);
        let file =
            if exclusive { options.create_new(true) } else { options.create(true).truncate(false) }.open(path)?;
        Ok((self.nodes.look_up(parent, name)?, self.keep(file)))
    }

    fn read_directory(&self, inode: INodeNo) -> io::Result<FileHandle> {
        let mut entries: Vec<Entry> = [".", ".."].map(|name| (inode, FileType::Directory, name.into())).into();
        for entry in fs::read_dir(self.nodes.path(inode)?)? {
            let entry = entry?;
            entries.push((INodeNo(entry.ino()), kind(entry.file_type()?), entry.file_name()));
        }
        let handle = self.next_handle();
        self.directories().insert(handle, entries);
        Ok(FileHandle(handle))
    }

    fn set_attributes(
        &self,
        inode: INodeNo,
        mode: Option<u32>,
        size: Option<u64>,
        handle: Option<FileHandle>,
    ) -> io::Result<FileAttr> {
        if let Some(mode) = mode {
            fs::set_permissions(self.nodes.path(inode)?, Permissions::from_mode(mode))?;
        }
        if let Some(size) = size {
            let file = match handle {
                Some(handle) => self.file(handle)?,
                None => Arc::new(File::options().read(true).write(true).open(self.nodes.path(inode)?)?),
            };
            let before = file.metadata()?.len();
            self.troubles.change(size.saturating_sub(before))?;
            self.unsynced.set_len(inode.0, &file, size)?;
            self.troubles.free(before.saturating_sub(size));
        }
        self.nodes.attributes(inode)
    }

    fn write_file(&self, inode: INodeNo, handle: FileHandle, offset: u64, data: &[u8]) -> io::Result<()> {
        let file = self.file(handle)?;
        let end = offset.saturating_add(data.len() as u64);
        self.troubles.change(end.saturating_sub(file.metadata()?.len()))?;
        self.unsynced.write(inode.0, &file, offset, data)
    }

    fn remove_file(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        self.troubles.read()?;
        let path = self.nodes.entry(parent, name)?;
        let bytes = fs::symlink_metadata(&path)?.len();
        fs::remove_file(path)?;
        self.troubles.free(bytes);
        Ok(())
    }

    fn read_file(&self, handle: FileHandle, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        self.troubles.read()?;
        let file = self.file(handle)?;
        let mut buffer = vec![0; size as usize];
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        buffer.truncate(read);
        Ok(buffer)
    }
}

/// Answers with what `result` holds, or with its error.
macro_rules! answer {
    ($reply:ident, $result:expr, |$value:pat_param| $ok:expr) => {
        match $result {
            Ok($value) => $ok,
            Err(error) => $reply.error(Errno::from(error)),
        }
    };
}

impl Filesystem for Passthrough {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.nodes.look_up(parent, name), |found| reply.entry(&TTL, &found, GENERATION));
    }

    fn forget(&self, _req: &Request, inode: INodeNo, times: u64) {
        self.nodes.forget(inode, times);
    }

    fn getattr(&self, _req: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.nodes.attributes(inode), |attributes| reply.attr(&TTL, &attributes));
    }

    fn setattr(
        &self,
        _req: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        answer!(reply, self.set_attributes(inode, mode, size, handle), |attributes| reply.attr(&TTL, &attributes));
    }

    fn mkdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, _mode: u32, _umask: u32, reply: ReplyEntry) {
        let room = self.troubles.change(NAME_BYTES);
        let made = room.and_then(|()| self.nodes.entry(parent, name)).and_then(fs::create_dir);
        answer!(reply, made.and_then(|()| self.nodes.look_up(parent, name)), |found| {
            reply.entry(&TTL, &found, GENERATION);
        });
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.remove_file(parent, name), |()| reply.ok());
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.nodes.entry(parent, name).and_then(fs::remove_dir), |()| reply.ok());
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let works = self.troubles.read();
        let renamed = works.and_then(|()| self.nodes.entry(parent, name)).and_then(|from| {
            let to = self.nodes.entry(new_parent, new_name)?;
            fs::rename(from, to)
        });
        answer!(reply, renamed, |()| reply.ok());
    }

    fn open(&self, _req: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.open_node(inode, flags), |handle| reply.opened(handle, FopenFlags::empty()));
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let exclusive = nix::fcntl::OFlag::from_bits_truncate(flags).contains(nix::fcntl::OFlag::O_EXCL);
        answer!(reply, self.create_file(parent, name, mode & !umask, exclusive), |(found, handle)| {
            reply.created(&TTL, &found, GENERATION, handle, FopenFlags::empty());
        });
    }

    fn read(
        &self,
        _req: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        answer!(reply, self.read_file(handle, offset, size), |data| reply.data(&data));
    }

    fn write(
        &self,
        _req: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        // One write is at most a megabyte or so; the kernel's limit fits 32 bits.
        answer!(reply, self.write_file(inode, handle, offset, data), |()| reply.written(data.len() as u32));
    }

    fn flush(&self, _req: &Request, _inode: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok(); // a file that is closed is not synced
    }

    fn release(
        &self,
        _req: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.files().remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _req: &Request, inode: INodeNo, _handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let synced = self.troubles.change(0).map(|()| self.unsynced.sync(inode.0));
        answer!(reply, synced, |()| reply.ok());
    }

    fn fsyncdir(&self, _req: &Request, _inode: INodeNo, _handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        reply.ok(); // names count at once
    }

    fn opendir(&self, _req: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.read_directory(inode), |handle| reply.opened(handle, FopenFlags::empty()));
    }

    fn readdir(&self, _req: &Request, _inode: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let directories = self.directories();
        let entries = directories.get(&handle.0).into_iter().flatten().zip(1..);
        for ((inode, kind, name), next) in entries.skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(*inode, next, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _req: &Request, _inode: INodeNo, handle: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.directories().remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _req: &Request, inode: INodeNo, reply: ReplyStatfs) {
        let told = self.nodes.path(inode).and_then(|path| Ok(statvfs(&path)?));
        answer!(reply, told, |disk| reply.statfs(
            disk.blocks(),
            disk.blocks_free(),
            disk.blocks_available(),
            disk.files(),
            disk.files_free(),
            disk.block_size().try_into().unwrap_or(4096),
            disk.name_max().try_into().unwrap_or(255),
            disk.fragment_size().try_into().unwrap_or(4096),
        ));
    }
}
