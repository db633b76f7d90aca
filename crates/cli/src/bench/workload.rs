//! The records of a run: what they contain, and whether what comes back is what went in.
//!
//! Without `--verify` and `--keys` every batch of a run is the same, made once, so that the client costs little beside the server. With
//! it every record differs from all others, and the record at an offset can be made again from the partition and the
//! offset alone, so that nothing is kept for comparison. With `--keys` each record has one of so many keys, as compacted
//! topics want it: every key once before any comes again, in an order that is not theirs.

use std::num::NonZero;

use bytes::Bytes;
use levada_records::{BatchBuilder, Compression, RecordBatch, RecordBuffer};
use levada_types::{Offset, TimestampMs};

use crate::CliError;

/// Words of the values of plain runs, so that codecs find about as much to do as in text.
const WORDS: [&str; 8] = ["stream ", "of ", "water ", "channel ", "the ", "field ", "irrigates ", "many "];

/// The smallest value that can tell records apart: eight bytes of the pseudo-random sequence.
const SMALLEST_DISTINCT: usize = 8;

/// How far keys that follow each other lie apart: a prime above any number of keys worth using (Knuth's multiplicative
/// constant), so that all of them come before one comes again.
const KEY_STEP: u64 = 2_654_435_761;

/// The shape of the records of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    /// Bytes of a record's value.
    pub(super) record_size: usize,
    /// Records of a batch.
    pub(super) records_per_batch: u32,
    pub(super) compression: Compression,
    /// Whether every record differs from all others.
    pub(super) distinct: bool,
    /// How many keys there are; `None`: records without a key.
    pub(super) keys: Option<NonZero<u32>>,
    /// The create time of all records.
    pub(super) timestamp: TimestampMs,
}

/// Makes the batches of one partition, in order.
#[derive(Debug)]
pub(super) struct BatchSource {
    workload: Workload,
    partition: i32,
    /// Offset of the next record, the partition being empty at the start.
    next: Offset,
    builder: BatchBuilder,
    value: Vec<u8>,
    /// The one batch of a plain run.
    plain: Option<Bytes>,
}

impl Workload {
    /// Checks that distinct records are large enough to differ.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.distinct && self.record_size < SMALLEST_DISTINCT {
            let message = format!("--verify needs records of at least {SMALLEST_DISTINCT} bytes (--record-size)");
            return Err(CliError::Usage(message));
        }
        Ok(())
    }

    /// The batches of `partition`.
    pub(super) fn batches(&self, partition: i32) -> BatchSource {
        BatchSource {
            workload: *self,
            partition,
            next: 0,
            builder: BatchBuilder::new(),
            value: Vec::new(),
            plain: None,
        }
    }

    /// Checks that the records of `batch` are those that were sent to this partition at these offsets.
    pub(super) fn verify(
        &self,
        partition: i32,
        batch: &RecordBatch<'_>,
        buffer: &mut RecordBuffer,
    ) -> Result<(), CliError> {
        let what = || format!("partition {partition}, batch at offset {}", batch.header().base_offset);
        let mut expected = Vec::new();
        for record in batch.records(buffer).map_err(CliError::batch(what()))? {
            let record = record.map_err(CliError::batch(what()))?;
            self.value(partition, record.offset, &mut expected);
            if record.value != Some(&expected) || record.key.is_some() || record.headers().len() > 0 {
                let message =
                    format!("partition {partition}, offset {}: the record is not the one sent", record.offset);
                return Err(CliError::Failed(message));
            }
        }
        Ok(())
    }

    /// Checks one record that came without its batch.
    pub(super) fn verify_value(&self, partition: i32, offset: Offset, value: Option<&[u8]>) -> Result<(), CliError> {
        let mut expected = Vec::new();
        self.value(partition, offset, &mut expected);
        if value == Some(&expected) { Ok(()) } else { Err(not_the_one(partition, offset)) }
    }

    /// The key of the record at `offset`.
    pub(super) fn key(&self, offset: Offset) -> Option<String> {
        let keys = u64::from(self.keys?.get());
        Some(format!("key-{:010}", offset.cast_unsigned() % keys * KEY_STEP % keys))
    }

    /// Writes the value of the record at `offset` to `target`.
    pub(super) fn value(&self, partition: i32, offset: Offset, target: &mut Vec<u8>) {
        target.clear();
        if !self.distinct {
            target.extend(WORDS.iter().cycle().flat_map(|word| word.bytes()).take(self.record_size));
            return;
        }
        // The first word is the offset and the partition through a bijection, so no two records are equal.
        let seed = offset.cast_unsigned() ^ (u64::from(partition.cast_unsigned()) << 40);
        for word in 0..self.record_size.div_ceil(8) as u64 {
            target.extend_from_slice(&mixed(seed.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes());
        }
        target.truncate(self.record_size);
    }
}

