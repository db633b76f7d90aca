//! Keyed records in and out of a log, and a cleaning as the broker has it done.

use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use levada_log::{
    AppendBatch, CleanError, Cleaned, CleanedSegment, Cleaner, CleanerOptions, Guide, LogConfig, LogReader, LogWriter,
    OpenedLog, Origin, Slice,
};
use levada_records::{BatchBuilder, BatchHeader, Batches, Compression, EndTxnMarker, RecordBuffer, TransactionOutcome};
use levada_types::{LeaderEpoch, Offset};

use crate::support::{NOW, small_segments};

/// A key and its value; `None` is a tombstone.
pub(super) type Pair<'a> = (&'a str, Option<&'a str>);

/// A record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyed {
    pub(super) offset: Offset,
    pub(super) key: String,
    pub(super) value: Option<String>,
}

pub(super) fn keyed(offset: Offset, key: &str, value: Option<&str>) -> Keyed {
    Keyed { offset, key: key.to_owned(), value: value.map(str::to_owned) }
}

pub(super) fn compacted() -> LogConfig {
    LogConfig { compacted: true, delete_enabled: false, retention_ms: None, ..small_segments() }
}

fn append(log: &mut OpenedLog, records: Bytes, epoch: LeaderEpoch, origin: Origin) {
    log.writer.append(&[AppendBatch { records }], epoch, origin, NOW).remove(0).unwrap();
}

