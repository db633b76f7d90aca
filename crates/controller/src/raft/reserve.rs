//! Room that the metadata log keeps for itself, so that a full disk stops neither a start nor a deletion.
//!
//! sled writes when it opens, and the deletion of a topic, which frees space, is an entry of the log first. So blocks are
//! allocated past the end of sled's `db` file, without changing its length: what sled appends then lands in blocks that
//! nobody else can take, as they could those of a file that is removed when the disk is full. Only sled's snapshot, which it
//! writes on opening, is a file of its own; for it the blocks are given back to the file system for a moment.
//!
//! A file system that cannot allocate ahead has no reserve, and there a full disk stops the controller.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// sled's file in its directory.
pub(super) const DB_FILE: &str = "db";

/// Bytes allocated ahead: sixteen of sled's segments of 512 KiB, which is room for thousands of deletions.
const RESERVE_BYTES: u64 = 8 << 20;

/// Allocation is tried anew once less than this is left, not after each write.
const REFILL_BELOW_BYTES: u64 = RESERVE_BYTES / 2;

/// What is left for opening, elections, brokers and deletions: with less, a full disk refuses what creates anything.
const FLOOR_BYTES: u64 = RESERVE_BYTES / 4;

/// The unit of `st_blocks`, whatever the file system's block size is.
const STAT_BLOCK_BYTES: u64 = 512;

/// How much of the reserve there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// Enough, or the file system cannot tell.
    Enough,
    /// The disk is full, and the reserve is being used.
    Used,
    /// The disk is full, and what is left is not for everybody.
    Low,
}

impl Level {
    /// The level when the disk has no more and `left` bytes of the reserve are there.
    fn of_full_disk(left: u64) -> Self {
        match left {
            REFILL_BELOW_BYTES.. => Self::Enough,
            FLOOR_BYTES.. => Self::Used,
            _ => Self::Low,
        }
    }
}

/// The reserve of an open log.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    file: File,
    level: Mutex<Level>,
}

impl Reserve {
    /// The reserve of the sled database in `dir`, which must be open, filled as far as the disk allows.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let path = dir.join(DB_FILE);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let reserve = Self { path, file, level: Mutex::new(Level::Enough) };
        reserve.fill();
        Ok(reserve)
    }

    /// sled's file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the reserve in `file` back to the file system. The caller has it locked, for cutting could otherwise cut off
    /// what is being written.
    pub(super) fn release(file: &File) -> io::Result<()> {
        // Cutting a file to the length that it has frees the blocks past its end.
        file.set_len(file.metadata()?.len())
    }

    /// Allocates what is missing, if that is much. Costs a look at the file's metadata otherwise.
    pub(super) fn fill(&self) {
        let level = match self.left() {
            Ok(left) if left >= REFILL_BELOW_BYTES => Level::Enough,
            Ok(_) => match self.allocate() {
                Err(Errno::ENOSPC | Errno::EDQUOT) => Level::of_full_disk(self.left().unwrap_or(0)),
                // Some file systems cannot allocate, or say that they have and have not.
                _ => Level::Enough,
            },
            Err(_) => Level::Enough,
        };
        let before = std::mem::replace(&mut *self.level.lock().unwrap_or_else(PoisonError::into_inner), level);
        if level != before {
            self.tell(level);
        }
    }

    /// Whether commands that create anything may be written.
    pub(super) fn has_room(&self) -> bool {
        if self.level() == Level::Low {
            // Nothing is written that would notice that there is space again.
            self.fill();
        }
        self.level() != Level::Low
    }

    fn level(&self) -> Level {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> io::Result<u64> {
        let metadata = self.file.metadata()?;
        Ok((metadata.blocks() * STAT_BLOCK_BYTES).saturating_sub(metadata.len()))
    }

    fn allocate(&self) -> Result<(), Errno> {
        let len = self.file.metadata().map_err(|_| Errno::EIO)?.len();
        let upto = i64::try_from(len.saturating_add(RESERVE_BYTES)).map_err(|_| Errno::EFBIG)?;
        fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, upto)
    }

    fn tell(&self, level: Level) {
        let path = self.path.display();
        match level {
            Level::Enough => tracing::info!(%path, "the metadata log has its reserve again"),
            Level::Used => tracing::warn!(
                %path,
                "the disk of the metadata log is full; it goes on in its reserve. Delete topics or records, or enlarge the disk"
            ),
            Level::Low => tracing::error!(
                %path,
                "the disk of the metadata log is full and its reserve nearly used up; topics, partitions and producer ids are not created. Delete topics or records, or enlarge the disk"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_decides_who_may_write() {
        assert_eq!(Level::of_full_disk(REFILL_BELOW_BYTES), Level::Enough);
        assert_eq!(Level::of_full_disk(REFILL_BELOW_BYTES - 1), Level::Used);
        assert_eq!(Level::of_full_disk(FLOOR_BYTES), Level::Used);
        assert_eq!(Level::of_full_disk(FLOOR_BYTES - 1), Level::Low);
    }

    #[test]
    fn the_reserve_lies_past_the_end_and_can_be_given_back() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DB_FILE), b"entries").unwrap();
        let reserve = Reserve::of(dir.path()).unwrap();
        assert!(reserve.left().unwrap() >= RESERVE_BYTES, "it is allocated");
        assert_eq!(std::fs::read(dir.path().join(DB_FILE)).unwrap(), b"entries");
        assert!(reserve.has_room());
        Reserve::release(reserve.file()).unwrap();
        assert!(reserve.left().unwrap() < REFILL_BELOW_BYTES, "it is freed");
        reserve.fill();
        assert!(reserve.left().unwrap() >= RESERVE_BYTES, "it is there again");
        assert_eq!(std::fs::read(dir.path().join(DB_FILE)).unwrap(), b"entries");
    }
}
