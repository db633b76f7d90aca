//! Invariant 8: the producers that a log knows are those that a replay of it finds.

use std::collections::BTreeMap;

use levada_records::Batches;
use levada_types::{BrokerId, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::brokers::Hosted;
use crate::run::Failure;

/// Epoch, last sequence and last timestamp of a producer.
type Known = (ProducerEpoch, Sequence, TimestampMs);

/// Compares what is kept beside a log with a replay of its `bytes`. Of producers whose batches are deleted, more may be
/// kept than a replay finds.
pub(crate) fn replay(broker: BrokerId, hosted: &Hosted, bytes: &[u8]) -> Result<(), Failure> {
    let mut replayed: BTreeMap<ProducerId, Known> = BTreeMap::new();
    for batch in Batches::new(bytes).flatten() {
        let header = batch.header();
        if header.has_producer_id() {
            let known = (header.producer_epoch, header.last_sequence(), header.max_timestamp);
            replayed.insert(header.producer_id, known);
        }
    }
    let kept = hosted.writer.active_producers();
    let mut kept: BTreeMap<ProducerId, Known> =
        kept.iter().map(|p| (p.producer_id, (p.producer_epoch, p.last_sequence, p.last_timestamp))).collect();
    if hosted.reader.log_start_offset() > 0 {
        kept.retain(|id, _| replayed.contains_key(id));
    }
    if kept == replayed {
        return Ok(());
    }
    Err(Failure::NotReplayed { broker, kept: format!("{kept:?}"), replayed: format!("{replayed:?}") })
}
