//! The bounds of one shard.

use levada_types::TimestampMs;

/// The bounds of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Appends that may be under way; what is decided meanwhile shares the next one.
    pub appends_under_way: usize,
    /// Bytes of records after which nothing more is put into a batch.
    pub max_batch_bytes: usize,
    /// Bytes of records that one request may write.
    pub max_write_bytes: usize,
    /// Bytes of records that may wait to be committed; beyond, requests are refused.
    pub max_parked_bytes: usize,
    /// How long an append may take before its outcome counts as unknown, in milliseconds.
    pub write_timeout_ms: TimestampMs,
    /// How long opening a session, or the next piece of a read, may take, in milliseconds.
    pub load_timeout_ms: TimestampMs,
    /// How long a state that is not served is good for the beginning of the next one, in milliseconds, since the leader was heard
    /// last. Far below `delete.retention.ms` of the topic: a tombstone that compaction removes meanwhile would never be seen.
    pub keep_ms: TimestampMs,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // One that is written, one on its way to the followers, one on its way back, and one to come.
            appends_under_way: 4,
            // Half of what `max.message.bytes` allows by default, so that one more write fits.
            max_batch_bytes: 512 << 10,
            // Below what a message between roles may have; Kafka's segments of this topic could not take much more.
            max_write_bytes: 4 << 20,
            max_parked_bytes: 64 << 20,
            // Kafka's `offsets.commit.timeout.ms`.
            write_timeout_ms: 5_000,
            // Above the time that a leader lets a read wait for the high watermark.
            load_timeout_ms: 15_000,
            // A day is how long tombstones stay by default.
            keep_ms: 3_600_000,
        }
    }
}
