//! Looking into a metadata log that was not closed in good order, without touching it.
//!
//! sled writes when it opens: what it takes for a torn end is gone then. So a copy is opened first and compared with what the
//! witness says. It costs a moment and, for as long, the log's size in space, which is not taken where the disk is nearly full.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::log_tree::LogTree;
use super::reserve::DB_FILE;
use super::seal;
use super::types::{StorageError, is_full, is_locked};
use super::witness::Holdings;

/// The name of a copy beside the log's directory, which a number follows: sled may still be removing an earlier one.
const COPY: &str = "log.examined-";

/// Bytes that must be left when the copy has been made.
const LEFT_FREE: u64 = 64 << 20;

/// Compares what a copy of the log in `dir` holds with what its witness says that it holds. Blocks.
pub(super) fn examine(dir: &Path, known: &Holdings) -> Result<(), StorageError> {
    clear(dir);
    let examined = match copied(dir) {
        Ok(Some(copy)) => look_into(&copy, dir, known),
        Ok(None) => Ok(()),
        Err(error) if is_full(&error) || is_locked(&error) => Ok(()),
        Err(source) => Err(StorageError::File { path: dir.to_owned(), source }),
    };
    clear(dir);
    match examined {
        // Without a copy the log is compared once it is open, which is too late to leave it as it is, but not to refuse it.
        Err(StorageError::Full { .. }) => Ok(()),
        examined => examined,
    }
}

fn look_into(copy: &Path, original: &Path, known: &Holdings) -> Result<(), StorageError> {
    let look = || LogTree::of_copy(copy, original).and_then(|tree| tree.compare(known));
    // sled panics over some damage. It has nothing here that is used again.
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| {
        let what = "it cannot be read".to_owned();
        Err(StorageError::Damaged { path: original.to_owned(), what })
    })
}

/// A copy of the database in `dir`; `None` if there is no database, or no space.
fn copied(dir: &Path) -> io::Result<Option<PathBuf>> {
    if !dir.join(DB_FILE).exists() {
        return Ok(None);
    }
    let _locked = seal::lock(dir)?;
    let files = files(dir)?;
    let needed: u64 = files.iter().map(|(_, len)| len).sum();
    let space = statvfs(dir)?;
    if space.blocks_available().saturating_mul(space.fragment_size()) < needed.saturating_add(LEFT_FREE) {
        return Ok(None);
    }
    let copy = dir.with_file_name(format!("{COPY}{}", uuid::Uuid::new_v4().simple()));
    for (path, _) in files {
        let target = copy.join(&path);
        fs::create_dir_all(target.parent().unwrap_or(&copy))?;
        fs::copy(dir.join(&path), target)?;
    }
    Ok(Some(copy))
}

/// What belongs to the database in `dir`, by its place there, and how long each file is. sled keeps large pages in files of
/// their own, in a directory below.
fn files(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let (mut found, mut below) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(at) = below.pop() {
        for entry in fs::read_dir(dir.join(&at))? {
            let entry = entry?;
            let path = at.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                below.push(path);
            } else if !entry.file_name().to_string_lossy().ends_with(".generating") {
                found.push((path, entry.metadata()?.len()));
            }
        }
    }
    Ok(found)
}

/// Removes every copy of the log in `dir`.
fn clear(dir: &Path) {
    let copies = dir.parent().and_then(|parent| fs::read_dir(parent).ok());
    for found in copies.into_iter().flatten().flatten() {
        if found.file_name().to_string_lossy().starts_with(COPY)
            && let Err(error) = fs::remove_dir_all(found.path())
        {
            // sled removes it too, a moment later; and what is left takes space, no more.
            tracing::debug!(path = %found.path().display(), %error, "a copy of the metadata log is left");
        }
    }
}
