//! The time, for cores.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_types::TimestampMs;
use tokio::time::Instant;

/// The longest wait. Timers have an end, and deadlines need not.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The machine's time as it was when this was made, and as much later as has passed since: it never goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    begun: Instant,
    begun_ms: TimestampMs,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { begun: Instant::now(), begun_ms: TimestampMs::try_from(since.as_millis()).unwrap_or(0) }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> TimestampMs {
        let since = TimestampMs::try_from(self.begun.elapsed().as_millis()).unwrap_or(TimestampMs::MAX);
        self.begun_ms.saturating_add(since)
    }

    /// Resolves at this time, or somewhat before if that is very far; never without a time.
    pub(crate) async fn until(&self, at: Option<TimestampMs>) {
        let Some(at) = at else { return std::future::pending().await };
        let ahead = u64::try_from(at.saturating_sub(self.now_ms())).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(ahead).min(LONGEST)).await;
    }
}
