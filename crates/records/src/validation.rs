//! Checks that a batch may be appended for a client.
//!
//! Two steps. [`RecordBatch::validate`] looks at the header and the checksum alone: the records are the producer's and
//! pass through untouched. [`RecordBatch::validate_records`] decompresses and reads each one, for topics whose settings
//! depend on what is inside.

use levada_types::{Offset, TimestampMs};

use crate::{BatchError, Compression, Limits, RecordBatch, RecordBuffer, TimestampType, TimestampWindow};

/// The smallest record: seven one-byte fields (length, attributes, timestamp, offset, no key, no value, no headers).
const SMALLEST_RECORD: usize = 7;

/// Whether records need a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// They may have none.
    Optional,
    /// They need one, since compaction keeps the last record of each key.
    Required,
}

/// What [`RecordBatch::validate_records`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsSummary {
    /// The greatest timestamp of the records.
    pub max_timestamp: TimestampMs,
    /// Offset of the first record that has it.
    pub offset_of_max_timestamp: Offset,
}

impl RecordBatch<'_> {
    /// Checks size, checksum, counts, attributes and producer fields of a batch that a client made. The records are not
    /// looked at.
    ///
    /// # Errors
    /// What [`BatchError`] says; in this order: size, checksum, then the rest.
    pub fn validate(&self, limits: &Limits) -> Result<(), BatchError> {
        let size = self.bytes().len();
        if size > limits.max_batch_bytes {
            return Err(BatchError::TooLarge { size, limit: limits.max_batch_bytes });
        }
        self.verify_crc()?;
        self.validate_counts()?;
        self.validate_flags()?;
        self.validate_producer()
    }

    fn validate_counts(&self) -> Result<(), BatchError> {
        let header = self.header();
        let counts = BatchError::InvalidCounts {
            records_count: header.records_count,
            last_offset_delta: header.last_offset_delta,
        };
        if header.records_count <= 0 || header.last_offset_delta != header.records_count - 1 {
            return Err(counts);
        }
        // A count that cannot be true would use up offsets for records that nobody can read.
        let uncompressed = header.compression()? == Compression::None;
        if uncompressed && self.payload().len() / SMALLEST_RECORD < header.records_count.unsigned_abs() as usize {
            return Err(counts);
        }
        Ok(())
    }

    fn validate_flags(&self) -> Result<(), BatchError> {
        let header = self.header();
        if header.is_control() {
            return Err(BatchError::NotForClients { reason: "control records are the broker's" });
        }
        if header.attributes.has_delete_horizon() {
            return Err(BatchError::NotForClients { reason: "the delete horizon is set by compaction" });
        }
        if header.timestamp_type() == TimestampType::LogAppendTime {
            return Err(BatchError::InvalidTimestamps {
                reason: "a producer does not set LogAppendTime, the topic does",
            });
        }
        Ok(())
    }

    /// Without a producer id the other fields mean nothing, and clients exist that leave zeros in them.
    fn validate_producer(&self) -> Result<(), BatchError> {
        let header = self.header();
        let reason = match header.producer_id {
            0.. if header.producer_epoch < 0 => "a producer id needs an epoch",
            0.. if header.base_sequence < 0 => "a producer id needs a sequence number",
            -1 if header.is_transactional() => "a transaction needs a producer id",
            -1.. => return Ok(()),
            _ => "a producer id is not negative",
        };
        Err(BatchError::InvalidProducer { reason })
    }

    /// Decompresses the batch and checks every record: well-formed, offsets without a gap, a key where `keys` asks for
    /// one, timestamps within `limits`. To be called after [`Self::validate`]. The greatest timestamp that the header
    /// claims is not looked at, since clients exist that never set it (sarama before 1.45): what is returned is the truth.
    ///
    /// # Errors
    /// What [`BatchError`] says.
    pub fn validate_records(
        &self,
        limits: &Limits,
        keys: KeyRule,
        buffer: &mut RecordBuffer,
    ) -> Result<RecordsSummary, BatchError> {
        let header = self.header();
        let mut summary = RecordsSummary { max_timestamp: TimestampMs::MIN, offset_of_max_timestamp: -1 };
        for (index, record) in (0..).zip(self.records(buffer)?) {
            let record = record?;
            if record.offset != header.base_offset.saturating_add(i64::from(index)) {
                return Err(BatchError::MalformedRecord { index, reason: "its offset leaves a gap" });
            }
            if keys == KeyRule::Required && record.key.is_none() {
                return Err(BatchError::MissingKey { index });
            }
            within(&limits.timestamps, record.timestamp)?;
            if record.timestamp > summary.max_timestamp {
                summary = RecordsSummary { max_timestamp: record.timestamp, offset_of_max_timestamp: record.offset };
            }
        }
        Ok(summary)
    }
}

fn within(window: &TimestampWindow, timestamp: TimestampMs) -> Result<(), BatchError> {
    if window.contains(timestamp) {
        return Ok(());
    }
    let TimestampWindow { earliest, latest } = *window;
    Err(BatchError::TimestampOutOfRange { timestamp, earliest, latest })
}
