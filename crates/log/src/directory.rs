//! One data directory: where it is, and whether it can be written and read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};

use levada_types::{DirectoryId, TopicPartition};
use nix::errno::Errno;
use tracing::{error, info, warn};

use crate::checkpoint::CheckpointFile;
use crate::disk::{FilePool, is_full};
use crate::graveyard::Graveyard;
use crate::state_listener::StateListener;
use crate::{AppendError, LogError, OpenError, ReadError};

/// A full directory takes writes again once this many bytes are free: enough for a batch of the default largest size
/// and the checkpoints, so that it does not go back and forth with every write.
const RESUME_BYTES: u64 = 4 << 20;

/// How long a full directory is left alone before its space is looked at again.
const PROBE_INTERVAL_MS: i64 = 1_000;

/// In what state a data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryState {
    /// In use.
    Online,
    /// Without space: reads and deletes go on, writes resume once there is space.
    Full,
    /// Failed: nothing in it is served before the broker starts again.
    Offline,
}

impl DirectoryState {
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Online,
            1 => Self::Full,
            _ => Self::Offline,
        }
    }
}

/// A data directory and the files open in it.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) id: DirectoryId,
    pub(crate) path: PathBuf,
    pub(crate) pool: Arc<FilePool>,
    /// What is to be removed from it.
    pub(crate) graveyard: Graveyard,
    pub(crate) checkpoints: Checkpoints,
    /// How many logs are in it, open or only found.
    pub(crate) logs: AtomicUsize,
    state: AtomicU8,
    listener: Arc<StateListener>,
    next_probe_ms: AtomicI64,
}

/// What a data directory remembers of its logs beside their own files.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// Below these everything is durable.
    pub(crate) recovery_points: CheckpointFile,
    /// Where logs start, if not at their first segment.
    pub(crate) log_starts: CheckpointFile,
    pub(crate) high_watermarks: CheckpointFile,
    /// Below these logs were cleaned once.
    pub(crate) cleaned: CheckpointFile,
}

/// What an error of the disk means for the one who met it.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The volume is full.
    Full,
    /// The directory is offline, by this error or an earlier one.
    Offline,
    /// The system could not do it this time; the directory stays online.
    Transient(Arc<io::Error>),
}

impl Directory {
    pub(crate) fn new(
        id: DirectoryId,
        path: PathBuf,
        pool: Arc<FilePool>,
        listener: Arc<StateListener>,
        checkpoints: Checkpoints,
    ) -> Self {
        Self {
            id,
            path,
            pool,
            checkpoints,
            graveyard: Graveyard::default(),
            logs: AtomicUsize::new(0),
            state: AtomicU8::new(DirectoryState::Online as u8),
            listener,
            next_probe_ms: AtomicI64::new(0),
        }
    }

    pub(crate) fn state(&self) -> DirectoryState {
        DirectoryState::of(self.state.load(Ordering::Acquire))
    }

    fn set_state(&self, state: DirectoryState) -> DirectoryState {
        // Nothing leads out of Offline but a restart; another thread may be just there.
        let offline = DirectoryState::Offline as u8;
        let next = |before| (before != offline).then_some(state as u8);
        match self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(before) if before == state as u8 => state,
            Ok(before) => {
                self.listener.tell();
                DirectoryState::of(before)
            }
            Err(_) => DirectoryState::Offline,
        }
    }

    /// Makes sure that no checkpoint tells of the last log of this name, which was deleted: after a crash the new one
    /// would be taken for durable as far as that was, or to start where that one started.
    pub(crate) fn forget(&self, partition: &TopicPartition) -> io::Result<()> {
        let disk = &**self.pool.disk();
        let Checkpoints { recovery_points, log_starts, high_watermarks, cleaned } = &self.checkpoints;
        recovery_points.lower(disk, partition, 0)?;
        log_starts.lower(disk, partition, 0)?;
        high_watermarks.lower(disk, partition, 0)?;
        cleaned.lower(disk, partition, 0)
    }

    /// Whether it may be written now. A full directory is looked at again from time to time.
    pub(crate) fn check_writable(&self, now_ms: i64) -> Result<(), Failure> {
        match self.state() {
            DirectoryState::Online => Ok(()),
            DirectoryState::Offline => Err(Failure::Offline),
            DirectoryState::Full => {
                self.probe(now_ms);
                if self.state() == DirectoryState::Online { Ok(()) } else { Err(Failure::Full) }
            }
        }
    }

    /// Looks whether a full directory has space again.
    pub(crate) fn probe(&self, now_ms: i64) {
        if self.state() != DirectoryState::Full || now_ms < self.next_probe_ms.load(Ordering::Relaxed) {
            return;
        }
        self.next_probe_ms.store(now_ms.saturating_add(PROBE_INTERVAL_MS), Ordering::Relaxed);
        match self.pool.disk().space(&self.path) {
            Ok(space) if space.available >= RESUME_BYTES => {
                self.set_state(DirectoryState::Online);
                info!(directory = %self.path.display(), available = space.available, "the data directory has space again");
            }
            Ok(_) => {}
            Err(error) => {
                self.failure(&self.path, error);
            }
        }
    }

    /// Judges an error that the disk gave for `path`, which lies in this directory, and changes the state accordingly.
    pub(crate) fn failure(&self, path: &Path, error: io::Error) -> Failure {
        self.judge(path, &error).unwrap_or_else(|| Failure::Transient(Arc::new(error)))
    }

    /// As [`Self::failure`]; `None` if the error says nothing about the directory.
    pub(crate) fn judge(&self, path: &Path, error: &io::Error) -> Option<Failure> {
        if is_full(error) {
            if self.set_state(DirectoryState::Full) == DirectoryState::Online {
                warn!(path = %path.display(), "the data directory is full: writes are refused until there is space");
            }
            return Some(Failure::Full);
        }
        if is_transient(error) {
            return None;
        }
        Some(self.fail(path, error))
    }

    /// Judges an error of a sync of `path`. The kernel may have dropped the pages that it could not write, and a second
    /// sync would succeed without them: nothing leads on from here, a full disk neither. Only if there was no descriptor
    /// to sync with, nothing has been tried.
    pub(crate) fn sync_failure(&self, path: &Path, error: io::Error) -> Failure {
        let untried = matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE));
        if untried { Failure::Transient(Arc::new(error)) } else { self.fail(path, &error) }
    }

    /// Takes the directory offline.
    pub(crate) fn fail(&self, path: &Path, error: &io::Error) -> Failure {
        if self.set_state(DirectoryState::Offline) != DirectoryState::Offline {
            error!(path = %path.display(), %error, "the data directory is offline: the broker serves its other directories");
        }
        Failure::Offline
    }
}

/// Whether the error is about this process (descriptors, memory) rather than about the volume.
fn is_transient(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .map(Errno::from_raw)
        .is_some_and(|errno| matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
}

impl From<Failure> for AppendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::DiskFull,
            Failure::Offline => Self::DirectoryOffline,
            Failure::Transient(error) => Self::Io(error),
        }
    }
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::DiskFull,
            Failure::Offline => Self::DirectoryOffline,
            Failure::Transient(error) => Self::Io(error),
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            // Reading needs no space; an error that says so is the disk's confusion.
            Failure::Full | Failure::Offline => Self::DirectoryOffline,
            Failure::Transient(error) => Self::Io(error),
        }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::DiskFull,
            Failure::Offline => Self::DirectoryOffline,
            Failure::Transient(source) => Self::Io { path: PathBuf::new(), source },
        }
    }
}
