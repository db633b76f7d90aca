//! What a core is shown while it is loaded.

use levada_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::TransactionalProducer;

/// A committed entry of the shard's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed<'a> {
    /// A record.
    Record {
        /// Its offset.
        offset: Offset,
        /// Its timestamp.
        timestamp: TimestampMs,
        /// Under whose transaction it was written, if any; it counts once a marker commits that.
        producer: Option<TransactionalProducer>,
        /// Its key.
        key: &'a [u8],
        /// Its value; `None` is a tombstone.
        value: Option<&'a [u8]>,
    },
    /// The end of a producer's transaction.
    Marker {
        /// Its offset.
        offset: Offset,
        /// Whose.
        producer_id: ProducerId,
        /// Under which epoch.
        producer_epoch: ProducerEpoch,
        /// Committed, or aborted.
        commit: bool,
    },
}
