//! What compaction makes of a batch: some of its records at their offsets, with a delete horizon, or none (KIP-534).
//!
//! Offsets, producer, sequence and leader epoch stay as they were, whatever is left: the base offset and the last offset
//! of a batch never change, so that offsets only gain gaps and the state of a producer can still be read from the log.

use levada_types::TimestampMs;

use crate::input::Input;
use crate::seal::seal;
use crate::varint::{MAX_VARINT_LEN, varlong_len, write_varlong};
use crate::{BATCH_HEADER_LEN, BatchError, BatchHeader, Compression, Record, RecordBatch, RecordBuffer, TimestampType};

/// Which delete horizon a batch bears when compaction is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteHorizon {
    /// The one that it has, if any.
    AsItIs,
    /// This one if a tombstone is left, unless it has one.
    ForTombstones(TimestampMs),
    /// This one, unless it has one.
    For(TimestampMs),
}

/// What is left of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retained {
    /// All of it, and nothing to change.
    Unchanged,
    /// So many of its records, in a batch that was written.
    Rewritten(usize),
    /// No record.
    Nothing,
}

/// Room for what is left of one batch at a time; keep one per thread and use it again.
#[derive(Debug, Default)]
pub struct BatchRetainer {
    /// The records that stay, as ranges of the decompressed records.
    kept: Vec<std::ops::Range<usize>>,
    records: Vec<u8>,
}

impl BatchRetainer {
    /// Appends to `output` what is left of `batch` with the records alone for which `keep` is true; nothing if that is
    /// the batch as it is, or no record at all. A batch that was compressed is compressed again, at its codec's default
    /// level.
    ///
    /// # Errors
    /// Those of reading and of compressing the batch.
    pub fn retain(
        &mut self,
        batch: &RecordBatch<'_>,
        mut keep: impl FnMut(&Record<'_>) -> bool,
        horizon: DeleteHorizon,
        buffer: &mut RecordBuffer,
        output: &mut Vec<u8>,
    ) -> Result<Retained, BatchError> {
        let header = *batch.header();
        self.kept.clear();
        let mut records = batch.records(buffer)?;
        let bytes = records.remaining();
        let (mut count, mut total, mut has_tombstone, mut max_timestamp) = (0, 0, false, TimestampMs::MIN);
        loop {
            let from = bytes.len() - records.remaining().len();
            let Some(record) = records.next().transpose()? else { break };
            let to = bytes.len() - records.remaining().len();
            total += 1;
            if !keep(&record) {
                continue;
            }
            count += 1;
            has_tombstone |= record.value.is_none();
            max_timestamp = max_timestamp.max(record.timestamp);
            match self.kept.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => self.kept.push(from..to),
            }
        }
        if count == 0 {
            return Ok(Retained::Nothing);
        }
        let new_horizon = match horizon {
            _ if header.delete_horizon().is_some() => None,
            DeleteHorizon::AsItIs => None,
            DeleteHorizon::ForTombstones(at) => has_tombstone.then_some(at),
            DeleteHorizon::For(at) => Some(at),
        };
        if count == total && new_horizon.is_none() {
            return Ok(Retained::Unchanged);
        }
        self.records.clear();
        for range in &self.kept {
            let kept = bytes.get(range.clone()).unwrap_or_default();
            match new_horizon {
                Some(base) => rebase(kept, header.base_timestamp, base, &mut self.records)?,
                None => self.records.extend_from_slice(kept),
            }
        }
        let mut left = BatchHeader { records_count: count, ..header };
        if header.timestamp_type() == TimestampType::CreateTime {
            left.max_timestamp = max_timestamp;
        }
        if let Some(at) = new_horizon {
            left.base_timestamp = at;
            left.attributes = header.attributes.with_delete_horizon();
        }
        write(&self.records, left, output)?;
        Ok(Retained::Rewritten(count.unsigned_abs() as usize))
    }
}

impl BatchHeader {
    /// The whole batch when no record of it is left, but its place in the log: its offsets, its leader epoch, and its
    /// producer with the sequence of its last record.
    #[must_use]
    pub fn without_records(&self) -> [u8; BATCH_HEADER_LEN] {
        let attributes = self.attributes.with_compression(Compression::None).without_delete_horizon();
        let header = Self { attributes, base_timestamp: -1, records_count: 0, ..*self };
        let mut bytes = [0; BATCH_HEADER_LEN];
        // A header alone always fits its length field.
        drop(seal(&mut bytes, header));
        bytes
    }
}

/// Appends the batch of these encoded records.
fn write(records: &[u8], header: BatchHeader, output: &mut Vec<u8>) -> Result<(), BatchError> {
    let start = output.len();
    output.resize(start + BATCH_HEADER_LEN, 0);
    let written = match header.compression()? {
        Compression::None => {
            output.extend_from_slice(records);
            Ok(())
        }
        compression => compression.compress(None, records, output),
    };
    let written = written.and_then(|()| seal(output.get_mut(start..).unwrap_or_default(), header));
    if written.is_err() {
        output.truncate(start);
    }
    written
}

