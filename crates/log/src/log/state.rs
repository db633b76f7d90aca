//! What the writer of a log and its readers share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use levada_types::Offset;
use parking_lot::Mutex;

use super::{Durable, LogDir};
use crate::ReadError;
use crate::directory::Failure;
use crate::epochs::LeaderEpochs;
use crate::segment::{ScanError, Segment, SegmentList};

/// What the writer of a log and its readers share. The writer changes it; readers look at it without waiting.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) dir: Arc<LogDir>,
    pub(crate) segments: ArcSwap<SegmentList>,
    pub(crate) epochs: ArcSwap<LeaderEpochs>,
    pub(crate) log_start: AtomicI64,
    /// Everything below is durable.
    pub(crate) recovery_point: AtomicI64,
    /// Everything below was cleaned once (`cleaner-offset-checkpoint`); 0 if nothing was. Moved under the lock of
    /// `durable`.
    pub(crate) cleaned_to: AtomicI64,
    /// Where the oldest open transaction starts; `i64::MAX` if none is open.
    pub(crate) first_open_transaction: AtomicI64,
    /// Held by whoever moves the recovery point, or takes away segments that may be in flush. Never by an append.
    pub(crate) durable: Mutex<Durable>,
    /// How often a truncation has begun or ended: odd while one is under way. It begins under the lock of `durable`.
    pub(crate) truncations: AtomicU64,
    /// Whether names in the log's directory were created or changed since it was last synced.
    pub(crate) names_dirty: AtomicBool,
    /// How long the files of a deleted log stay.
    pub(crate) file_delete_delay_ms: AtomicI64,
    /// Whether the log's directory is being removed.
    pub(crate) deleted: AtomicBool,
    /// Whether the writer is gone, so that the log may be opened again, or deleted.
    pub(crate) released: AtomicBool,
    /// Whether the log's files are such that it opens without recovery.
    pub(crate) closed: AtomicBool,
}

impl LogState {
    pub(crate) fn log_start_offset(&self) -> Offset {
        self.log_start.load(Ordering::Acquire)
    }

    pub(crate) fn recovery_point(&self) -> Offset {
        self.recovery_point.load(Ordering::Acquire)
    }

    pub(crate) fn cleaned_to(&self) -> Offset {
        self.cleaned_to.load(Ordering::Acquire)
    }

    pub(crate) fn end_offset(&self) -> Offset {
        self.segments.load().end_offset()
    }

    /// What an error of the disk means, for a reader of `segment`.
    pub(crate) fn read_failure(&self, segment: &Segment, error: io::Error) -> ReadError {
        if self.deleted.load(Ordering::Acquire) {
            return ReadError::Deleted;
        }
        let gone = error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::UnexpectedEof;
        if gone && self.segments.load().iter().all(|live| !std::ptr::eq(&**live, segment)) {
            // The segment was deleted or cut while it was being read.
            let (start, end) = (self.log_start_offset(), self.end_offset());
            return ReadError::OffsetOutOfRange { offset: segment.base_offset(), start, end };
        }
        self.failure(error).into()
    }

    /// What a failed scan means, for a reader of `segment`.
    pub(crate) fn scan_failure(&self, segment: &Segment, error: ScanError) -> ReadError {
        match error {
            ScanError::Io(error) => self.read_failure(segment, error),
            ScanError::Corrupt { position, reason } => {
                if self.segments.load().iter().any(|live| std::ptr::eq(&**live, segment)) {
                    ReadError::Corrupt { base_offset: segment.base_offset(), position, reason }
                } else {
                    self.read_failure(segment, io::ErrorKind::UnexpectedEof.into())
                }
            }
        }
    }

    /// Judges an error of the disk.
    pub(crate) fn failure(&self, error: io::Error) -> Failure {
        self.dir.directory.failure(&self.dir.path, error)
    }

    /// Judges an error of a sync.
    pub(crate) fn sync_failure(&self, error: io::Error) -> Failure {
        self.dir.directory.sync_failure(&self.dir.path, error)
    }
}
