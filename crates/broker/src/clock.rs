//! The time, for records and maintenance.

use std::time::{SystemTime, UNIX_EPOCH};

use levada_types::TimestampMs;

/// Milliseconds since 1970; 0 if the clock stands before that.
pub(crate) fn now_ms() -> TimestampMs {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| TimestampMs::try_from(elapsed.as_millis()).unwrap_or(TimestampMs::MAX))
}
