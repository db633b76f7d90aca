//! One batch, as it is shown.

use levada_records::{BatchError, RecordBatch, RecordBuffer, TimestampType};
use levada_types::{Offset, TimestampMs};
use serde::Serialize;

use super::Detail;

/// Bytes of a key or value that are shown.
const SHOWN_BYTES: usize = 100;

/// One batch.
#[derive(Debug, Serialize)]
pub(super) struct BatchDump {
    pub(super) position: u64,
    pub(super) base_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) record_count: i32,
    pub(super) bytes: usize,
    pub(super) leader_epoch: i32,
    pub(super) compression: String,
    pub(super) max_timestamp: TimestampMs,
    log_append_time: bool,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) records: Vec<RecordDump>,
}

/// One record.
#[derive(Debug, Serialize)]
pub(super) struct RecordDump {
    pub(super) offset: Offset,
    pub(super) timestamp: TimestampMs,
    /// The start of the key, with what is no text escaped.
    pub(super) key: Option<String>,
    /// The start of the value, likewise.
    pub(super) value: Option<String>,
    pub(super) value_bytes: usize,
    pub(super) header_count: usize,
}

impl BatchDump {
    /// Describes a batch. The second value is how many records it really holds, or what is wrong with them.
    pub(super) fn read(
        position: u64,
        batch: &RecordBatch<'_>,
        detail: Detail,
        buffer: &mut RecordBuffer,
    ) -> (Self, Result<u64, BatchError>) {
        let header = batch.header();
        let mut dump = Self {
            position,
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            record_count: header.records_count,
            bytes: batch.bytes().len(),
            leader_epoch: header.partition_leader_epoch,
            compression: header.compression().map_or_else(|_| "unknown".to_owned(), |codec| codec.name().to_owned()),
            max_timestamp: header.max_timestamp,
            log_append_time: header.timestamp_type() == TimestampType::LogAppendTime,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            transactional: header.is_transactional(),
            control: header.is_control(),
            records: Vec::new(),
        };
        let records = dump.read_records(batch, detail, buffer);
        (dump, records)
    }

    fn read_records(
        &mut self,
        batch: &RecordBatch<'_>,
        detail: Detail,
        buffer: &mut RecordBuffer,
    ) -> Result<u64, BatchError> {
        let mut count = 0;
        for record in batch.records(buffer)? {
            let record = record?;
            count += 1;
            if detail.records {
                self.records.push(RecordDump {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(shown),
                    value: record.value.map(shown),
                    value_bytes: record.value.map_or(0, <[u8]>::len),
                    header_count: record.headers().len(),
                });
            }
        }
        Ok(count)
    }

    /// Who made it, in a few words.
    pub(super) fn producer(&self) -> String {
        let kind = match (self.control, self.transactional) {
            (true, _) => " control",
            (false, true) => " transactional",
            (false, false) => "",
        };
        if self.producer_id < 0 {
            return format!("-{kind}");
        }
        format!("{}:{} from {}{kind}", self.producer_id, self.producer_epoch, self.base_sequence)
    }
}

/// The start of some bytes, with what is no printable ASCII escaped.
fn shown(bytes: &[u8]) -> String {
    let start = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let more = if bytes.len() > SHOWN_BYTES { "…" } else { "" };
    format!("{}{more}", start.escape_ascii())
}
