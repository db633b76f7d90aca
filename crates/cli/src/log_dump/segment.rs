//! One segment: its batches, and the files beside them.

use std::fs;
use std::path::{Path, PathBuf};

use levada_log::format::{FileKind, decode_aborted, parse_snapshot};
use levada_records::{RecordBatch, RecordBuffer};
use levada_types::{Offset, TimestampMs};
use serde::Serialize;

use super::Detail;
use super::batches::BatchDump;
use super::indexes::{self, IndexDump};
use crate::CliError;
use crate::segment_reader::{Next, SegmentReader};

/// One segment.
#[derive(Debug, Serialize)]
pub(super) struct SegmentDump {
    pub(super) base_offset: Offset,
    pub(super) bytes: u64,
    pub(super) batch_count: u64,
    pub(super) record_count: u64,
    /// The offset after the last batch; `None` in an empty segment.
    pub(super) next_offset: Option<Offset>,
    pub(super) max_timestamp: Option<TimestampMs>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) batches: Vec<BatchDump>,
    pub(super) indexes: Vec<IndexDump>,
    pub(super) producers: Vec<ProducerDump>,
    pub(super) aborted_transactions: Vec<AbortedDump>,
    pub(super) problems: Vec<String>,
    /// Whether there are batches, and not only what was left of producers at this offset.
    #[serde(skip)]
    pub(super) has_log: bool,
    /// Where each batch lies, for the checks of the indexes.
    #[serde(skip)]
    places: Vec<Place>,
}

/// Where a batch lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: u64,
    pub(super) last_offset: Offset,
    pub(super) max_timestamp: TimestampMs,
}

/// A producer as of the segment's base offset.
#[derive(Debug, Serialize)]
pub(super) struct ProducerDump {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) last_sequence: i32,
    pub(super) last_timestamp: TimestampMs,
    pub(super) transaction_start: Option<Offset>,
}

/// A transaction that was aborted in this segment.
#[derive(Debug, Serialize)]
pub(super) struct AbortedDump {
    pub(super) producer_id: i64,
    pub(super) first_offset: Offset,
    pub(super) last_offset: Offset,
    pub(super) last_stable_offset: Offset,
}

impl SegmentDump {
    pub(super) fn read(base_offset: Offset, files: &[(FileKind, PathBuf)], detail: Detail) -> Result<Self, CliError> {
        let mut dump = Self {
            base_offset,
            bytes: 0,
            batch_count: 0,
            record_count: 0,
            next_offset: None,
            max_timestamp: None,
            batches: Vec::new(),
            indexes: Vec::new(),
            producers: Vec::new(),
            aborted_transactions: Vec::new(),
            problems: Vec::new(),
            has_log: false,
            places: Vec::new(),
        };
        let path = |wanted| files.iter().find(|(kind, _)| *kind == wanted).map(|(_, path)| path.as_path());
        match path(FileKind::Log) {
            Some(path) => {
                dump.has_log = true;
                dump.read_log(path, detail)?;
            }
            // The snapshot of the log end is named after the segment that is yet to come.
            None if files.iter().all(|(kind, _)| *kind == FileKind::ProducerSnapshot) => {}
            None => dump.problems.push("the files beside the log are there, the log is not".to_owned()),
        }
        if let Some(path) = path(FileKind::OffsetIndex) {
            let index = indexes::offset_index(&read(path)?, base_offset, &dump.places, detail, &mut dump.problems);
            dump.indexes.push(index);
        }
        if let Some(path) = path(FileKind::TimeIndex) {
            let index = indexes::time_index(&read(path)?, base_offset, &dump.places, detail, &mut dump.problems);
            dump.indexes.push(index);
        }
        if let Some(path) = path(FileKind::ProducerSnapshot) {
            dump.read_snapshot(&read(path)?);
        }
        if let Some(path) = path(FileKind::TransactionIndex) {
            dump.read_aborted(&read(path)?);
        }
        Ok(dump)
    }

    fn read_log(&mut self, path: &Path, detail: Detail) -> Result<(), CliError> {
        let mut segment = SegmentReader::open(path)?;
        self.bytes = segment.len();
        let mut batch = Vec::new();
        let mut buffer = RecordBuffer::new();
        loop {
            match segment.next(&mut batch)? {
                Next::Batch(position) => self.add_batch(position, &batch, detail, &mut buffer),
                Next::Torn(problem) => {
                    self.problems.push(problem);
                    return Ok(());
                }
                Next::End => return Ok(()),
            }
        }
    }

    fn add_batch(&mut self, position: u64, bytes: &[u8], detail: Detail, buffer: &mut RecordBuffer) {
        let batch = match RecordBatch::parse_only(bytes) {
            Ok(batch) => batch,
            // Only if the file shrank meanwhile.
            Err(error) => return self.problems.push(format!("batch at byte {position}: {error}")),
        };
        let header = batch.header();
        if let Err(error) = batch.verify_crc() {
            self.problems.push(format!("batch at byte {position}: {error}"));
        }
        let floor = self.next_offset.unwrap_or(self.base_offset);
        if header.base_offset < floor {
            let base = header.base_offset;
            self.problems.push(format!("batch at byte {position}: offset {base} where {floor} or more is due"));
        }
        let (dump, records) = BatchDump::read(position, &batch, detail, buffer);
        match records {
            Ok(records) => self.record_count += records,
            Err(error) => self.problems.push(format!("batch at byte {position}: {error}")),
        }
        if detail.batches {
            self.batches.push(dump);
        }
        self.batch_count += 1;
        self.next_offset = Some(header.next_offset().max(floor));
        self.max_timestamp = self.max_timestamp.max(Some(header.max_timestamp));
        let place = Place { position, last_offset: header.last_offset(), max_timestamp: header.max_timestamp };
        self.places.push(place);
    }

    fn read_snapshot(&mut self, bytes: &[u8]) {
        match parse_snapshot(bytes) {
            Ok(producers) => {
                self.producers = producers
                    .into_iter()
                    .map(|producer| ProducerDump {
                        producer_id: producer.producer_id,
                        epoch: producer.producer_epoch,
                        last_sequence: producer.last_sequence,
                        last_timestamp: producer.last_timestamp,
                        transaction_start: producer.current_txn_first_offset,
                    })
                    .collect();
            }
            Err(reason) => self.problems.push(format!("snapshot: {reason}")),
        }
    }

    fn read_aborted(&mut self, bytes: &[u8]) {
        let aborted = decode_aborted(bytes);
        if aborted.len() * levada_log::format::ABORTED_ENTRY_LEN != bytes.len() {
            self.problems.push(format!("txnindex: {} bytes hold {} whole entries", bytes.len(), aborted.len()));
        }
        self.aborted_transactions = aborted
            .into_iter()
            .map(|transaction| AbortedDump {
                producer_id: transaction.producer_id,
                first_offset: transaction.first_offset,
                last_offset: transaction.last_offset,
                last_stable_offset: transaction.last_stable_offset,
            })
            .collect();
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(CliError::io(path.display().to_string()))
}
