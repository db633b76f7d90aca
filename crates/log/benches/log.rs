//! What the log costs: appends and reads at three record sizes, index lookups, recovery.
//!
//! Appends and reads go through the page cache; the directory is the system's temporary one. Run long enough to warm it
//! up before believing the figures.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that cannot do its work should stop")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use levada_log::{
    AppendBatch, LogConfig, LogStore, OpenLog, OpenedLog, Origin, RealDisk, RecoveryProgress, StoreOptions,
};
use levada_records::{BatchBuilder, Compression};
use levada_types::{BrokerId, DirectoryId, LeaderEpoch, Offset, TopicId, TopicIdPartition, TopicName};
use uuid::Uuid;

const NOW: i64 = 1_700_000_000_000;

/// Bytes of a batch: what a busy producer sends at a time.
const BATCH_BYTES: usize = 64 << 10;

/// Bytes of a log that is read or recovered.
const LOG_BYTES: usize = 256 << 20;

const RECORD_SIZES: [usize; 3] = [100, 1 << 10, 100 << 10];

fn open(dir: &Path, progress: &RecoveryProgress) -> (LogStore, OpenedLog) {
    let options = StoreOptions {
        directories: vec![dir.to_path_buf()],
        cluster_id: None,
        node_id: BrokerId(1),
        recovery_threads: 1,
        max_open_files: 100,
    };
    let mut id = || DirectoryId(Uuid::from_u128(1));
    let store = LogStore::open(options, Arc::new(RealDisk), &mut id).unwrap();
    let request = OpenLog {
        partition: TopicIdPartition { topic_id: TopicId(Uuid::from_u128(2)), partition: 0 },
        topic: TopicName::new("bench").unwrap(),
        // A segment's worth of appends is thrown away at a time.
        config: LogConfig { segment_bytes: 128 << 20, retention_bytes: Some(0), ..LogConfig::default() },
        directory: None,
    };
    let log = store.open_logs(vec![request], NOW, progress).remove(0).1.unwrap();
    (store, log)
}

fn batch(record_size: usize) -> Bytes {
    let value = vec![b'v'; record_size];
    let mut builder = BatchBuilder::new();
    for _ in 0..(BATCH_BYTES / record_size).max(1) {
        builder.append(NOW, None, Some(&value), &[]).unwrap();
    }
    builder.build(Compression::None, None).unwrap()
}

fn append(log: &mut OpenedLog, batches: &[AppendBatch]) {
    for result in log.writer.append(batches, LeaderEpoch(0), Origin::Client, NOW) {
        result.unwrap();
    }
    if log.reader.segment_count() > 2 {
        log.writer.enforce_retention(Offset::MAX, NOW).unwrap();
    }
}

fn fill(log: &mut OpenedLog, record_size: usize) {
    let records = batch(record_size);
    let batches: Vec<_> = (0..LOG_BYTES / records.len()).map(|_| AppendBatch { records: records.clone() }).collect();
    for batches in batches.chunks(16) {
        for result in log.writer.append(batches, LeaderEpoch(0), Origin::Client, NOW) {
            result.unwrap();
        }
    }
}

fn appends(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    for record_size in RECORD_SIZES {
        let dir = tempfile::tempdir().unwrap();
        let (store, mut log) = open(dir.path(), &RecoveryProgress::default());
        let batches = vec![AppendBatch { records: batch(record_size) }; 4];
        group.throughput(Throughput::Bytes(batches.iter().map(|batch| batch.records.len() as u64).sum()));
        group.bench_with_input(BenchmarkId::from_parameter(record_size), &batches, |b, batches| {
            b.iter_batched(|| store.purge(i64::MAX), |_| append(&mut log, batches), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for record_size in RECORD_SIZES {
        let dir = tempfile::tempdir().unwrap();
        let (_store, mut log) = open(dir.path(), &RecoveryProgress::default());
        fill(&mut log, record_size);
        let end = log.reader.log_end_offset();
        let mut buffer = bytes::BytesMut::with_capacity(2 << 20);
        let mut offset = 0;
        group.throughput(Throughput::Bytes(1 << 20));
        group.bench_function(BenchmarkId::from_parameter(record_size), |b| {
            b.iter(|| {
                let info = log.reader.read(offset, 1 << 20, Offset::MAX, true).unwrap();
                buffer.clear();
                info.slice.read_into(&mut buffer).unwrap();
                offset = if info.next_offset + 1 < end { info.next_offset } else { 0 };
                black_box(buffer.len())
            });
        });
    }
    group.finish();
}

fn lookups(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let (_store, mut log) = open(dir.path(), &RecoveryProgress::default());
    // Many small batches, so that the index is dense.
    let records: Vec<_> = (0..200_000).map(|_| AppendBatch { records: small_batch() }).collect();
    for batches in records.chunks(500) {
        log.writer.append(batches, LeaderEpoch(0), Origin::Client, NOW);
    }
    let end = log.reader.log_end_offset();
    let mut offset = 0;
    c.bench_function("lookup/random offset", |b| {
        b.iter(|| {
            offset = (offset + 7_919 * 10_007) % end;
            black_box(log.reader.read(offset, 1, Offset::MAX, true).unwrap().next_offset)
        });
    });
    c.bench_function("lookup/log end", |b| {
        b.iter(|| black_box(log.reader.read(end - 1, 1, Offset::MAX, true).unwrap().next_offset));
    });
}

fn small_batch() -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, None, Some(&[b'v'; 200]), &[]).unwrap();
    builder.build(Compression::None, None).unwrap()
}

fn recovery(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut log) = open(dir.path(), &RecoveryProgress::default());
    fill(&mut log, 1 << 10);
    drop((log, store));
    let mut group = c.benchmark_group("recovery");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(LOG_BYTES as u64));
    // Never closed, so each opening scans it again.
    group.bench_function("1 KiB records", |b| {
        b.iter(|| {
            let progress = RecoveryProgress::default();
            let (_store, log) = open(dir.path(), &progress);
            assert!(progress.bytes_done() > LOG_BYTES as u64 / 2);
            black_box(log.reader.log_end_offset())
        });
    });
    group.finish();
}

criterion_group!(benches, appends, reads, lookups, recovery);
criterion_main!(benches);
