//! A full page cache, as on a server that has been up for a while.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
};

use levada_end_to_end::{Outcome, fail};

/// More than what is available, in percent: reading it once leaves nothing free, whatever was cached before.
const FILL_PERCENT: u64 = 105;

/// Keeps the page cache full of clean pages of its own, so that whoever is measured gets pages from there.
///
/// A virtual machine that backs its memory lazily, and gives free memory back to its host, charges whoever touches a free
/// page first, up to 3 CPU seconds per GB. That would be either server by chance, and more than what either costs.
pub(crate) struct PageCache {
    /// One hole: reading it fills pages and reads no disk.
    hole: File,
}

impl PageCache {
    /// A page cache as large as what is available now.
    pub(crate) fn new() -> Outcome<Self> {
        let hole = tempfile::tempfile()?;
        hole.set_len(available_bytes()? / 100 * FILL_PERCENT)?;
        Ok(Self { hole })
    }

    /// Leaves no page free that a machine could have taken back: call it before each measurement.
    pub(crate) fn fill(&mut self) -> Outcome {
        let mut chunk = vec![0; 1 << 20];
        self.hole.rewind()?;
        while self.hole.read(&mut chunk)? > 0 {}
        Ok(())
    }
}

fn available_bytes() -> Outcome<u64> {
    let facts = fs::read_to_string("/proc/meminfo")?;
    let line = facts.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kibibytes.map_or_else(|| fail("/proc/meminfo does not tell what is available"), |kibibytes| Ok(kibibytes * 1024))
}
