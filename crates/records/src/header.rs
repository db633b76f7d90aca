//! The 61 bytes before the records of a batch.

use bytes::{Buf, BufMut};
use levada_types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::{Attributes, BatchError, Compression, TimestampType};

/// Bytes of a batch header, up to the first record.
pub const BATCH_HEADER_LEN: usize = 61;

/// Bytes at the start of a batch that the leader sets and the checksum does not cover: base offset (8), batch length
/// (4), leader epoch (4).
pub const STAMP_LEN: usize = 16;

/// Bytes that the batch length field does not count: base offset (8) and the field itself (4).
pub const LENGTH_PREFIX_LEN: usize = 12;

/// The format version of record batches. Versions 0 and 1 were message sets and are refused.
pub const MAGIC_V2: i8 = 2;

/// Where the format version lies, in v0 and v1 too, so that a message set is known for what it is.
const MAGIC_AT: usize = STAMP_LEN;

/// Where the checksum lies. It covers everything from [`CHECKSUMMED_FROM`] to the end of the batch.
pub(crate) const CRC_AT: usize = 17;

/// Where the checksummed bytes start: after the checksum itself.
pub(crate) const CHECKSUMMED_FROM: usize = 21;

/// What a batch says of itself. Field order and widths are those of the format, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record, set by the leader.
    pub base_offset: Offset,
    /// Bytes that follow this field, up to the end of the batch.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 before that.
    pub partition_leader_epoch: i32,
    /// Format version, always [`MAGIC_V2`] in a parsed header.
    pub magic: i8,
    /// CRC-32C of everything after it.
    pub crc: u32,
    /// Compression, timestamp type and flags.
    pub attributes: Attributes,
    /// The last record's offset relative to `base_offset`. Compaction keeps it, so it may exceed the record count.
    pub last_offset_delta: i32,
    /// What the records' timestamps are relative to: the first record's timestamp, or a delete horizon (KIP-534).
    pub base_timestamp: TimestampMs,
    /// The greatest timestamp of the records, or the time of the append with [`TimestampType::LogAppendTime`].
    pub max_timestamp: TimestampMs,
    /// Who produced the batch, or -1.
    pub producer_id: ProducerId,
    /// The producer's epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// The first record's sequence number, or -1.
    pub base_sequence: Sequence,
    /// Records in the batch.
    pub records_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. The batch length is checked to be possible, not to be there: that is
    /// [`crate::RecordBatch::parse`]. Counts, offsets and flags are as found.
    ///
    /// # Errors
    /// [`BatchError::Truncated`], [`BatchError::OldMagic`], [`BatchError::UnknownMagic`], [`BatchError::InvalidLength`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let truncated = || BatchError::Truncated { needed: BATCH_HEADER_LEN, available: bytes.len() };
        // A whole message of v0 or v1 can be shorter than a v2 header, so the version is looked at first.
        match bytes.get(MAGIC_AT).ok_or_else(truncated)?.cast_signed() {
            MAGIC_V2 => {}
            magic @ (0 | 1) => return Err(BatchError::OldMagic { magic }),
            magic => return Err(BatchError::UnknownMagic { magic }),
        }
        // The getters below take exactly the bytes of this array.
        let mut fields: &[u8] = bytes.first_chunk::<BATCH_HEADER_LEN>().ok_or_else(truncated)?;
        let header = Self {
            base_offset: fields.get_i64(),
            batch_length: fields.get_i32(),
            partition_leader_epoch: fields.get_i32(),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: Attributes(fields.get_i16()),
            last_offset_delta: fields.get_i32(),
            base_timestamp: fields.get_i64(),
            max_timestamp: fields.get_i64(),
            producer_id: fields.get_i64(),
            producer_epoch: fields.get_i16(),
            base_sequence: fields.get_i32(),
            records_count: fields.get_i32(),
        };
        let smallest = (BATCH_HEADER_LEN - LENGTH_PREFIX_LEN) as i32;
        let largest = i32::MAX - LENGTH_PREFIX_LEN as i32;
        if header.batch_length < smallest || header.batch_length > largest {
            return Err(BatchError::InvalidLength { length: header.batch_length });
        }
        Ok(header)
    }

    /// Writes the header, checksum field included, as [`Self::parse`] reads it.
    pub fn write_to(&self, target: &mut [u8; BATCH_HEADER_LEN]) {
        let mut fields: &mut [u8] = target;
        fields.put_i64(self.base_offset);
        fields.put_i32(self.batch_length);
        fields.put_i32(self.partition_leader_epoch);
        fields.put_i8(self.magic);
        fields.put_u32(self.crc);
        fields.put_i16(self.attributes.0);
        fields.put_i32(self.last_offset_delta);
        fields.put_i64(self.base_timestamp);
        fields.put_i64(self.max_timestamp);
        fields.put_i64(self.producer_id);
        fields.put_i16(self.producer_epoch);
        fields.put_i32(self.base_sequence);
        fields.put_i32(self.records_count);
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub const fn size_in_bytes(&self) -> usize {
        // Parsing refused lengths below the header's own, so the field is positive.
        LENGTH_PREFIX_LEN + self.batch_length.unsigned_abs() as usize
    }

    /// Offset of the last record. Saturates, so that a hostile base offset cannot overflow.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    /// The offset that follows the batch. Saturates like [`Self::last_offset`].
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record, wrapped from `i32::MAX` to 0 as producers count; -1 without a producer id.
    #[must_use]
    pub const fn last_sequence(&self) -> Sequence {
        if self.has_producer_id() { sequence_after(self.base_sequence, self.last_offset_delta) } else { -1 }
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`BatchError::UnknownCompression`].
    pub const fn compression(&self) -> Result<Compression, BatchError> {
        self.attributes.compression()
    }

    /// Who set the timestamps.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether the batch holds control records.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// The greatest timestamp of the records; -1 if compaction has left none, whose time the header still bears.
    #[must_use]
    pub const fn max_record_timestamp(&self) -> TimestampMs {
        if self.records_count > 0 { self.max_timestamp } else { -1 }
    }

    /// Whether the producer is idempotent or transactional.
    #[must_use]
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }

    /// The time from which on compaction may drop the batch's tombstones and markers (KIP-534), if it is set.
    #[must_use]
    pub const fn delete_horizon(&self) -> Option<TimestampMs> {
        if self.attributes.has_delete_horizon() { Some(self.base_timestamp) } else { None }
    }
}

