//! Why a log was not cleaned, or not as far as it could have been.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use levada_records::BatchError;
use levada_types::Offset;
use thiserror::Error;

use crate::LogError;
use crate::segment::ScanError;

/// Why a log was not cleaned, or not as far as it could have been. The log is what it was, or partly cleaned; nothing is
/// lost.
#[derive(Debug, Clone, Error)]
pub enum CleanError {
    /// Whoever asked for it does not want it any more.
    #[error("it was called off")]
    CalledOff,
    /// The log is not the one that was read: it was truncated, opened anew, moved or deleted, or its head was deleted.
    #[error("the log has changed meanwhile")]
    Changed,
    /// What lies in a segment is no record batch.
    #[error("the segment at {base_offset} is damaged at byte {position}: {reason}")]
    Corrupt {
        /// The segment's base offset.
        base_offset: Offset,
        /// Where in its file.
        position: u64,
        /// What is wrong.
        reason: BatchError,
    },
    /// What is left of a segment would be longer than a segment may be.
    #[error("what is left of the segment at {base_offset} does not fit a segment")]
    TooLarge {
        /// The segment's base offset.
        base_offset: Offset,
    },
    /// There is no room to write what is left beside what was there before.
    #[error("compaction needs {needed} bytes of room for a while, and {available} are free")]
    NoSpace {
        /// What it needs.
        needed: u64,
        /// What there is.
        available: u64,
    },
    /// The log could not be made ready, or could not take the result.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl CleanError {
    /// The kind of reason in a word, for a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::CalledOff => "called_off",
            Self::Changed => "changed",
            Self::Corrupt { .. } => "corrupt",
            Self::TooLarge { .. } => "too_large",
            Self::NoSpace { .. } => "no_space",
            Self::Log(_) | Self::Io { .. } => "io",
        }
    }

    /// Whether it says that the log cannot be cleaned, and not only that it was not to be just then.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        !matches!(self, Self::CalledOff | Self::Changed)
    }

    pub(super) fn of_scan(error: ScanError, base_offset: Offset, path: impl FnOnce() -> PathBuf) -> Self {
        match error {
            ScanError::Corrupt { position, reason } => Self::Corrupt { base_offset, position, reason },
            ScanError::Io(error) => Self::of_io(error, path),
        }
    }

    pub(super) fn of_io(error: io::Error, path: impl FnOnce() -> PathBuf) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            // The log's directory bears another name by now.
            return Self::Changed;
        }
        Self::Io { path: path(), source: Arc::new(error) }
    }
}
