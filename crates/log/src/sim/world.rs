//! The state of a simulated disk, and what is to go wrong with it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::inode::Inode;
use super::names::{Names, Node};
use super::random::Random;

/// The state of a simulated disk.
#[derive(Debug)]
pub(super) struct World {
    pub(super) names: Names,
    pub(super) inodes: HashMap<u64, Inode>,
    pub(super) locks: HashSet<PathBuf>,
    /// Raised by each restart: files that were open before are of no use.
    pub(super) generation: u64,
    /// Bytes that all files may have together.
    pub(super) capacity: u64,
    pub(super) now_ms: i64,
    next_inode: u64,
    /// Operations that change something, so far.
    operations: u64,
    crash_at: Option<u64>,
    fail_at: Option<(u64, Errno)>,
    /// Whether a sync that fails drops what it was to write.
    drops: bool,
    failed_sync: bool,
    /// Every operation fails with this, reads too.
    broken: Option<Errno>,
    crashed: bool,
}

/// What becomes of an operation.
pub(super) enum Fate {
    /// It is done.
    Done,
    /// It is done in part at most, and then this happens.
    Fails(io::Error),
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            names: Names::default(),
            inodes: HashMap::new(),
            locks: HashSet::new(),
            generation: 0,
            capacity: u64::MAX,
            now_ms: 0,
            next_inode: 0,
            operations: 0,
            crash_at: None,
            fail_at: None,
            drops: false,
            failed_sync: false,
            broken: None,
            crashed: false,
        }
    }

    pub(super) const fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) const fn crashed(&self) -> bool {
        self.crashed
    }

    pub(super) const fn crash_at(&mut self, operation: Option<u64>) {
        self.crash_at = operation;
    }

    pub(super) const fn fail_at(&mut self, operation: u64, errno: Errno) {
        self.fail_at = Some((operation, errno));
        self.drops = false;
    }

    pub(super) const fn drop_at(&mut self, operation: u64, errno: Errno) {
        self.fail_at = Some((operation, errno));
        self.drops = true;
    }

    pub(super) const fn failed_sync(&self) -> bool {
        self.failed_sync
    }

    pub(super) const fn set_broken(&mut self, errno: Option<Errno>) {
        self.broken = errno;
    }

    /// Whether the machine runs and the disk answers.
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.crashed {
            return Err(io::Error::other("the simulated machine has stopped"));
        }
        self.broken.map_or(Ok(()), |errno| Err(errno.into()))
    }

    /// Counts an operation that changes something, and says what becomes of it.
    pub(super) fn fate(&mut self) -> io::Result<Fate> {
        self.alive()?;
        self.operations += 1;
        if self.crash_at == Some(self.operations) {
            self.crashed = true;
            return Ok(Fate::Fails(io::Error::other("the simulated machine has stopped")));
        }
        match self.fail_at {
            Some((operation, errno)) if operation == self.operations => Ok(Fate::Fails(errno.into())),
            _ => Ok(Fate::Done),
        }
    }

    /// As [`Self::fate`], for an operation that is done whole or not at all.
    pub(super) fn whole(&mut self) -> io::Result<()> {
        match self.fate()? {
            Fate::Done => Ok(()),
            Fate::Fails(error) => Err(error),
        }
    }

    /// As [`Self::whole`], for a sync of these files, or of all of them.
    pub(super) fn sync(&mut self, inode: Option<u64>) -> io::Result<()> {
        let fate = self.fate()?;
        let failed = matches!(fate, Fate::Fails(_)) && !self.crashed;
        self.failed_sync |= failed;
        let files = self.inodes.iter_mut().filter(|(number, _)| inode.is_none_or(|inode| inode == **number));
        for (_, file) in files {
            match fate {
                Fate::Done => file.sync(),
                Fate::Fails(_) if failed && self.drops => file.drop_pending(),
                Fate::Fails(_) => {}
            }
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Fails(error) => Err(error),
        }
    }

    /// As [`Self::whole`], for a sync of the names in a directory. Names are in the file system's journal: if they
    /// cannot be written, they stay there.
    pub(super) fn sync_names(&mut self, dir: &Path) -> io::Result<()> {
        let result = self.whole();
        self.failed_sync |= result.is_err() && !self.crashed;
        if result.is_ok() {
            self.names.sync(dir);
        }
        result
    }

    /// Bytes that may still be written.
    pub(super) fn available(&self) -> u64 {
        let used: u64 = self.inodes.values().map(|inode| inode.bytes.len() as u64).sum();
        self.capacity.saturating_sub(used)
    }

    /// The file of this name.
    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => Err(Errno::EISDIR.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// A new empty file of this name.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let dir = path.parent().unwrap_or(Path::new(""));
        if dir != Path::new("") && self.names.get(dir) != Some(Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.whole()?;
        self.next_inode += 1;
        let inode = self.next_inode;
        self.inodes.insert(inode, Inode::new(self.now_ms));
        self.names.add(path, Node::File(inode));
        Ok(inode)
    }

    /// Starts again: after a crash of the machine if there is a choice of what is lost.
    pub(super) fn restart(&mut self, random: Option<&mut Random>) {
        if let Some(random) = random {
            self.names.crash(random);
            let mut inodes: Vec<_> = self.inodes.iter_mut().collect();
            inodes.sort_by_key(|(number, _)| **number);
            for (_, inode) in inodes {
                inode.crash(random);
            }
        }
        let live: HashSet<_> = self.names.files().collect();
        self.inodes.retain(|number, _| live.contains(number));
        self.locks.clear();
        self.generation += 1;
        (self.crash_at, self.fail_at, self.broken, self.crashed) = (None, None, None, false);
        self.failed_sync = false;
    }
}
