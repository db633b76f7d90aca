//! What a consumer gets.

use std::sync::Arc;

use bytes::Bytes;
use levada_records::{BatchError, Batches, RecordBuffer};
use levada_types::{Offset, TimestampMs};

/// A record as it stands in its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its position in the partition.
    pub offset: Offset,
    /// Its time in milliseconds since 1970, -1 if it has none.
    pub timestamp_ms: TimestampMs,
    /// Its key; `None` is null.
    pub key: Option<Bytes>,
    /// Its value; `None` is null, a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<ConsumedHeader>,
}

/// A header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedHeader {
    /// Its name: UTF-8 by convention, which nobody checks.
    pub key: Bytes,
    /// Its value; `None` is null.
    pub value: Option<Bytes>,
}

/// Stored record batches as they came from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedBatches {
    /// Their topic.
    pub topic: Arc<str>,
    /// Their partition.
    pub partition: i32,
    /// From where the consumer reads: records below it, which the first batch may hold, are not meant.
    pub from_offset: Offset,
    /// Whole record batches of format v2, one after the other; control batches among them.
    pub batches: Bytes,
    /// The offset after the last of them.
    pub next_offset: Offset,
    /// The offset below which every consumer sees everything.
    pub high_watermark: Offset,
}

impl FetchedBatches {
    /// The records in them, from `from_offset` on, without control records. Uncompressed ones share the batches' memory.
    ///
    /// # Errors
    /// [`BatchError`] if a batch is damaged; the records before it are in `into`.
    pub fn records(&self, buffer: &mut RecordBuffer, into: &mut impl Extend<ConsumedRecord>) -> Result<(), BatchError> {
        for batch in Batches::new(&self.batches) {
            let batch = batch?;
            batch.verify_crc()?;
            if batch.header().is_control() || batch.header().last_offset() < self.from_offset {
                continue;
            }
            for record in batch.records(buffer)? {
                let record = record?;
                if record.offset < self.from_offset {
                    continue;
                }
                let headers = record
                    .headers()
                    .map(|header| ConsumedHeader {
                        key: self.own(header.key),
                        value: header.value.map(|v| self.own(v)),
                    })
                    .collect();
                into.extend([ConsumedRecord {
                    topic: self.topic.clone(),
                    partition: self.partition,
                    offset: record.offset,
                    timestamp_ms: record.timestamp,
                    key: record.key.map(|key| self.own(key)),
                    value: record.value.map(|value| self.own(value)),
                    headers,
                }]);
            }
        }
        Ok(())
    }

    /// A slice of the batches where `bytes` is one; a copy of what was decompressed elsewhere.
    fn own(&self, bytes: &[u8]) -> Bytes {
        let within = self.batches.as_ptr_range();
        let part = bytes.as_ptr_range();
        if within.start <= part.start && part.end <= within.end {
            self.batches.slice_ref(bytes)
        } else {
            Bytes::copy_from_slice(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_records::{BatchBuilder, Compression, EndTxnMarker, Header, TransactionOutcome};

    use super::*;

    fn fetched(batches: Vec<u8>, from_offset: Offset) -> FetchedBatches {
        let batches = Bytes::from(batches);
        FetchedBatches { topic: "t".into(), partition: 3, from_offset, batches, next_offset: 0, high_watermark: 0 }
    }

    fn batch(base_offset: Offset, values: &[&str], compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new();
        for value in values {
            let headers = [Header { key: b"h", value: None }];
            builder.append(7, Some(b"k"), Some(value.as_bytes()), &headers).expect("it fits");
        }
        builder.set_position(base_offset, 0).build(compression, None).expect("it has records")
    }

    fn values(fetched: &FetchedBatches) -> Vec<(Offset, String)> {
        let mut records = Vec::new();
        fetched.records(&mut RecordBuffer::new(), &mut records).expect("the batches are whole");
        records
            .iter()
            .map(|r| (r.offset, String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into()))
            .collect()
    }

    #[test]
    fn skips_what_lies_before_the_position() {
        let bytes = [batch(10, &["a", "b", "c"], Compression::None), batch(13, &["d"], Compression::Lz4)].concat();
        let expected = [(12, "c".to_owned()), (13, "d".to_owned())];
        assert_eq!(values(&fetched(bytes, 12)), expected);
    }

    #[test]
    fn uncompressed_records_share_memory_and_nothing_is_lost() {
        let fetched = fetched(batch(0, &["value"], Compression::None).to_vec(), 0);
        let mut records = Vec::new();
        fetched.records(&mut RecordBuffer::new(), &mut records).expect("the batch is whole");
        let record = &records[0];
        assert!(fetched.batches.as_ptr_range().contains(&record.value.as_ref().expect("it has one").as_ptr()));
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.timestamp_ms, 7);
        assert_eq!(record.headers, [ConsumedHeader { key: Bytes::from_static(b"h"), value: None }]);
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut bytes = batch(0, &["value"], Compression::None).to_vec();
        *bytes.last_mut().expect("it is not empty") ^= 1;
        let mut records: Vec<ConsumedRecord> = Vec::new();
        assert!(fetched(bytes, 0).records(&mut RecordBuffer::new(), &mut records).is_err());
        assert!(records.is_empty());
    }

    #[test]
    fn control_batches_are_passed_over() {
        let marker = EndTxnMarker { outcome: TransactionOutcome::Commit, coordinator_epoch: 1 };
        let control = marker.batch(5, 0, 0).expect("it can be built");
        let bytes = [control.to_vec(), batch(1, &["a"], Compression::None).to_vec()].concat();
        assert_eq!(values(&fetched(bytes, 0)), [(1, "a".to_owned())]);
    }
}
