//! The time, for records and maintenance.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use levada_types::TimestampMs;

/// Milliseconds since 1970; 0 if the clock stands before that.
pub(crate) fn now_ms() -> TimestampMs {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| TimestampMs::try_from(elapsed.as_millis()).unwrap_or(TimestampMs::MAX))
}

/// Milliseconds since some moment in the life of this process. Never goes back, however the machine's clock is set.
pub(crate) fn uptime_ms() -> TimestampMs {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let elapsed = BEGUN.get_or_init(Instant::now).elapsed();
    TimestampMs::try_from(elapsed.as_millis()).unwrap_or(TimestampMs::MAX)
}
