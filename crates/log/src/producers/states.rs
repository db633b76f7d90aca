//! The producers of a log: which batch is a duplicate, which is out of order, which producer is fenced.

use std::collections::HashMap;

use levada_records::{BatchHeader, EndTxnMarker};
use levada_types::{Offset, ProducerId, Sequence};

use super::{BatchRange, ProducerEntry};
use crate::{ActiveProducer, AppendError};

/// The producers of a log. Equal to a replay of its batches, but for those that have expired.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    producers: HashMap<ProducerId, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    entry: ProducerEntry,
    /// When this process last heard of it. Expiry goes by the later of this and the records' own time: a producer that
    /// writes old timestamps (a copied corpus) must not be forgotten between two of its batches.
    seen_ms: i64,
}

/// What the check of a batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is the next one.
    Next,
    /// It is in the log already, there.
    Duplicate(BatchRange),
}

/// A producer as it was before a batch, to go back to if the batch cannot be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint {
    producer_id: ProducerId,
    before: Option<Known>,
}

impl ProducerStates {
    /// The producers of a snapshot. All of them: who has expired goes with the next [`Self::expire`], counted from now,
    /// so that a restart forgets nobody who is still sending.
    pub(crate) fn restore(entries: Vec<ProducerEntry>, now_ms: i64) -> Self {
        let known = |entry: ProducerEntry| (entry.producer_id, Known { entry, seen_ms: now_ms });
        Self { producers: entries.into_iter().map(known).collect() }
    }

    /// All of them, by id.
    pub(crate) fn entries(&self) -> Vec<ProducerEntry> {
        let mut entries: Vec<_> = self.producers.values().map(|known| known.entry).collect();
        entries.sort_unstable_by_key(|entry| entry.producer_id);
        entries
    }

    /// Who is known, and where the last batch of each is, if it is known.
    pub(crate) fn last_offsets(&self) -> HashMap<ProducerId, Option<Offset>> {
        let last = |known: &Known| known.entry.last_batch().map(|batch| batch.last_offset);
        self.producers.iter().map(|(id, known)| (*id, last(known))).collect()
    }

    /// What operators see of them, by id.
    pub(crate) fn describe(&self) -> Vec<ActiveProducer> {
        self.entries().iter().map(ProducerEntry::describe).collect()
    }

    /// Where the oldest open transaction starts.
    pub(crate) fn first_open_transaction(&self) -> Option<Offset> {
        self.producers.values().filter_map(|known| known.entry.current_txn_first_offset).min()
    }

