//! How far a group is behind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_peers::{Place, ReaderLag, ReaderPlace};
use levada_types::{ErrorCode, Offset, TimestampMs, TopicIdPartition};

use crate::gateway::Gateway;

/// How long the leader of a partition may take. Shorter than any client's patience, so that one that hangs costs its own
/// part of the answer and not the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What the leaders tell of these partitions, of each with the place to be looked at.
pub(super) async fn ask(
    gateway: &Gateway,
    places: impl IntoIterator<Item = (TopicIdPartition, Place)>,
) -> Vec<Result<ReaderLag, ErrorCode>> {
    let places: Vec<ReaderPlace> =
        places.into_iter().map(|(partition, place)| ReaderPlace { partition, place }).collect();
    gateway.lags.describe(&gateway.broker.image(), &places, TIMEOUT).await
}

/// How many records lie after what is committed, never fewer than none.
pub(super) fn in_records(committed: Offset, lag: &ReaderLag) -> i64 {
    lag.high_watermark.saturating_sub(committed).max(0)
}

/// How long the oldest of them has been waiting, in milliseconds; `None` if its time is not known.
pub(super) fn in_milliseconds(committed: Offset, lag: &ReaderLag, now: TimestampMs) -> Option<i64> {
    match lag.next_timestamp {
        _ if in_records(committed, lag) == 0 => Some(0),
        Some(timestamp) => Some(now.saturating_sub(timestamp).max(0)),
        None => None,
    }
}

/// The clock that lag is told by.
pub(super) fn now_ms() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::try_from(since_epoch.as_millis()).unwrap_or(TimestampMs::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(high_watermark: Offset, next_timestamp: Option<TimestampMs>) -> ReaderLag {
        ReaderLag { log_start_offset: 0, high_watermark, next_timestamp, offset_at_time: None }
    }

    #[test]
    fn lag_is_never_negative() {
        assert_eq!(in_records(3, &lag(10, None)), 7);
        assert_eq!(in_records(12, &lag(10, None)), 0, "the log was cut off below what is committed");
        assert_eq!(in_milliseconds(3, &lag(10, Some(500)), 700), Some(200));
        assert_eq!(in_milliseconds(3, &lag(10, Some(900)), 700), Some(0), "the producer's clock is ahead");
        assert_eq!(in_milliseconds(10, &lag(10, None), 700), Some(0));
        assert_eq!(in_milliseconds(3, &lag(10, None), 700), None);
    }
}
