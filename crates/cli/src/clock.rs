//! The time of day, as records and logs count it.

use std::time::{SystemTime, UNIX_EPOCH};

use levada_types::TimestampMs;

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::try_from(since.as_millis()).unwrap_or(TimestampMs::MAX)
}
