//! Control records: what the broker writes among the records of applications, which never see them.

use bytes::{Buf, BufMut, Bytes};
use levada_types::{ProducerEpoch, ProducerId, TimestampMs};

use crate::{BatchBuilder, BatchError, Compression, Record};

/// The version of a control record's key and of a marker's value, as Kafka writes them.
const VERSION: i16 = 0;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionOutcome {
    /// Its records are to be read.
    Commit,
    /// Its records are to be skipped by readers of committed records.
    Abort,
}

/// The marker that ends a transaction in one partition (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// How the transaction ended.
    pub outcome: TransactionOutcome,
    /// Epoch of the coordinator that decided it.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// The batch that holds this marker alone, for the transaction of the given producer.
    ///
    /// # Errors
    /// None in practice: a marker always fits a batch.
    pub fn batch(&self, id: ProducerId, epoch: ProducerEpoch, timestamp: TimestampMs) -> Result<Bytes, BatchError> {
        let kind = match self.outcome {
            TransactionOutcome::Abort => ControlRecord::ABORT,
            TransactionOutcome::Commit => ControlRecord::COMMIT,
        };
        let mut key = Vec::with_capacity(4);
        key.put_i16(VERSION);
        key.put_i16(kind);
        let mut value = Vec::with_capacity(6);
        value.put_i16(VERSION);
        value.put_i32(self.coordinator_epoch);

        let mut builder = BatchBuilder::new();
        builder.set_producer(id, epoch, -1).set_transactional(true).set_control();
        builder.append(timestamp, Some(&key), Some(&value), &[])?;
        builder.build(Compression::None, None)
    }
}

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlRecord {
    /// A transaction ended here.
    EndTxn(EndTxnMarker),
    /// Of another kind, such as those that KRaft writes into its own log.
    Other {
        /// Kafka's number for the kind.
        kind: i16,
    },
}

impl ControlRecord {
    const ABORT: i16 = 0;
    const COMMIT: i16 = 1;

    /// Reads a record of a control batch. Later versions of keys and values only append fields, so they are read too.
    ///
    /// # Errors
    /// [`BatchError::MalformedControlRecord`].
    pub fn parse(record: &Record<'_>) -> Result<Self, BatchError> {
        let malformed = |reason| BatchError::MalformedControlRecord { reason };
        let mut key = record.key.ok_or_else(|| malformed("it has no key"))?;
        let version = key.try_get_i16().map_err(|_| malformed("its key ends within the version"))?;
        if version < VERSION {
            return Err(malformed("its key's version is negative"));
        }
        let outcome = match key.try_get_i16().map_err(|_| malformed("its key ends within the type"))? {
            Self::ABORT => TransactionOutcome::Abort,
            Self::COMMIT => TransactionOutcome::Commit,
            kind => return Ok(Self::Other { kind }),
        };
        let mut value = record.value.ok_or_else(|| malformed("the marker has no value"))?;
        let version = value.try_get_i16().map_err(|_| malformed("the marker ends within its version"))?;
        if version < VERSION {
            return Err(malformed("the marker's version is negative"));
        }
        let coordinator_epoch =
            value.try_get_i32().map_err(|_| malformed("the marker ends within the coordinator's epoch"))?;
        Ok(Self::EndTxn(EndTxnMarker { outcome, coordinator_epoch }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordBatch, RecordBuffer};

    #[test]
    fn a_marker_comes_back_from_its_batch() {
        for outcome in [TransactionOutcome::Commit, TransactionOutcome::Abort] {
            let marker = EndTxnMarker { outcome, coordinator_epoch: 7 };
            let bytes = marker.batch(4_000, 3, 1_700_000_000_000).unwrap();
            let batch = RecordBatch::parse_only(&bytes).unwrap();
            batch.verify_crc().unwrap();
            let header = batch.header();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4_000, 3, -1));
            let mut buffer = RecordBuffer::new();
            let records: Vec<_> = batch.records(&mut buffer).unwrap().map(Result::unwrap).collect();
            assert_eq!(records.len(), 1);
            assert_eq!(records[0].key, Some([0, 0, 0, u8::from(outcome == TransactionOutcome::Commit)].as_slice()));
            assert_eq!(ControlRecord::parse(&records[0]), Ok(ControlRecord::EndTxn(marker)));
        }
    }

    #[test]
    fn other_kinds_are_told_and_torn_ones_refused() {
        let mut builder = BatchBuilder::new();
        builder.append(0, Some(&[0, 0, 0, 2]), None, &[]).unwrap();
        builder.append(0, Some(&[0, 0, 0]), None, &[]).unwrap();
        builder.append(0, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0]), &[]).unwrap();
        builder.append(0, None, None, &[]).unwrap();
        let bytes = builder.build(Compression::None, None).unwrap();
        let mut buffer = RecordBuffer::new();
        let records = RecordBatch::parse_only(&bytes).unwrap().records(&mut buffer).unwrap();
        let read: Vec<_> = records.map(|record| ControlRecord::parse(&record.unwrap())).collect();
        assert_eq!(read[0], Ok(ControlRecord::Other { kind: 2 }));
        for torn in &read[1..] {
            assert!(matches!(torn, Err(BatchError::MalformedControlRecord { .. })), "{torn:?}");
        }
    }
}
