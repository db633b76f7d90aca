//! What the simulated log is set to, and how fast its time passes.

use levada_log::LogConfig;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What the simulated log is set to, and how fast its time passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) retention_ms: Option<i64>,
    pub(super) segment_ms: i64,
    pub(super) segment_jitter_ms: i64,
    pub(super) producer_id_expiration_ms: i64,
    pub(super) flush_messages: Option<u64>,
    /// The longest time between two operations.
    pub(super) longest_pause_ms: i64,
    /// How much older, or newer, than the time of its append a record may be.
    pub(super) spread_ms: i64,
    pub(super) retention_bytes: Option<u64>,
    /// Whether the log is also written as a follower's, flushed beside its appends, and loses power in the end.
    pub(super) is_replica: bool,
}

/// Longer than any run.
const NEVER_MS: i64 = 1 << 40;

impl Settings {
    /// Nothing comes of age.
    pub(super) const fn plain() -> Self {
        Self {
            retention_ms: None,
            segment_ms: NEVER_MS,
            segment_jitter_ms: 0,
            producer_id_expiration_ms: NEVER_MS,
            flush_messages: None,
            longest_pause_ms: 0,
            spread_ms: 0,
            retention_bytes: None,
            is_replica: false,
        }
    }

    /// Each limit now and then, and of a length that a run comes to.
    pub(super) fn drawn(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
        let retention_bytes = random.random_bool(0.4).then(|| random.random_range(800..3_000));
        Self { retention_bytes, is_replica: true, ..Self::timed(seed) }
    }

    /// As [`Self::drawn`], for a log that is a leader's alone.
    pub(super) fn timed(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(!seed);
        let mut now_and_then =
            |range: std::ops::Range<i64>| random.random_bool(0.7).then(|| random.random_range(range));
        let (retention_ms, segment, jitter) =
            (now_and_then(200..2_000), now_and_then(100..1_500), now_and_then(1..400));
        let (expiration, flush, pause) = (now_and_then(200..2_000), now_and_then(-8..8), now_and_then(10..300));
        Self {
            retention_ms,
            segment_ms: segment.unwrap_or(NEVER_MS),
            segment_jitter_ms: jitter.unwrap_or(0),
            producer_id_expiration_ms: expiration.unwrap_or(NEVER_MS),
            flush_messages: flush.and_then(|limit| u64::try_from(limit).ok()).filter(|&limit| limit > 0),
            longest_pause_ms: pause.unwrap_or(7),
            spread_ms: now_and_then(1..500).unwrap_or(0),
            retention_bytes: None,
            is_replica: false,
        }
    }

    /// Whether time means anything: a run of plain settings makes no use of it.
    pub(super) const fn has_time(&self) -> bool {
        self.longest_pause_ms > 0
    }

    pub(super) fn config(&self) -> LogConfig {
        LogConfig {
            segment_bytes: 900,
            index_interval_bytes: 150,
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            segment_ms: self.segment_ms,
            segment_jitter_ms: self.segment_jitter_ms,
            producer_id_expiration_ms: self.producer_id_expiration_ms,
            flush_messages: self.flush_messages,
            file_delete_delay_ms: 10,
            ..LogConfig::default()
        }
    }
}
