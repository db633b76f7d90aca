//! What the tests share: a store over a directory, and batches to put into it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use levada_log::{
    AppendBatch, AppendError, AppendInfo, Disk, LogConfig, LogReader, LogStore, LogWriter, OpenLog, OpenedLog, Origin,
    RealDisk, Slice, StoreOptions,
};
use levada_records::{BatchBuilder, Batches, Compression, RecordBuffer};
use levada_types::{BrokerId, DirectoryId, LeaderEpoch, Offset, TopicId, TopicIdPartition, TopicName, TopicPartition};
use uuid::Uuid;

/// When tests take place, in milliseconds.
pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn topic_id(n: u128) -> TopicId {
    TopicId(Uuid::from_u128(n))
}

pub(crate) fn options(directories: &[&Path]) -> StoreOptions {
    StoreOptions {
        directories: directories.iter().map(|dir| dir.to_path_buf()).collect(),
        cluster_id: None,
        node_id: BrokerId(1),
        recovery_threads: 2,
        max_open_files: 16,
    }
}

pub(crate) fn open_store_on(disk: Arc<dyn Disk>, directories: &[&Path]) -> LogStore {
    let mut next = 0;
    let mut new_id = || {
        next += 1;
        DirectoryId(Uuid::from_u128(0xd000 + next))
    };
    LogStore::open(options(directories), disk, &mut new_id).unwrap()
}

pub(crate) fn open_store(dir: &Path) -> LogStore {
    open_store_on(Arc::new(RealDisk), &[dir])
}

pub(crate) fn request(topic: &str, partition: i32, config: &LogConfig) -> OpenLog {
    OpenLog {
        partition: TopicIdPartition { topic_id: topic_id(1), partition },
        topic: TopicName::new(topic).unwrap(),
        config: config.clone(),
        directory: None,
    }
}

pub(crate) fn topic_partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition }
}

pub(crate) fn open_log(store: &LogStore, config: &LogConfig) -> OpenedLog {
    store.open_log(request("t", 0, config), NOW).unwrap()
}

/// A batch of these values, one millisecond apart.
pub(crate) fn batch_at(timestamp: i64, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (i, value) in values.iter().enumerate() {
        builder.append(timestamp + i as i64, Some(b"k"), Some(value.as_bytes()), &[]).unwrap();
    }
    builder.build(Compression::None, None).unwrap()
}

pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_at(NOW, values)
}

/// A batch of an idempotent producer: `count` records from `sequence` on.
pub(crate) fn sequenced(producer: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.set_producer(producer, epoch, sequence);
    for i in 0..count {
        builder.append(NOW, None, Some(format!("{producer}:{sequence}+{i}").as_bytes()), &[]).unwrap();
    }
    builder.build(Compression::None, None).unwrap()
}

pub(crate) fn append_all(writer: &mut LogWriter, records: &[Bytes]) -> Vec<Result<AppendInfo, AppendError>> {
    let batches: Vec<_> = records.iter().map(|records| AppendBatch { records: records.clone() }).collect();
    writer.append(&batches, LeaderEpoch(0), Origin::Client, NOW)
}

pub(crate) fn append(writer: &mut LogWriter, records: &Bytes) -> AppendInfo {
    append_all(writer, std::slice::from_ref(records)).remove(0).unwrap()
}

/// The offsets and values in a slice.
pub(crate) fn records_of(slice: &Slice) -> Vec<(Offset, String)> {
    let bytes = slice.to_bytes().unwrap();
    let mut buffer = RecordBuffer::new();
    let mut records = Vec::new();
    for batch in Batches::new(&bytes) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        for record in batch.records(&mut buffer).unwrap() {
            let record = record.unwrap();
            records.push((record.offset, String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap()));
        }
    }
    records
}

/// Everything in the log, read the way a consumer reads it.
pub(crate) fn read_all(reader: &LogReader) -> Vec<(Offset, String)> {
    let mut records = Vec::new();
    let mut offset = reader.log_start_offset();
    while offset < reader.log_end_offset() {
        let info = reader.read(offset, 300, Offset::MAX, true).unwrap();
        assert!(info.next_offset > offset, "no progress at {offset}");
        records.extend(records_of(&info.slice).into_iter().filter(|(at, _)| *at >= offset));
        offset = info.next_offset;
    }
    records
}

pub(crate) fn close(store: LogStore, writers: Vec<LogWriter>) {
    for writer in writers {
        writer.close(NOW).unwrap();
    }
    store.close(&std::collections::HashMap::new(), 5).unwrap();
    drop(store);
}

/// Settings that roll and index often.
pub(crate) fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 1_000, index_interval_bytes: 100, ..LogConfig::default() }
}
