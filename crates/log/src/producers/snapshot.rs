//! `.snapshot` files: the producers as of an offset, as Kafka writes them.
//!
//! Version (2), CRC-32C of all that follows it (4), count (4), then 46 bytes per producer: producer id (8), epoch (2),
//! last sequence (4), last offset (8), offset delta (4), timestamp (8), coordinator epoch (4), first offset of the open
//! transaction (8). Of each producer only the last batch is kept.

use bytes::{Buf, BufMut};
use levada_records::crc32c;

use super::{BatchRange, ProducerEntry};

/// The only version.
const VERSION: i16 = 1;

/// Where the checksummed bytes start.
const CHECKSUMMED_FROM: usize = 6;

/// Bytes of one producer.
const ENTRY_LEN: usize = 46;

/// Bytes that a snapshot may have: over a million producers in one partition.
pub(crate) const MAX_SNAPSHOT_BYTES: u64 = 64 << 20;

/// The file for these producers.
pub(crate) fn encode_snapshot<'a>(producers: impl ExactSizeIterator<Item = &'a ProducerEntry>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CHECKSUMMED_FROM + 4 + producers.len() * ENTRY_LEN);
    bytes.put_i16(VERSION);
    bytes.put_u32(0);
    bytes.put_u32(producers.len() as u32);
    for producer in producers {
        let last = producer.last_batch();
        bytes.put_i64(producer.producer_id);
        bytes.put_i16(producer.epoch);
        bytes.put_i32(last.map_or(-1, |batch| batch.last_sequence));
        bytes.put_i64(last.map_or(-1, |batch| batch.last_offset));
        bytes.put_i32(last.map_or(0, |batch| batch.offset_delta));
        bytes.put_i64(producer.last_timestamp);
        bytes.put_i32(producer.coordinator_epoch);
        bytes.put_i64(producer.current_txn_first_offset.unwrap_or(-1));
    }
    let crc = crc32c(&bytes[CHECKSUMMED_FROM..]);
    bytes[2..CHECKSUMMED_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode_snapshot(bytes: &[u8]) -> Result<Vec<ProducerEntry>, String> {
    let mut fields = bytes;
    let ends = |_| "it ends within its head".to_owned();
    let version = fields.try_get_i16().map_err(ends)?;
    if version != VERSION {
        return Err(format!("its version is {version}, {VERSION} is supported"));
    }
    let stored = fields.try_get_u32().map_err(ends)?;
    let computed = crc32c(fields);
    if stored != computed {
        return Err(format!("its checksum is {computed:#010x}, it says {stored:#010x}"));
    }
    let count = fields.try_get_u32().map_err(ends)? as usize;
    if fields.len() != count.saturating_mul(ENTRY_LEN) {
        return Err(format!("it has {} bytes for {count} producers", fields.len()));
    }
    Ok(fields.chunks_exact(ENTRY_LEN).map(decode_entry).collect())
}

/// Reads a producer from [`ENTRY_LEN`] bytes.
fn decode_entry(mut fields: &[u8]) -> ProducerEntry {
    let mut producer = ProducerEntry::new(fields.get_i64());
    producer.epoch = fields.get_i16();
    let last_sequence = fields.get_i32();
    let last_offset = fields.get_i64();
    let offset_delta = fields.get_i32();
    let timestamp = fields.get_i64();
    producer.coordinator_epoch = fields.get_i32();
    let txn_first_offset = fields.get_i64();
    producer.current_txn_first_offset = (txn_first_offset >= 0).then_some(txn_first_offset);
    if last_sequence >= 0 {
        producer.add(BatchRange { last_sequence, last_offset, offset_delta, timestamp });
    }
    producer.last_timestamp = timestamp;
    producer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producer() -> ProducerEntry {
        let mut producer = ProducerEntry::new(1_000);
        producer.epoch = 2;
        producer.add(BatchRange { last_sequence: 9, last_offset: 109, offset_delta: 4, timestamp: 77 });
        producer.coordinator_epoch = 5;
        producer.current_txn_first_offset = Some(105);
        producer
    }

    #[test]
    fn the_file_is_kafkas() {
        let bytes = encode_snapshot([producer()].iter());
        let mut expected = vec![0, 1];
        let mut body = vec![0, 0, 0, 1];
        body.extend(1_000i64.to_be_bytes());
        body.extend(2i16.to_be_bytes());
        body.extend(9i32.to_be_bytes());
        body.extend(109i64.to_be_bytes());
        body.extend(4i32.to_be_bytes());
        body.extend(77i64.to_be_bytes());
        body.extend(5i32.to_be_bytes());
        body.extend(105i64.to_be_bytes());
        expected.extend(crc32c(&body).to_be_bytes());
        expected.extend(body);
        assert_eq!(bytes, expected);
        assert_eq!(decode_snapshot(&bytes), Ok(vec![producer()]));
    }

    #[test]
    fn only_the_last_batch_is_kept() {
        let mut many = producer();
        many.add(BatchRange { last_sequence: 10, last_offset: 110, offset_delta: 0, timestamp: 78 });
        let read = decode_snapshot(&encode_snapshot([many].iter())).unwrap();
        assert_eq!(read[0].batches(), &many.batches()[1..]);
    }

    #[test]
    fn no_damage_goes_unnoticed() {
        let bytes = encode_snapshot([producer(), producer()].iter());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode_snapshot(&damaged).is_err(), "byte {at}");
            assert!(decode_snapshot(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
