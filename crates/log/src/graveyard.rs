//! Files and directories that have been renamed out of the way and wait to be removed.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tracing::warn;

use crate::disk::Disk;

/// What waits to be removed from a data directory. It has been renamed already, so that it is gone for good whatever
/// happens; the delay is for readers and operators (`file.delete.delay.ms`).
#[derive(Debug, Default)]
pub(crate) struct Graveyard(Mutex<VecDeque<Doomed>>);

#[derive(Debug)]
struct Doomed {
    due_ms: i64,
    path: PathBuf,
    is_dir: bool,
}

impl Graveyard {
    /// Files to remove at `due_ms`.
    pub(crate) fn add_files(&self, due_ms: i64, paths: impl IntoIterator<Item = PathBuf>) {
        self.0.lock().extend(paths.into_iter().map(|path| Doomed { due_ms, path, is_dir: false }));
    }

    /// A directory to remove at `due_ms`.
    pub(crate) fn add_dir(&self, due_ms: i64, path: PathBuf) {
        self.0.lock().push_back(Doomed { due_ms, path, is_dir: true });
    }

    /// Removes what is due; returns how many files and directories that were.
    pub(crate) fn purge(&self, disk: &dyn Disk, now_ms: i64) -> usize {
        // Removing takes long; others add meanwhile.
        let due: Vec<_> = {
            let mut doomed = self.0.lock();
            let all = std::mem::take(&mut *doomed);
            let (due, rest): (VecDeque<_>, _) = all.into_iter().partition(|doomed| doomed.due_ms <= now_ms);
            *doomed = rest;
            due.into()
        };
        due.iter().filter(|doomed| remove(disk, &doomed.path, doomed.is_dir)).count()
    }
}

/// Whether it is gone. What cannot be removed is found again at the next start.
fn remove(disk: &dyn Disk, path: &Path, is_dir: bool) -> bool {
    let removed = if is_dir { disk.remove_dir_all(path) } else { disk.remove_file(path) };
    match removed {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            warn!(path = %path.display(), %error, "a deleted file stays until the next start");
            false
        }
    }
}