    /// Checks a batch of a client against what is known of its producer.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`], [`AppendError::OutOfOrderSequence`].
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Checked, AppendError> {
        // Of an unknown producer (a new one; one whose state has expired, or whose records were deleted) any sequence
        // is taken: it cannot be told apart from one that lost nothing (KIP-360).
        let Some(Known { entry, .. }) = self.producers.get(&header.producer_id) else { return Ok(Checked::Next) };
        if header.producer_epoch < entry.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            });
        }
        let first = header.base_sequence;
        let out_of_order = |last| AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            sequence: first,
            last,
        };
        if header.producer_epoch > entry.epoch {
            // A new incarnation starts from 0, unless nothing but markers was ever seen of it.
            return if first == 0 || entry.epoch < 0 { Ok(Checked::Next) } else { Err(out_of_order(-1)) };
        }
        if let Some(batch) = entry.find(first, header.last_sequence()) {
            return Ok(Checked::Duplicate(*batch));
        }
        let last = entry.last_sequence();
        if follows(last, first) { Ok(Checked::Next) } else { Err(out_of_order(last)) }
    }

    /// Checks the marker that ends a transaction.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`], [`AppendError::CoordinatorFenced`].
    pub(crate) fn check_marker(&self, header: &BatchHeader, marker: &EndTxnMarker) -> Result<(), AppendError> {
        let Some(Known { entry, .. }) = self.producers.get(&header.producer_id) else { return Ok(()) };
        if header.producer_epoch < entry.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                epoch: header.producer_epoch,
                current: entry.epoch,
            });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Err(AppendError::CoordinatorFenced {
                producer_id: header.producer_id,
                epoch: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// How the producer stands now.
    pub(crate) fn savepoint(&self, producer_id: ProducerId) -> Savepoint {
        Savepoint { producer_id, before: self.producers.get(&producer_id).copied() }
    }

    /// Goes back to how the producer stood.
    pub(crate) fn roll_back(&mut self, savepoint: Savepoint) {
        match savepoint.before {
            Some(known) => self.producers.insert(savepoint.producer_id, known),
            None => self.producers.remove(&savepoint.producer_id),
        };
    }

    /// Takes a batch that is in the log, whoever put it there: nothing is checked. `header` bears the batch's offsets.
    pub(crate) fn apply(&mut self, header: &BatchHeader, seen_ms: i64) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        let known = self.known(header, seen_ms);
        known.entry.set_epoch(header.producer_epoch);
        known.entry.add(BatchRange {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if header.is_transactional() && known.entry.current_txn_first_offset.is_none() {
            known.entry.current_txn_first_offset = Some(header.base_offset);
        }
    }

    /// Takes a marker that is in the log; returns where the transaction that it ends started, if one was open.
    pub(crate) fn apply_marker(&mut self, header: &BatchHeader, marker: &EndTxnMarker, seen_ms: i64) -> Option<Offset> {
        let known = self.known(header, seen_ms);
        known.entry.set_epoch(header.producer_epoch);
        known.entry.coordinator_epoch = marker.coordinator_epoch;
        known.entry.last_timestamp = header.max_timestamp;
        known.entry.current_txn_first_offset.take()
    }

    fn known(&mut self, header: &BatchHeader, seen_ms: i64) -> &mut Known {
        let known = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| Known { entry: ProducerEntry::new(header.producer_id), seen_ms });
        known.seen_ms = known.seen_ms.max(seen_ms);
        known
    }

    /// Forgets those that have been silent for `expiration_ms` and have no open transaction; returns how many.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.producers.len();
        self.producers.retain(|_, known| {
            let last = known.seen_ms.max(known.entry.last_timestamp);
            known.entry.current_txn_first_offset.is_some() || now_ms.saturating_sub(last) < expiration_ms
        });
        before - self.producers.len()
    }
}

/// Whether `next` comes right after `last`; sequences go on at 0 after `i32::MAX`, and anything follows nothing.
const fn follows(last: Sequence, next: Sequence) -> bool {
    if last < 0 { next == 0 } else { next as i64 == last as i64 + 1 || (next == 0 && last == i32::MAX) }
}

#[cfg(test)]
mod tests {
    use levada_records::{Attributes, MAGIC_V2, TransactionOutcome};

    use super::*;

