//! How far recovery is, for whoever waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the opening of logs is. Counts up; read it from any thread.
#[derive(Debug, Default)]
pub struct RecoveryProgress {
    logs_total: AtomicU64,
    logs_done: AtomicU64,
    bytes_total: AtomicU64,
    bytes_done: AtomicU64,
    loss: AtomicBool,
}

impl RecoveryProgress {
    /// Logs to open.
    #[must_use]
    pub fn logs_total(&self) -> u64 {
        self.logs_total.load(Ordering::Relaxed)
    }

    /// Logs opened or given up.
    #[must_use]
    pub fn logs_done(&self) -> u64 {
        self.logs_done.load(Ordering::Relaxed)
    }

    /// Bytes that have to be scanned, as far as is known by now.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Ordering::Relaxed)
    }

    /// Bytes scanned.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.bytes_done.load(Ordering::Relaxed)
    }

    /// Whether a log holds less than its last user knew it to hold, or what nobody has written. The torn end of a last write
    /// is neither.
    #[must_use]
    pub fn has_found_loss(&self) -> bool {
        self.loss.load(Ordering::Relaxed)
    }

    /// A log has lost what its last user knew it to hold.
    pub fn found_loss(&self) {
        self.loss.store(true, Ordering::Relaxed);
    }

    pub(crate) fn add_logs(&self, logs: u64) {
        self.logs_total.fetch_add(logs, Ordering::Relaxed);
    }

    pub(crate) fn log_done(&self) {
        self.logs_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn bytes_scanned(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }
}