fn fill(mut builder: BatchBuilder, time: i64, compression: Compression, pairs: &[Pair<'_>]) -> Bytes {
    for (key, value) in pairs {
        builder.append(time, Some(key.as_bytes()), value.map(str::as_bytes), &[]).unwrap();
    }
    builder.build(compression, None).unwrap()
}

pub(super) fn put_in(log: &mut OpenedLog, time: i64, epoch: LeaderEpoch, pairs: &[Pair<'_>]) {
    let records = fill(BatchBuilder::new(), time, Compression::None, pairs);
    append(log, records, epoch, Origin::Client);
}

pub(super) fn put_at(log: &mut OpenedLog, time: i64, pairs: &[Pair<'_>]) {
    put_in(log, time, LeaderEpoch(0), pairs);
}

pub(super) fn put(log: &mut OpenedLog, pairs: &[Pair<'_>]) {
    put_at(log, NOW, pairs);
}

pub(super) fn put_compressed(log: &mut OpenedLog, compression: Compression, pairs: &[Pair<'_>]) {
    let records = fill(BatchBuilder::new(), NOW, compression, pairs);
    append(log, records, LeaderEpoch(0), Origin::Client);
}

/// Appends a record at this offset, as a follower does.
pub(super) fn copy_to(log: &mut OpenedLog, offset: Offset, key: &str, value: &str) {
    let mut builder = BatchBuilder::new();
    builder.set_position(offset, 0);
    let records = fill(builder, NOW, Compression::None, &[(key, Some(value))]);
    log.writer.append_as_follower(&records, NOW).unwrap();
}

pub(super) fn put_keyless(log: &mut OpenedLog, count: usize) {
    let mut builder = BatchBuilder::new();
    (0..count).for_each(|_| builder.append(NOW, None, Some(b"v"), &[]).unwrap());
    append(log, builder.build(Compression::None, None).unwrap(), LeaderEpoch(0), Origin::Client);
}

pub(super) fn put_sequenced(log: &mut OpenedLog, id: i64, sequence: i32, epoch: LeaderEpoch, pairs: &[Pair<'_>]) {
    let mut builder = BatchBuilder::new();
    builder.set_producer(id, 0, sequence);
    append(log, fill(builder, NOW, Compression::None, pairs), epoch, Origin::Client);
}

pub(super) fn transact_in(log: &mut OpenedLog, id: i64, sequence: i32, epoch: LeaderEpoch, pairs: &[Pair<'_>]) {
    let mut builder = BatchBuilder::new();
    builder.set_producer(id, 0, sequence).set_transactional(true);
    append(log, fill(builder, NOW, Compression::None, pairs), epoch, Origin::Client);
}

pub(super) fn transact(log: &mut OpenedLog, id: i64, sequence: i32, pairs: &[Pair<'_>]) {
    transact_in(log, id, sequence, LeaderEpoch(0), pairs);
}

pub(super) fn end_transaction_in(log: &mut OpenedLog, id: i64, epoch: LeaderEpoch, commits: bool) {
    let outcome = if commits { TransactionOutcome::Commit } else { TransactionOutcome::Abort };
    let marker = EndTxnMarker { outcome, coordinator_epoch: 3 }.batch(id, 0, NOW).unwrap();
    append(log, marker, epoch, Origin::Coordinator);
}

pub(super) fn end_transaction(log: &mut OpenedLog, id: i64, commits: bool) {
    end_transaction_in(log, id, LeaderEpoch(0), commits);
}

/// Makes a new segment dirty, with a key of its own.
pub(super) fn dirty(log: &mut OpenedLog) {
    let end = log.reader.log_end_offset();
    put(log, &[(&format!("at {end}"), Some("x"))]);
    log.writer.roll(NOW).unwrap();
}

/// Hands cleaned segments to the writer at once.
pub(super) struct ByHand<'a> {
    pub(super) writer: &'a mut LogWriter,
    pub(super) now: i64,
}

impl Guide for ByHand<'_> {
    fn spend(&mut self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn swap(&mut self, cleaned: CleanedSegment) -> Result<(), CleanError> {
        if self.writer.swap(cleaned, self.now)? { Ok(()) } else { Err(CleanError::Changed) }
    }
}

/// Cleans what lies below `stable_end` with this much memory for keys.
pub(super) fn clean_some(
    log: &mut OpenedLog,
    config: &LogConfig,
    bytes: usize,
    stable_end: Offset,
    now: i64,
) -> Result<Cleaned, CleanError> {
    log.reader.flush_closed_segments()?;
    let mut cleaner =
        Cleaner::new(CleanerOptions { dedupe_buffer_bytes: bytes, load_factor: 0.9, io_buffer_bytes: 1 << 17 });
    let snapshot = log.writer.begin_cleaning().unwrap();
    let what = snapshot.cleanable(config, stable_end, now).unwrap();
    cleaner.clean(&snapshot, &what, config, now, &mut ByHand { writer: &mut log.writer, now })
}

/// Cleans everything that may be cleaned.
pub(super) fn clean(log: &mut OpenedLog, config: &LogConfig, now: i64) -> Result<Cleaned, CleanError> {
    clean_some(log, config, 1 << 20, Offset::MAX, now)
}

/// Cleans what lies below `stable_end`.
pub(super) fn clean_up_to(
    log: &mut OpenedLog,
    config: &LogConfig,
    stable_end: Offset,
    now: i64,
) -> Result<Cleaned, CleanError> {
    clean_some(log, config, 1 << 20, stable_end, now)
}

/// Cleans with this much memory for keys.
pub(super) fn clean_within(
    log: &mut OpenedLog,
    config: &LogConfig,
    bytes: usize,
    now: i64,
) -> Result<Cleaned, CleanError> {
    clean_some(log, config, bytes, Offset::MAX, now)
}

pub(super) fn batches_of(slice: &Slice) -> Vec<BatchHeader> {
    let bytes = slice.to_bytes().unwrap();
    Batches::new(&bytes).map(|batch| *batch.unwrap().header()).collect()
}

/// Calls `seen` with the bytes of each read, from the log start to the log end.
fn read(reader: &LogReader, mut seen: impl FnMut(&Slice)) {
    let mut offset = reader.log_start_offset();
    while offset < reader.log_end_offset() {
        let info = reader.read(offset, 300, Offset::MAX, true).unwrap();
        assert!(info.next_offset > offset, "no progress at {offset}");
        seen(&info.slice);
        offset = info.next_offset;
    }
}

pub(super) fn read_batches(reader: &LogReader) -> Vec<BatchHeader> {
    let mut batches = Vec::new();
    read(reader, |slice| batches.extend(batches_of(slice)));
    assert!(batches.windows(2).all(|two| two[0].next_offset() <= two[1].base_offset), "{batches:?}");
    batches
}

/// Every record with a key, markers left out.
pub(super) fn read_keyed(reader: &LogReader) -> Vec<Keyed> {
    let mut records = Vec::new();
    let mut buffer = RecordBuffer::new();
    read(reader, |slice| {
        let bytes = slice.to_bytes().unwrap();
        for batch in Batches::new(&bytes) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            if batch.header().is_control() {
                continue;
            }
            for record in batch.records(&mut buffer).unwrap() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                records.push(Keyed {
                    offset: record.offset,
                    key: text(record.key.unwrap_or_default()),
                    value: record.value.map(text),
                });
            }
        }
    });
    let start = reader.log_start_offset();
    records.retain(|record| record.offset >= start);
    records
}

pub(super) fn offsets(reader: &LogReader) -> Vec<Offset> {
    read_keyed(reader).into_iter().map(|record| record.offset).collect()
}

pub(super) fn files_with(dir: &Path, suffix: &str) -> usize {
    let entries = std::fs::read_dir(dir.join("t-0")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(suffix)).count()
}
