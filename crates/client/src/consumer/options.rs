//! How a consumer behaves, by Kafka's names.

use std::time::Duration;

use super::OffsetReset;

/// A consumer's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerOptions {
    pub(super) fetch_min_bytes: u32,
    pub(super) fetch_max_bytes: u32,
    pub(super) fetch_max_wait: Duration,
    pub(super) prefetch_bytes: usize,
    pub(super) stop_at_end: bool,
    pub(super) auto_offset_reset: OffsetReset,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            fetch_min_bytes: 1,
            fetch_max_bytes: 1 << 20,
            fetch_max_wait: Duration::from_millis(500),
            prefetch_bytes: 64 << 20,
            stop_at_end: false,
            auto_offset_reset: OffsetReset::default(),
        }
    }
}