/// Appends encoded records whose timestamps are relative to `from` as they are relative to `to`.
fn rebase(records: &[u8], from: TimestampMs, to: TimestampMs, output: &mut Vec<u8>) -> Result<(), BatchError> {
    let malformed = BatchError::MalformedRecord { index: 0, reason: "it is not what it was when it was read" };
    let mut rest = Input(records);
    while !rest.is_empty() {
        let mut body = Input(rest.sized().ok_or_else(|| malformed.clone())?);
        let (attributes, delta) = body.byte().zip(body.varlong()).ok_or_else(|| malformed.clone())?;
        // Wraps as the reader does, so that every timestamp comes back as it went in.
        let delta = from.wrapping_add(delta).wrapping_sub(to);
        let len = 1 + varlong_len(delta) + body.0.len();
        output.reserve(MAX_VARINT_LEN + len);
        write_varlong(output, len as i64);
        output.push(attributes);
        write_varlong(output, delta);
        output.extend_from_slice(body.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchBuilder;

    type Owned = (i64, i64, i32, Vec<u8>, Option<Vec<u8>>, usize);

    fn records_of(bytes: &[u8]) -> Vec<Owned> {
        let batch = RecordBatch::parse_only(bytes).unwrap();
        batch.verify_crc().unwrap();
        let mut buffer = RecordBuffer::new();
        let records = batch.records(&mut buffer).unwrap().map(Result::unwrap);
        let owned = |record: Record<'_>| {
            let value = record.value.map(<[u8]>::to_vec);
            let key = record.key.unwrap().to_vec();
            (record.offset, record.timestamp, record.sequence, key, value, record.headers().len())
        };
        records.map(owned).collect()
    }

    fn batch(compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        builder.set_position(100, 3).set_producer(7, 1, 50);
        let header = crate::Header { key: b"h", value: None };
        for (i, value) in [Some(&b"a"[..]), None, Some(b"c"), Some(b"d")].into_iter().enumerate() {
            let key = [b'k', i as u8];
            builder.append(1_000 - i as i64, Some(&key), value, &[header][..i % 2]).unwrap();
        }
        builder.build(compression, None).unwrap().to_vec()
    }

    fn retain(bytes: &[u8], keep: &[i64], horizon: DeleteHorizon) -> (Retained, Vec<u8>) {
        let mut output = Vec::new();
        let batch = RecordBatch::parse_only(bytes).unwrap();
        let keep = |record: &Record<'_>| keep.contains(&record.offset);
        let retained = BatchRetainer::default().retain(&batch, keep, horizon, &mut RecordBuffer::new(), &mut output);
        (retained.unwrap(), output)
    }

    #[test]
    fn what_stays_is_as_it_was() {
        for compression in Compression::ALL {
            let bytes = batch(compression);
            let before = records_of(&bytes);
            let (retained, output) = retain(&bytes, &[100, 101, 103], DeleteHorizon::ForTombstones(9_000));
            assert_eq!(retained, Retained::Rewritten(3));
            let after = records_of(&output);
            assert_eq!(after, [before[0].clone(), before[1].clone(), before[3].clone()], "{}", compression.name());
            let header = BatchHeader::parse(&output).unwrap();
            assert_eq!((header.base_offset, header.last_offset(), header.partition_leader_epoch), (100, 103, 3));
            assert_eq!((header.producer_id, header.base_sequence, header.last_sequence()), (7, 50, 53));
            assert_eq!((header.delete_horizon(), header.max_timestamp), (Some(9_000), 1_000));
            assert_eq!(header.compression(), Ok(compression));

            // Once set, the horizon stays; and the first record is not there to tell the greatest time any more.
            let (retained, last) = retain(&output, &[101, 103], DeleteHorizon::ForTombstones(20_000));
            assert_eq!(retained, Retained::Rewritten(2));
            assert_eq!(records_of(&last), [before[1].clone(), before[3].clone()]);
            let header = BatchHeader::parse(&last).unwrap();
            assert_eq!((header.delete_horizon(), header.max_timestamp), (Some(9_000), 999));
        }
    }

    #[test]
    fn a_batch_is_written_only_if_it_changes() {
        let bytes = batch(Compression::None);
        let all = [100, 101, 102, 103];
        assert_eq!(retain(&bytes, &all, DeleteHorizon::AsItIs), (Retained::Unchanged, vec![]));
        assert_eq!(retain(&bytes, &[], DeleteHorizon::For(1)), (Retained::Nothing, vec![]));
        let (retained, output) = retain(&bytes, &[100, 102], DeleteHorizon::ForTombstones(9_000));
        assert_eq!(retained, Retained::Rewritten(2));
        assert_eq!(BatchHeader::parse(&output).unwrap().delete_horizon(), None, "no tombstone is left");
        let (_, output) = retain(&output, &[100, 102], DeleteHorizon::For(9_000));
        assert_eq!(BatchHeader::parse(&output).unwrap().delete_horizon(), Some(9_000));
        assert_eq!(retain(&output, &[100, 102], DeleteHorizon::For(9_001)).0, Retained::Unchanged);
    }

    #[test]
    fn an_empty_batch_keeps_its_place_and_its_producer() {
        for compression in Compression::ALL {
            let header = BatchHeader::parse(&batch(compression)).unwrap();
            let empty = header.without_records();
            assert_eq!(records_of(&empty), []);
            let left = BatchHeader::parse(&empty).unwrap();
            assert_eq!((left.base_offset, left.last_offset(), left.records_count), (100, 103, 0));
            assert_eq!((left.producer_id, left.producer_epoch, left.last_sequence()), (7, 1, 53));
            assert_eq!((left.partition_leader_epoch, left.max_timestamp), (3, 1_000));
            assert_eq!((header.max_record_timestamp(), left.max_record_timestamp()), (1_000, -1));
        }
    }

    #[test]
    fn a_batch_that_cannot_be_read_leaves_nothing() {
        let mut bytes = batch(Compression::None);
        let last = bytes.len() - 1;
        // A length that is not there.
        bytes[last] = 0x7e;
        let batch = RecordBatch::parse_only(&bytes).unwrap();
        let mut output = Vec::new();
        let kept = BatchRetainer::default().retain(
            &batch,
            |_| true,
            DeleteHorizon::For(1),
            &mut RecordBuffer::new(),
            &mut output,
        );
        assert!(kept.is_err() && output.is_empty());
    }
}
