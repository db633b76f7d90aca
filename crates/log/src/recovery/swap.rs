//! Finishes what a crash interrupted when a cleaned segment was taking the place of others, or undoes it.
//!
//! The records under the name `.swap` decide: if they are there, the segments that they were made of are gone, whatever is
//! left of them. If only indexes bear that name, or anything still is `.cleaned`, nothing has happened yet.

use std::io;
use std::path::Path;

use levada_records::BatchHeader;
use levada_types::Offset;
use tracing::info;

use crate::OpenError;
use crate::disk::{Disk, OpenFile, OpenMode};
use crate::segment::{FileKind, HeaderScan, ScanError};

/// What compaction has left in a log's directory.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// Files that were being written.
    pub(super) cleaned: Vec<(Offset, FileKind)>,
    /// Files that were taking the place of others.
    pub(super) swaps: Vec<(Offset, FileKind)>,
}

impl Unfinished {
    /// Finishes or undoes it, given the base offsets of the segments that are there, which it changes accordingly.
    pub(super) fn settle(self, disk: &dyn Disk, dir: &Path, segments: &mut Vec<Offset>) -> Result<(), OpenError> {
        let is_logged = |files: &[(Offset, FileKind)], base| files.contains(&(base, FileKind::Log));
        // Kafka may divide a segment into several: none of them counts while one is not ready.
        let first_cleaned = self.cleaned.iter().map(|(base, _)| *base).min().unwrap_or(Offset::MAX);
        for &(base, kind) in &self.cleaned {
            remove(disk, &kind.cleaned_path(dir, base))?;
        }
        for &(base, kind) in &self.swaps {
            if base >= first_cleaned || !is_logged(&self.swaps, base) {
                remove(disk, &kind.swap_path(dir, base))?;
            }
        }
        let decided = |&&(base, kind): &&(Offset, FileKind)| kind == FileKind::Log && base < first_cleaned;
        for &(base, _) in self.swaps.iter().filter(decided) {
            self.finish(disk, dir, base, segments)?;
        }
        segments.sort_unstable();
        Ok(())
    }

    fn finish(&self, disk: &dyn Disk, dir: &Path, base: Offset, segments: &mut Vec<Offset>) -> Result<(), OpenError> {
        let end = end_of(disk, &FileKind::Log.swap_path(dir, base))?;
        for &old in segments.iter().filter(|&&old| old > base && old < end) {
            for kind in FileKind::ALL {
                remove(disk, &kind.path(dir, old))?;
            }
        }
        if segments.contains(&base) {
            // Otherwise the old records have been put aside, and what bears their name belongs to the new ones.
            for kind in [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex, FileKind::Log] {
                remove(disk, &kind.path(dir, base))?;
            }
        }
        let of_this = |&&(at, kind): &&(Offset, FileKind)| at == base && kind != FileKind::Log;
        let indexes = self.swaps.iter().filter(of_this).map(|(_, kind)| *kind);
        for kind in indexes.chain([FileKind::Log]) {
            let (from, to) = (kind.swap_path(dir, base), kind.path(dir, base));
            disk.rename(&from, &to).map_err(|error| failed(&from, error))?;
        }
        info!(path = %dir.display(), base_offset = base, "a cleaned segment has taken its place, as it was about to");
        segments.retain(|&old| old < base || old >= end);
        segments.push(base);
        Ok(())
    }
}

/// Where the records in a file end.
fn end_of(disk: &dyn Disk, path: &Path) -> Result<Offset, OpenError> {
    let read = |error| failed(path, error);
    let file = OpenFile::new(disk.open(path, OpenMode::Read).map_err(read)?);
    let mut scan = HeaderScan::new(&file, 0, file.size().map_err(read)?);
    let mut last: Option<BatchHeader> = None;
    loop {
        match scan.next() {
            Ok(Some((_, header))) => last = Some(header),
            Ok(None) => return Ok(last.map_or(Offset::MIN, |header| header.next_offset())),
            Err(ScanError::Io(error)) => return Err(read(error)),
            Err(ScanError::Corrupt { position, reason }) => {
                return Err(OpenError::Corrupt {
                    path: path.to_path_buf(),
                    reason: format!("what compaction has left is torn at byte {position}: {reason}"),
                });
            }
        }
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: io::Error) -> OpenError {
    OpenError::Io { path: path.to_path_buf(), source: std::sync::Arc::new(error) }
}