fn not_the_one(partition: i32, offset: Offset) -> CliError {
    CliError::Failed(format!("partition {partition}, offset {offset}: the record is not the one sent"))
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014): a bijection whose values look random.
const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl BatchSource {
    /// The next batch.
    pub(super) fn next_batch(&mut self) -> Result<Bytes, CliError> {
        if let Some(plain) = &self.plain {
            return Ok(plain.clone());
        }
        let failed = || CliError::batch("building a batch");
        for _ in 0..self.workload.records_per_batch {
            self.workload.value(self.partition, self.next, &mut self.value);
            let key = self.workload.key(self.next);
            let key = key.as_deref().map(str::as_bytes);
            self.builder.append(self.workload.timestamp, key, Some(&self.value), &[]).map_err(failed())?;
            self.next += 1;
        }
        let batch = self.builder.build(self.workload.compression, None).map_err(failed())?;
        if !self.workload.distinct && self.workload.keys.is_none() {
            self.plain = Some(batch.clone());
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn workload(distinct: bool) -> Workload {
        Workload {
            record_size: 100,
            records_per_batch: 7,
            compression: Compression::Lz4,
            distinct,
            keys: None,
            timestamp: 1,
        }
    }

    #[test]
    fn what_was_sent_is_recognised_and_nothing_else_is() {
        let workload = workload(true);
        let mut source = workload.batches(3);
        let mut buffer = RecordBuffer::new();
        let first = source.next_batch().unwrap();
        let second = source.next_batch().unwrap();
        let first = RecordBatch::parse_only(&first).unwrap();
        let second = RecordBatch::parse_only(&second).unwrap();
        assert!(workload.verify(3, &first, &mut buffer).is_ok());
        assert!(workload.verify(2, &first, &mut buffer).is_err(), "another partition");
        assert!(workload.verify(3, &second, &mut buffer).is_err(), "another offset: the batch is not stamped");
        let stamped = [&7i64.to_be_bytes(), &second.bytes()[8..]].concat();
        assert!(workload.verify(3, &RecordBatch::parse_only(&stamped).unwrap(), &mut buffer).is_ok());
    }

    #[test]
    fn plain_batches_are_made_once() {
        let mut source = workload(false).batches(0);
        assert_eq!(source.next_batch().unwrap().as_ptr(), source.next_batch().unwrap().as_ptr());
    }

    #[test]
    fn every_key_comes_once_before_one_comes_again() {
        let workload = Workload { keys: NonZero::new(1_000), ..workload(false) };
        let keys: Vec<_> = (0..2_000).map(|offset| workload.key(offset).unwrap()).collect();
        let (first, second) = keys.split_at(1_000);
        assert_eq!(first, second);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 1_000);
        assert!(!first.is_sorted());

        let mut source = workload.batches(0);
        let batches = [source.next_batch().unwrap(), source.next_batch().unwrap()];
        let mut buffer = RecordBuffer::new();
        let mut found = Vec::new();
        for batch in &batches {
            let batch = RecordBatch::parse_only(batch).unwrap();
            found.extend(batch.records(&mut buffer).unwrap().map(|record| record.unwrap().key.unwrap().to_vec()));
        }
        assert_eq!(found, keys[..14].iter().map(|key| key.clone().into_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn distinct_records_that_cannot_differ_are_refused() {
        assert!(Workload { record_size: 7, ..workload(true) }.check().is_err());
        assert!(Workload { record_size: 7, ..workload(false) }.check().is_ok());
    }
}
