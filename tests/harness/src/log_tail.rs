//! The end of a log file, for a failure to show.

use std::{fs, path::Path};

/// How much of a log a failure shows.
const SHOWN_BYTES: usize = 16 * 1024;

/// The end of what a process wrote to its log file.
pub(crate) fn log_tail(path: &Path) -> String {
    let log = fs::read(path).unwrap_or_default();
    let end = log.get(log.len().saturating_sub(SHOWN_BYTES)..).unwrap_or_default();
    String::from_utf8_lossy(end).into_owned()
}
