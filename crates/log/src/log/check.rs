//! Checks a batch before it is appended, and makes it what the topic's settings ask for.

use bytes::Bytes;
use levada_records::{
    BatchError, BatchHeader, Compression, EndTxnMarker, KeyRule, Limits, MAX_DECOMPRESSED_BYTES, RecordBatch,
    RecordBuffer, TimestampType, TimestampWindow, recompress, with_log_append_time, with_max_timestamp,
};

use super::{Origin, read_marker};
use crate::{AppendError, LogConfig, TopicCompression};

/// A batch that may be appended, as far as it can be told from itself.
pub(super) struct CheckedBatch {
    /// As the producer made it, or rewritten.
    pub(super) bytes: Bytes,
    pub(super) header: BatchHeader,
    /// The marker in it, if it is a control batch.
    pub(super) marker: Option<EndTxnMarker>,
    /// The time stamped by the broker; -1 with `CreateTime`.
    pub(super) log_append_time: i64,
}

/// Checks `records`: one batch, whole, well-formed, within the topic's limits.
pub(super) fn check(
    records: &Bytes,
    origin: Origin,
    config: &LogConfig,
    buffer: &mut RecordBuffer,
    now_ms: i64,
) -> Result<CheckedBatch, AppendError> {
    // What is cut off will be cut off again, so the client is not told to try again, as it is of damaged bytes.
    let (batch, rest) = RecordBatch::parse(records).map_err(|error| match error {
        BatchError::Truncated { .. } => AppendError::InvalidRecord("the records end before their batch does"),
        error => error.into(),
    })?;
    if !rest.is_empty() {
        return Err(AppendError::InvalidRecord("a partition of a produce request takes exactly one record batch"));
    }
    let header = *batch.header();
    if header.base_offset != 0 && origin == Origin::Client {
        return Err(AppendError::InvalidRecord("the base offset of a produced batch is 0; the broker assigns offsets"));
    }
    if header.is_control() && origin == Origin::Coordinator {
        batch.verify_crc()?;
        let marker = read_marker(&batch, buffer)?;
        return Ok(CheckedBatch { bytes: records.clone(), header, marker, log_append_time: -1 });
    }
    let stamped = config.timestamp_type == TimestampType::LogAppendTime;
    let timestamps = if stamped {
        TimestampWindow::ANY
    } else {
        TimestampWindow::around(now_ms, config.timestamp_before_max_ms, config.timestamp_after_max_ms)
    };
    let limits = Limits {
        max_batch_bytes: config.max_message_bytes,
        max_decompressed_bytes: MAX_DECOMPRESSED_BYTES.max(config.max_message_bytes),
        timestamps,
    };
    batch.validate(&limits)?;
    let keys = if config.compacted { KeyRule::Required } else { KeyRule::Optional };
    let summary = batch.validate_records(&limits, keys, buffer)?;

    let mut bytes = match wanted_compression(&header, config)? {
        Some((codec, level)) => recompress(&batch, codec, level, &limits)?,
        None => records.clone(),
    };
    if stamped {
        bytes = with_log_append_time(&RecordBatch::parse_only(&bytes)?, now_ms);
    } else if header.max_timestamp != summary.max_timestamp {
        bytes = with_max_timestamp(&RecordBatch::parse_only(&bytes)?, summary.max_timestamp);
    }
    let header = BatchHeader::parse(&bytes)?;
    Ok(CheckedBatch { bytes, header, marker: None, log_append_time: if stamped { now_ms } else { -1 } })
}

/// The codec that the batch has to be recompressed with, if any.
fn wanted_compression(
    header: &BatchHeader,
    config: &LogConfig,
) -> Result<Option<(Compression, Option<i32>)>, AppendError> {
    match config.compression {
        TopicCompression::Fixed { codec, level } if header.compression()? != codec => Ok(Some((codec, level))),
        _ => Ok(None),
    }
}
