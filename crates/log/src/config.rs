//! What a topic's settings ask of its logs.

use levada_records::{Compression, TimestampType};

/// The settings of one log. Plain values: names, validation and defaults of the settings live with the cluster's
/// metadata, and the broker maps them to this.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// A segment is closed before it grows past this many bytes (`segment.bytes`). At most `i32::MAX`, since positions
    /// in an index are 32 bits wide.
    pub segment_bytes: u64,
    /// A segment is closed once it is this old (`segment.ms`).
    pub segment_ms: i64,
    /// At most this much is taken off `segment_ms`, another amount for each segment, so that not all logs roll at the
    /// same time (`segment.jitter.ms`).
    pub segment_jitter_ms: i64,
    /// A segment is closed when an index of it has grown to this many bytes (`segment.index.bytes`).
    pub segment_index_bytes: u64,
    /// An index gets an entry after this many bytes of records (`index.interval.bytes`).
    pub index_interval_bytes: u64,
    /// Closed segments whose newest record is older are deleted (`retention.ms`); `None` (-1) keeps them.
    pub retention_ms: Option<i64>,
    /// The oldest closed segments are deleted while the log stays at least this large without them
    /// (`retention.bytes`); `None` (-1) keeps them.
    pub retention_bytes: Option<u64>,
    /// Whether retention deletes at all (`cleanup.policy` holds `delete`).
    pub delete_enabled: bool,
    /// Files of a deleted segment, and directories of a deleted log, stay this long (`file.delete.delay.ms`).
    pub file_delete_delay_ms: i64,
    /// The log is flushed once this many records are unflushed (`flush.messages`); `None` leaves it to the kernel.
    pub flush_messages: Option<u64>,
    /// The log is flushed once a record has been unflushed for this long (`flush.ms`); `None` leaves it to the kernel.
    pub flush_ms: Option<i64>,
    /// The largest batch accepted, in bytes as appended (`max.message.bytes`).
    pub max_message_bytes: usize,
    /// How batches are compressed on disk (`compression.type`).
    pub compression: TopicCompression,
    /// Whose time the records bear (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// How far in the past a record's timestamp may lie (`message.timestamp.before.max.ms`).
    pub timestamp_before_max_ms: i64,
    /// How far in the future a record's timestamp may lie (`message.timestamp.after.max.ms`).
    pub timestamp_after_max_ms: i64,
    /// What is known of an idempotent producer is forgotten after this long (`producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
    /// Whether compaction keeps the newest record of each key alone, so that every record needs one (`cleanup.policy`
    /// holds `compact`).
    pub compacted: bool,
    /// Which part of the log must be new before it is compacted again, from 0 to 1 (`min.cleanable.dirty.ratio`).
    pub min_cleanable_dirty_ratio: f64,
    /// How long a record stays uncompacted at least (`min.compaction.lag.ms`).
    pub min_compaction_lag_ms: i64,
    /// How long a record stays uncompacted at most, whatever part of the log is new (`max.compaction.lag.ms`); `None`
    /// sets no bound.
    pub max_compaction_lag_ms: Option<i64>,
    /// How long tombstones and the markers of transactions stay once compaction has come by them (`delete.retention.ms`).
    pub delete_retention_ms: i64,
    /// Whether the room of a new segment is reserved when it is opened (`preallocate`).
    pub preallocate: bool,
}

/// How batches are compressed on disk (`compression.type`, with the codec's `compression.<codec>.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicCompression {
    /// As the producer sent them.
    Producer,
    /// All alike: a batch that comes otherwise is recompressed.
    Fixed {
        /// The codec; `Compression::None` stores uncompressed.
        codec: Compression,
        /// The codec's level; `None` for its default.
        level: Option<i32>,
    },
}

impl Default for LogConfig {
    /// Kafka 4's defaults, for tests and tools.
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 168 * HOUR_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: Some(168 * HOUR_MS),
            retention_bytes: None,
            delete_enabled: true,
            file_delete_delay_ms: 60_000,
            flush_messages: None,
            flush_ms: None,
            max_message_bytes: 1_048_588,
            compression: TopicCompression::Producer,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: HOUR_MS,
            producer_id_expiration_ms: 24 * HOUR_MS,
            compacted: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: None,
            delete_retention_ms: 24 * HOUR_MS,
            preallocate: false,
        }
    }
}