/// The sequence number `delta` records after `base`: from `i32::MAX` it goes on at 0. -1 (none) stays -1.
pub(crate) const fn sequence_after(base: Sequence, delta: i32) -> Sequence {
    if base < 0 || delta < 0 {
        return base;
    }
    ((base as i64 + delta as i64) & i32::MAX as i64) as i32
}

/// The 16 bytes that the leader writes in front of a batch in place of the producer's: everything that the checksum
/// does not cover, so the rest of the batch is written as it was received.
#[must_use]
pub fn stamp(base_offset: Offset, batch_length: i32, leader_epoch: i32) -> [u8; STAMP_LEN] {
    let mut stamp = [0; STAMP_LEN];
    let mut fields: &mut [u8] = &mut stamp;
    fields.put_i64(base_offset);
    fields.put_i32(batch_length);
    fields.put_i32(leader_epoch);
    stamp
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_header() -> impl Strategy<Value = BatchHeader> {
        let first = (any::<i64>(), 49..i32::MAX - 12, any::<i32>(), any::<u32>(), any::<i16>(), any::<i32>());
        let second = (any::<i64>(), any::<i64>(), any::<i64>(), any::<i16>(), any::<i32>(), any::<i32>());
        (first, second).prop_map(|(first, second)| BatchHeader {
            base_offset: first.0,
            batch_length: first.1,
            partition_leader_epoch: first.2,
            magic: MAGIC_V2,
            crc: first.3,
            attributes: Attributes(first.4),
            last_offset_delta: first.5,
            base_timestamp: second.0,
            max_timestamp: second.1,
            producer_id: second.2,
            producer_epoch: second.3,
            base_sequence: second.4,
            records_count: second.5,
        })
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(header in any_header()) {
            let mut bytes = [0; BATCH_HEADER_LEN];
            header.write_to(&mut bytes);
            prop_assert_eq!(BatchHeader::parse(&bytes), Ok(header));
            prop_assert_eq!(
                &bytes[..STAMP_LEN],
                &stamp(header.base_offset, header.batch_length, header.partition_leader_epoch)
            );
        }

        #[test]
        fn hostile_fields_overflow_nothing(header in any_header()) {
            prop_assert!(header.next_offset() >= header.last_offset());
            prop_assert!(header.last_sequence() >= -1 || header.base_sequence < -1);
            prop_assert!(header.size_in_bytes() >= BATCH_HEADER_LEN);
        }
    }

    #[test]
    fn refuses_lengths_that_cannot_be() {
        let mut bytes = [0; BATCH_HEADER_LEN];
        bytes[MAGIC_AT] = 2;
        for length in [i32::MIN, -1, 0, 48, i32::MAX - 11, i32::MAX] {
            bytes[..STAMP_LEN].copy_from_slice(&stamp(0, length, 0));
            assert_eq!(BatchHeader::parse(&bytes), Err(BatchError::InvalidLength { length }));
        }
    }

    #[test]
    fn knows_old_message_sets_even_when_shorter_than_a_header() {
        for magic in [0, 1] {
            let mut message = [0; 34];
            message[MAGIC_AT] = magic;
            assert_eq!(BatchHeader::parse(&message), Err(BatchError::OldMagic { magic: magic.cast_signed() }));
        }
        let mut future = [0; BATCH_HEADER_LEN];
        future[MAGIC_AT] = 3;
        assert_eq!(BatchHeader::parse(&future), Err(BatchError::UnknownMagic { magic: 3 }));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(sequence_after(5, 3), 8);
        assert_eq!(sequence_after(-1, 3), -1);
    }
}
