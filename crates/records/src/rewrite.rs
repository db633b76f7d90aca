//! Rewrites a batch where its topic's settings ask for it. Everything else leaves a batch as the producer made it.

use bytes::Bytes;
use levada_types::{ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::seal::{seal, write_checksummed};
use crate::{BATCH_HEADER_LEN, BatchError, BatchHeader, Compression, Limits, RecordBatch, RecordBuffer, TimestampType};

/// The batch with `now_ms` as the time of all its records (`message.timestamp.type=LogAppendTime`), with a new
/// checksum.
#[must_use]
pub fn with_log_append_time(batch: &RecordBatch<'_>, now_ms: TimestampMs) -> Bytes {
    let mut header = *batch.header();
    header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    header.max_timestamp = now_ms;
    let mut bytes = batch.bytes().to_vec();
    write_checksummed(&mut bytes, header);
    Bytes::from(bytes)
}

/// The batch with `max_timestamp` as the greatest timestamp of its records, with a new checksum: for producers that leave
/// it out.
#[must_use]
pub fn with_max_timestamp(batch: &RecordBatch<'_>, max_timestamp: TimestampMs) -> Bytes {
    let mut bytes = batch.bytes().to_vec();
    write_checksummed(&mut bytes, BatchHeader { max_timestamp, ..*batch.header() });
    Bytes::from(bytes)
}

/// The batch under another producer identity and sequence number, with a new checksum: for producers that number queued
/// batches anew.
#[must_use]
pub fn with_producer(batch: &RecordBatch<'_>, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> Bytes {
    let header = BatchHeader { producer_id: id, producer_epoch: epoch, base_sequence, ..*batch.header() };
    let mut bytes = batch.bytes().to_vec();
    write_checksummed(&mut bytes, header);
    Bytes::from(bytes)
}

/// The batch with its records compressed as `compression` (`compression.type`) at `level` (`None`: the codec's
/// default), with a new length and checksum. The records themselves are not looked at.
///
/// # Errors
/// Those of decompression; [`BatchError::TooLarge`] if the result exceeds `limits.max_batch_bytes`.
pub fn recompress(
    batch: &RecordBatch<'_>,
    compression: Compression,
    level: Option<i32>,
    limits: &Limits,
) -> Result<Bytes, BatchError> {
    let mut buffer = RecordBuffer::with_limit(limits.max_decompressed_bytes);
    let records = match batch.header().compression()? {
        Compression::None => batch.payload(),
        from => buffer.fill(from, batch.payload())?,
    };
    let mut bytes = vec![0; BATCH_HEADER_LEN];
    compression.compress(level, records, &mut bytes)?;
    if bytes.len() > limits.max_batch_bytes {
        return Err(BatchError::TooLarge { size: bytes.len(), limit: limits.max_batch_bytes });
    }
    let mut header = *batch.header();
    header.attributes = header.attributes.with_compression(compression);
    seal(&mut bytes, header)?;
    Ok(Bytes::from(bytes))
}
