//! What a batch may be, as its topic's settings and the broker's bounds say.

use levada_types::TimestampMs;

/// Bytes that the records of one batch may take decompressed, unless a caller sets another limit: 64 times Kafka's
/// default `max.message.bytes`, well above what text compresses to.
pub const MAX_DECOMPRESSED_BYTES: usize = 64 << 20;

/// The timestamps that a topic accepts, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampWindow {
    /// The earliest accepted.
    pub earliest: TimestampMs,
    /// The latest accepted.
    pub latest: TimestampMs,
}

impl TimestampWindow {
    /// Accepts everything: for topics whose timestamps the broker sets.
    pub const ANY: Self = Self { earliest: TimestampMs::MIN, latest: TimestampMs::MAX };

    /// What `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` accept at the time `now_ms`.
    #[must_use]
    pub const fn around(now_ms: TimestampMs, before_max_ms: i64, after_max_ms: i64) -> Self {
        Self { earliest: now_ms.saturating_sub(before_max_ms), latest: now_ms.saturating_add(after_max_ms) }
    }

    /// Whether `timestamp` is accepted. -1 (none) always is, as in Kafka.
    #[must_use]
    pub const fn contains(&self, timestamp: TimestampMs) -> bool {
        timestamp == -1 || (self.earliest <= timestamp && timestamp <= self.latest)
    }
}

/// What a batch may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole batch as sent: the topic's `max.message.bytes`.
    pub max_batch_bytes: usize,
    /// Bytes that its records may take decompressed.
    pub max_decompressed_bytes: usize,
    /// Timestamps that the topic accepts.
    pub timestamps: TimestampWindow,
}

impl Limits {
    /// No bounds but those of the format and [`MAX_DECOMPRESSED_BYTES`]: for batches that were checked before.
    pub const NONE: Self = Self {
        max_batch_bytes: usize::MAX,
        max_decompressed_bytes: MAX_DECOMPRESSED_BYTES,
        timestamps: TimestampWindow::ANY,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_saturates_and_always_holds_none() {
        let window = TimestampWindow::around(1_000, i64::MAX, 100);
        assert!(window.contains(0) && window.contains(1_100) && window.contains(-1));
        assert!(!window.contains(1_101));
        let narrow = TimestampWindow::around(1_000, 10, 10);
        assert!(!narrow.contains(989) && narrow.contains(990) && narrow.contains(-1));
        assert!(TimestampWindow::ANY.contains(i64::MIN) && TimestampWindow::ANY.contains(i64::MAX));
    }
}
