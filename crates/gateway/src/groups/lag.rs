//! How far a group is behind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use levada_peers::{Place, ReaderLag, ReaderPlace};
use levada_types::{ErrorCode, TimestampMs, TopicIdPartition};

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

/// The clock that lag is told by.
pub(super) fn now_ms() -> TimestampMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs::try_from(since_epoch.as_millis()).unwrap_or(TimestampMs::MAX)
}
