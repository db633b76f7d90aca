//! Encodes records into a batch.

use bytes::Bytes;
use levada_types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::seal::seal;
use crate::varint::{MAX_VARINT_LEN, varlong_len, write_varlong};
use crate::{Attributes, BATCH_HEADER_LEN, BatchError, BatchHeader, Compression, Header, MAGIC_V2};

/// Encodes records one after the other; [`Self::build`] makes the batch and leaves the builder ready for the next one.
///
/// A new builder makes what a plain producer sends: no producer id, base offset 0, create time.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records encoded so far.
    bytes: Vec<u8>,
    records_count: i32,
    base_timestamp: TimestampMs,
    max_timestamp: TimestampMs,
    base_offset: Offset,
    leader_epoch: i32,
    attributes: Attributes,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: Sequence,
}

impl BatchBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty builder with room for `records_bytes` bytes of encoded records.
    #[must_use]
    pub fn with_capacity(records_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(BATCH_HEADER_LEN + records_bytes);
        bytes.resize(BATCH_HEADER_LEN, 0);
        Self {
            bytes,
            records_count: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            base_offset: 0,
            leader_epoch: -1,
            attributes: Attributes::default(),
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
        }
    }

    /// Appends a record. `timestamp` is in milliseconds since 1970, -1 for none.
    ///
    /// # Errors
    /// [`BatchError::BuilderFull`] if the batch would not fit its length field; the builder is then as before.
    pub fn append(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BatchError> {
        let base_timestamp = if self.records_count == 0 { timestamp } else { self.base_timestamp };
        // Wraps as the reader does, so that every timestamp comes back as it went in.
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let offset_delta = i64::from(self.records_count);
        // The record's own attributes (1 byte) and then everything whose length varies.
        let body_len = 1
            + varlong_len(timestamp_delta)
            + varlong_len(offset_delta)
            + sized_len(key)
            + sized_len(value)
            + varlong_len(headers.len() as i64)
            + headers.iter().map(|header| sized_len(Some(header.key)) + sized_len(header.value)).sum::<usize>();
        let whole = self.bytes.len() + MAX_VARINT_LEN + body_len;
        if whole > i32::MAX as usize || self.records_count == i32::MAX {
            return Err(BatchError::BuilderFull);
        }

        self.bytes.reserve(MAX_VARINT_LEN + body_len);
        write_varlong(&mut self.bytes, body_len as i64);
        self.bytes.push(0);
        write_varlong(&mut self.bytes, timestamp_delta);
        write_varlong(&mut self.bytes, offset_delta);
        write_sized(&mut self.bytes, key);
        write_sized(&mut self.bytes, value);
        write_varlong(&mut self.bytes, headers.len() as i64);
        for header in headers {
            write_sized(&mut self.bytes, Some(header.key));
            write_sized(&mut self.bytes, header.value);
        }

        self.base_timestamp = base_timestamp;
        self.max_timestamp = if self.records_count == 0 { timestamp } else { self.max_timestamp.max(timestamp) };
        self.records_count += 1;
        Ok(())
    }

    /// Marks the batches from here on as an idempotent producer's; `base_sequence` is the number of the first record
    /// of the next batch and is to be set again for each.
    pub const fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> &mut Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Marks the batches from here on as part of a transaction, or not.
    pub const fn set_transactional(&mut self, transactional: bool) -> &mut Self {
        self.attributes = self.attributes.with_transactional(transactional);
        self
    }

    /// Marks the batches from here on as holding control records.
    pub(crate) const fn set_control(&mut self) -> &mut Self {
        self.attributes = self.attributes.with_control();
        self
    }

    /// Sets the offset of the first record and the leader epoch, for batches that no leader stamps.
    pub const fn set_position(&mut self, base_offset: Offset, leader_epoch: i32) -> &mut Self {
        self.base_offset = base_offset;
        self.leader_epoch = leader_epoch;
        self
    }

    /// Records appended since the last batch.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records_count.unsigned_abs() as usize
    }

    /// Whether no record was appended since the last batch.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records_count == 0
    }

    /// Bytes of the batch so far, header included, before compression.
    #[must_use]
    pub const fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes the batch of the records appended since the last one, at compression level `level` (`None`: the codec's
    /// default; codecs without levels ignore it). The builder is empty afterwards, whatever the outcome, and keeps
    /// what the setters set.
    ///
    /// # Errors
    /// [`BatchError::Empty`] without a record; [`BatchError::Compression`]; [`BatchError::BuilderFull`] if
    /// incompressible records of almost 2^31 bytes grew past that.
    pub fn build(&mut self, compression: Compression, level: Option<i32>) -> Result<Bytes, BatchError> {
        if self.is_empty() {
            return Err(BatchError::Empty);
        }
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: 0,
            partition_leader_epoch: self.leader_epoch,
            magic: MAGIC_V2,
            crc: 0,
            attributes: self.attributes.with_compression(compression),
            last_offset_delta: self.records_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            records_count: self.records_count,
        };
        self.records_count = 0;
        let mut batch = if compression == Compression::None {
            // The encoded records become the batch; the next one most likely needs as much room.
            let mut next = Vec::with_capacity(self.bytes.len());
            next.resize(BATCH_HEADER_LEN, 0);
            std::mem::replace(&mut self.bytes, next)
        } else {
            let mut compressed = vec![0; BATCH_HEADER_LEN];
            let outcome =
                compression.compress(level, self.bytes.get(BATCH_HEADER_LEN..).unwrap_or_default(), &mut compressed);
            self.bytes.truncate(BATCH_HEADER_LEN);
            outcome?;
            compressed
        };
        seal(&mut batch, header)?;
        Ok(Bytes::from(batch))
    }
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of a length and that many bytes.
fn sized_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(bytes.len() as i64) + bytes.len())
}

/// A length and that many bytes; -1 for none.
fn write_sized(target: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write_varlong(target, bytes.len() as i64);
            target.extend_from_slice(bytes);
        }
        None => write_varlong(target, -1),
    }
}