    fn batch(epoch: i16, sequence: i32, count: i32, offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset: offset,
            batch_length: 100,
            partition_leader_epoch: 0,
            magic: MAGIC_V2,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: count - 1,
            base_timestamp: 1_000,
            max_timestamp: 1_000,
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: sequence,
            records_count: count,
        }
    }

    fn states(batches: &[BatchHeader]) -> ProducerStates {
        let mut states = ProducerStates::default();
        for header in batches {
            assert_eq!(states.check(header).unwrap(), Checked::Next);
            states.apply(header, 0);
        }
        states
    }

    #[test]
    fn the_last_five_batches_are_known_again() {
        let batches: Vec<_> = (0..6).map(|i| batch(0, i * 10, 10, i64::from(i) * 10)).collect();
        let states = states(&batches);
        for header in &batches[1..] {
            let Ok(Checked::Duplicate(found)) = states.check(header) else { panic!("not a duplicate") };
            assert_eq!((found.first_offset(), found.last_offset), (header.base_offset, header.last_offset()));
        }
        assert!(matches!(states.check(&batches[0]), Err(AppendError::OutOfOrderSequence { last: 59, .. })));
        assert!(matches!(states.check(&batch(0, 50, 5, 0)), Err(AppendError::OutOfOrderSequence { .. })));
    }

    #[test]
    fn a_gap_is_refused_and_an_unknown_producer_is_not() {
        let states = states(&[batch(0, 41, 1, 0)]);
        assert_eq!(states.check(&batch(0, 42, 3, 0)).unwrap(), Checked::Next);
        assert!(matches!(states.check(&batch(0, 43, 1, 0)), Err(AppendError::OutOfOrderSequence { sequence: 43, .. })));
    }

    #[test]
    fn epochs_fence_and_start_from_zero() {
        let states = states(&[batch(1, 0, 5, 0)]);
        assert!(matches!(states.check(&batch(0, 5, 1, 0)), Err(AppendError::InvalidProducerEpoch { current: 1, .. })));
        assert_eq!(states.check(&batch(2, 0, 1, 0)).unwrap(), Checked::Next);
        assert!(matches!(states.check(&batch(2, 5, 1, 0)), Err(AppendError::OutOfOrderSequence { last: -1, .. })));
    }

    #[test]
    fn sequences_go_on_at_zero_after_the_last() {
        let mut states = states(&[batch(0, i32::MAX - 1, 2, 0)]);
        assert_eq!(states.check(&batch(0, 0, 1, 2)).unwrap(), Checked::Next);
        states.apply(&batch(0, 0, 1, 2), 0);
        assert!(matches!(states.check(&batch(0, i32::MAX - 1, 2, 3)), Ok(Checked::Duplicate(_))));
        let wrapping = batch(0, 1, 1, 3);
        states.apply(&wrapping, 0);
        assert!(matches!(states.check(&wrapping), Ok(Checked::Duplicate(_))));

        let states = self::states(&[batch(0, i32::MAX, 4, 0)]);
        let Ok(Checked::Duplicate(found)) = states.check(&batch(0, i32::MAX, 4, 9)) else { panic!("not a duplicate") };
        assert_eq!((found.first_sequence(), found.last_sequence), (i32::MAX, 2));
    }

    #[test]
    fn a_batch_that_was_not_written_leaves_nothing() {
        let mut states = states(&[batch(0, 0, 1, 0)]);
        let (known, unknown) = (states.entries(), states.savepoint(8));
        let savepoint = states.savepoint(7);
        states.apply(&batch(0, 1, 1, 1), 5);
        states.apply(&BatchHeader { producer_id: 8, ..batch(0, 0, 1, 2) }, 5);
        states.roll_back(unknown);
        states.roll_back(savepoint);
        assert_eq!(states.entries(), known);
        assert_eq!(states.check(&batch(0, 1, 1, 1)).unwrap(), Checked::Next);
    }

    #[test]
    fn silence_is_measured_by_the_later_clock() {
        let mut states = ProducerStates::default();
        states.apply(&batch(0, 0, 1, 0), 50_000);
        assert_eq!(states.expire(59_999, 10_000), 0);
        assert_eq!(states.expire(60_000, 10_000), 1);
        assert!(states.entries().is_empty());
    }

    #[test]
    fn a_marker_ends_a_transaction_and_fences() {
        let mut states = ProducerStates::default();
        let mut data = batch(3, 0, 2, 10);
        data.attributes = Attributes(0).with_transactional(true);
        states.apply(&data, 0);
        states.apply(&BatchHeader { base_offset: 12, base_sequence: 2, ..data }, 0);
        assert_eq!(states.first_open_transaction(), Some(10));
        assert_eq!(states.expire(i64::MAX, 1), 0, "an open transaction keeps its producer");

        let header = BatchHeader { base_offset: 14, base_sequence: -1, ..batch(3, -1, 1, 14) };
        let marker = EndTxnMarker { outcome: TransactionOutcome::Abort, coordinator_epoch: 4 };
        states.check_marker(&header, &marker).unwrap();
        assert_eq!(states.apply_marker(&header, &marker, 0), Some(10));
        assert_eq!(states.first_open_transaction(), None);
        let older = EndTxnMarker { coordinator_epoch: 3, ..marker };
        assert!(matches!(states.check_marker(&header, &older), Err(AppendError::CoordinatorFenced { current: 4, .. })));
    }
}
