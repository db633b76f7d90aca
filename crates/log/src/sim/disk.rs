//! The simulated disk.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use parking_lot::Mutex;

use super::file::SimFile;
use super::names::Node;
use super::random::Random;
use super::world::World;
use crate::disk::{DirEntry, Disk, DiskFile, DiskSpace, FileStat, OpenMode};

/// A disk in memory that loses, tears, fills up and fails as it is told. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<World>>);

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk without bounds.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(World::new())))
    }

    /// How many operations have changed something: writes, cuts, syncs, names. The numbers that [`Self::crash_at`] and
    /// [`Self::fail_at`] take count from 1 over the disk's whole life.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.lock().operations()
    }

    /// Stops the machine in the middle of this operation: of a write half gets through. Everything fails from then on,
    /// until [`Self::restart`].
    pub fn crash_at(&self, operation: u64) {
        self.0.lock().crash_at(Some(operation));
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.0.lock().crashed()
    }

    /// Makes this one operation fail with an I/O error (`EIO`); of a write half gets through.
    pub fn fail_at(&self, operation: u64) {
        self.0.lock().fail_at(operation, Errno::EIO);
    }

    /// Makes this one operation fail for want of space (`ENOSPC`); of a write half gets through.
    pub fn fill_at(&self, operation: u64) {
        self.0.lock().fail_at(operation, Errno::ENOSPC);
    }

    /// As [`Self::fill_at`]; and if it is a sync of files, what it was to write is dropped, as a kernel does: programs go
    /// on seeing it, later syncs succeed without it, and a power loss takes it.
    pub fn drop_at(&self, operation: u64) {
        self.0.lock().drop_at(operation, Errno::ENOSPC);
    }

    /// Whether a sync has failed since the last start, other than by the machine stopping.
    #[must_use]
    pub fn has_failed_sync(&self) -> bool {
        self.0.lock().failed_sync()
    }

    /// Makes everything fail with an I/O error, or work again.
    pub fn set_broken(&self, broken: bool) {
        self.0.lock().set_broken(broken.then_some(Errno::EIO));
    }

    /// Bounds the bytes of all files together.
    pub fn set_capacity(&self, bytes: u64) {
        self.0.lock().capacity = bytes;
    }

    /// The time that files written from now on bear.
    pub fn set_now(&self, now_ms: i64) {
        self.0.lock().now_ms = now_ms;
    }

    /// Starts the machine again after a power loss. What was not synced is there or not, as `seed` chooses; files that
    /// were open are of no use any more, locks are free, faults are forgotten.
    pub fn restart(&self, seed: u64) {
        self.0.lock().restart(Some(&mut Random::new(seed)));
    }

    /// Starts the process again after it was killed: what was written is there.
    pub fn restart_process(&self) {
        self.0.lock().restart(None);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.0.lock();
        world.alive()?;
        let inode = match world.file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && mode == OpenMode::Create => world.create(path)?,
            found => found?,
        };
        let generation = world.generation;
        Ok(Box::new(SimFile { world: Arc::clone(&self.0), inode, generation }))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let world = self.0.lock();
        world.alive()?;
        let inode = world.file(path)?;
        let bytes = world.inodes.get(&inode).map(|inode| inode.bytes.clone()).unwrap_or_default();
        if bytes.len() as u64 > limit { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let world = self.0.lock();
        world.alive()?;
        if world.names.get(dir) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entries = world.names.children(dir).filter_map(|(path, node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some(DirEntry { name, is_dir: node == Node::Dir })
        });
        Ok(entries.collect())
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let world = self.0.lock();
        world.alive()?;
        let inode = world.file(path)?;
        let stat = world.inodes.get(&inode);
        Ok(FileStat {
            len: stat.map_or(0, |inode| inode.bytes.len() as u64),
            modified_ms: stat.map_or(0, |inode| inode.modified_ms),
        })
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.alive()?;
        let missing: Vec<PathBuf> = dir
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
            .take_while(|path| world.names.get(path).is_none())
            .map(Path::to_path_buf)
            .collect();
        for path in missing.iter().rev() {
            world.whole()?;
            world.names.add(path, Node::Dir);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.alive()?;
        if world.names.get(from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.whole()?;
        world.names.rename(from, to);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.alive()?;
        world.file(path)?;
        world.whole()?;
        world.names.remove(path);
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.alive()?;
        if world.names.get(dir) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.whole()?;
        world.names.remove(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().sync_names(dir)
    }

    fn sync_all(&self, _dir: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.sync(None)?;
        world.names.sync_all();
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<DiskSpace> {
        let world = self.0.lock();
        world.alive()?;
        Ok(DiskSpace { total: world.capacity, available: world.available() })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut world = self.0.lock();
        world.alive()?;
        if !world.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let generation = world.generation;
        Ok(Box::new(LockGuard { world: Arc::clone(&self.0), path: path.to_path_buf(), generation }))
    }
}

/// Frees the lock, unless the machine was restarted meanwhile and it belongs to somebody else.
struct LockGuard {
    world: Arc<Mutex<World>>,
    path: PathBuf,
    generation: u64,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let mut world = self.world.lock();
        if world.generation == self.generation {
            world.locks.remove(&self.path);
        }
    }
}
