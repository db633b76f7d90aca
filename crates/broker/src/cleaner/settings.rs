//! What the broker's settings say of compaction.

use std::time::Duration;

use levada_log::CleanerOptions;
use levada_metadata::config::Resolver;

use crate::Broker;

/// Kafka's defaults, for settings that cannot be read.
const DEFAULT_BACKOFF_MS: i64 = 15_000;
const DEFAULT_DEDUPE_BYTES: i64 = 128 << 20;
const DEFAULT_IO_BYTES: i64 = 512 << 10;
const DEFAULT_LOAD_FACTOR: f64 = 0.9;

/// What the broker's settings say of compaction, as of now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    /// How many threads compact; none if compaction is off (`log.cleaner.enable`, `log.cleaner.threads`).
    pub(super) threads: usize,
    /// How long a thread sleeps that has found nothing to do (`log.cleaner.backoff.ms`).
    pub(super) backoff: Duration,
    /// What one of them may use.
    pub(super) share: CleanerOptions,
}

impl Settings {
    pub(super) fn of(broker: &Broker) -> Self {
        let image = broker.image();
        let resolver = Resolver::new(image.state(), Some(broker.id()), &broker.options.statics);
        let long = |name, default| resolver.broker_long(name).unwrap_or(default);
        let is_on = resolver.broker_bool("log.cleaner.enable").unwrap_or(true);
        let threads = if is_on { usize::try_from(long("log.cleaner.threads", 1)).unwrap_or(0) } else { 0 };
        let load_factor = resolver.broker_text("log.cleaner.io.buffer.load.factor");
        let share = |bytes: i64| usize::try_from(bytes).unwrap_or(usize::MAX) / threads.max(1);
        Self {
            threads,
            backoff: Duration::from_millis(
                u64::try_from(long("log.cleaner.backoff.ms", DEFAULT_BACKOFF_MS)).unwrap_or(0),
            ),
            share: CleanerOptions {
                dedupe_buffer_bytes: share(long("log.cleaner.dedupe.buffer.size", DEFAULT_DEDUPE_BYTES)),
                load_factor: load_factor.and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_LOAD_FACTOR),
                io_buffer_bytes: share(long("log.cleaner.io.buffer.size", DEFAULT_IO_BYTES)),
            },
        }
    }
}
