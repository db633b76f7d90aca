//! One producer, as a log knows it.

use levada_types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::ActiveProducer;

/// Batches remembered per producer, so that a resend of any of them is known for what it is. Kafka's number, and the
/// most requests that an idempotent producer may have in flight.
pub(super) const REMEMBERED_BATCHES: usize = 5;

/// A batch that a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BatchRange {
    /// Sequence of its last record.
    pub(crate) last_sequence: Sequence,
    /// Offset of its last record.
    pub(crate) last_offset: Offset,
    /// Offset of the last record relative to the first.
    pub(crate) offset_delta: i32,
    /// Its greatest timestamp.
    pub(crate) timestamp: TimestampMs,
}

impl BatchRange {
    /// Sequence of its first record.
    pub(crate) const fn first_sequence(&self) -> Sequence {
        // Sequences count modulo 2^31.
        ((self.last_sequence as i64 - self.offset_delta as i64) & i32::MAX as i64) as i32
    }

    /// Offset of its first record.
    pub(crate) const fn first_offset(&self) -> Offset {
        self.last_offset - self.offset_delta as i64
    }
}

/// One producer, as a log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    /// Epoch of the coordinator that wrote its last marker; -1 if none did.
    pub(crate) coordinator_epoch: i32,
    /// The greatest timestamp of its last batch; -1 if it has none.
    pub(crate) last_timestamp: TimestampMs,
    /// Where its open transaction starts.
    pub(crate) current_txn_first_offset: Option<Offset>,
    /// Its last batches in this epoch, oldest first.
    batches: [BatchRange; REMEMBERED_BATCHES],
    batch_count: u8,
}

impl ProducerEntry {
    /// A producer of which nothing is known.
    pub(crate) fn new(producer_id: ProducerId) -> Self {
        Self {
            producer_id,
            epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: [BatchRange::default(); REMEMBERED_BATCHES],
            batch_count: 0,
        }
    }

    /// Its batches, oldest first.
    pub(crate) fn batches(&self) -> &[BatchRange] {
        &self.batches[..usize::from(self.batch_count)]
    }

    /// Its last batch.
    pub(crate) fn last_batch(&self) -> Option<&BatchRange> {
        self.batches().last()
    }

    /// The sequence of its last record in this epoch; -1 if it has none.
    pub(crate) fn last_sequence(&self) -> Sequence {
        self.last_batch().map_or(-1, |batch| batch.last_sequence)
    }

    /// The batch with exactly these sequences.
    pub(crate) fn find(&self, first: Sequence, last: Sequence) -> Option<&BatchRange> {
        self.batches().iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last)
    }

    /// Takes a newer epoch: what was written under the old one is no longer compared with.
    pub(crate) fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }

    /// Notes a batch; the oldest goes when there are too many.
    pub(crate) fn add(&mut self, batch: BatchRange) {
        let count = usize::from(self.batch_count);
        if count == REMEMBERED_BATCHES {
            self.batches.rotate_left(1);
            self.batches[count - 1] = batch;
        } else {
            self.batches[count] = batch;
            self.batch_count += 1;
        }
        self.last_timestamp = batch.timestamp;
    }

    /// What operators see of it.
    pub(crate) fn describe(&self) -> ActiveProducer {
        ActiveProducer {
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            last_sequence: self.last_sequence(),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            current_txn_first_offset: self.current_txn_first_offset,
        }
    }
}
