//! Replaces a small file so that a crash leaves either the old one or the new one.

use std::io;
use std::path::Path;

use crate::disk::{Disk, OpenFile, OpenMode};

/// How far a replaced file has to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It outlives the process.
    Process,
    /// It outlives the machine.
    Machine,
}

/// Writes `bytes` beside `path` under a name that ends in `.tmp`, then renames it.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let file = OpenFile::new(disk.open(&temporary, OpenMode::Create)?);
    file.set_len(0)?;
    file.write_all_at(bytes, 0)?;
    if durability == Durability::Machine {
        file.sync()?;
    }
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) if durability == Durability::Machine => disk.sync_dir(dir),
        _ => Ok(()),
    }
}
