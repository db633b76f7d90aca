//! What lies in a log's directory.

use std::io;
use std::path::{Path, PathBuf};

use levada_types::Offset;

use super::swap::Unfinished;
use crate::OpenError;
use crate::checkpoint::EPOCH_CHECKPOINT_FILE;
use crate::disk::Disk;
use crate::segment::{FileKind, SegmentFileName};

/// What lies in a log's directory.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Base offsets of the segments, ascending.
    pub(super) segments: Vec<Offset>,
    /// Where there are snapshots of the producers, ascending.
    pub(super) snapshots: Vec<Offset>,
    /// Which segments have a transaction index.
    pub(super) transaction_indexes: Vec<Offset>,
    /// Whether there is a `leader-epoch-checkpoint`.
    pub(super) has_epochs: bool,
}

impl Contents {
    /// Looks, finishes what compaction was about to do, and removes what was left behind: files of deleted segments,
    /// half-written files, indexes without a log.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, OpenError> {
        let failed =
            |path: &Path, error| OpenError::Io { path: path.to_path_buf(), source: std::sync::Arc::new(error) };
        let mut contents = Self::default();
        let mut leftovers: Vec<PathBuf> = Vec::new();
        let mut indexes = Vec::new();
        let mut unfinished = Unfinished::default();
        for entry in disk.list(dir).map_err(|error| failed(dir, error))? {
            if entry.is_dir {
                continue;
            }
            match SegmentFileName::parse(&entry.name) {
                SegmentFileName::Live(offset, FileKind::Log) => contents.segments.push(offset),
                SegmentFileName::Live(offset, FileKind::ProducerSnapshot) => contents.snapshots.push(offset),
                SegmentFileName::Live(offset, kind) => indexes.push((offset, kind)),
                SegmentFileName::Leftover | SegmentFileName::Cleaned(None) => leftovers.push(dir.join(&entry.name)),
                SegmentFileName::Cleaned(Some(file)) => unfinished.cleaned.push(file),
                SegmentFileName::Swap(offset, kind) => unfinished.swaps.push((offset, kind)),
                SegmentFileName::Other => contents.has_epochs |= entry.name == EPOCH_CHECKPOINT_FILE,
            }
        }
        contents.segments.sort_unstable();
        contents.snapshots.sort_unstable();
        let swapped: Vec<_> = unfinished.swaps.iter().filter(|(_, kind)| *kind != FileKind::Log).copied().collect();
        unfinished.settle(disk, dir, &mut contents.segments)?;
        indexes.extend(swapped);
        let transactions = indexes.iter().filter(|(_, kind)| *kind == FileKind::TransactionIndex);
        contents.transaction_indexes = transactions.map(|(offset, _)| *offset).collect();
        let orphans = indexes.into_iter().filter(|(offset, _)| contents.segments.binary_search(offset).is_err());
        leftovers.extend(orphans.map(|(offset, kind)| kind.path(dir, offset)));
        for path in leftovers {
            match disk.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, error)),
                _ => {}
            }
        }
        Ok(contents)
    }
}
