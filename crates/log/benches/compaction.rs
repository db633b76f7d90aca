//! What compaction costs: a log whose keys were overwritten again and again, cleaned once, at two record sizes.
//!
//! The bytes are those of the segments that are cleaned; they are read twice, and what is left of them is written. The
//! directory is the system's temporary one.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that cannot do its work should stop")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use levada_log::{
    AppendBatch, CleanError, CleanedSegment, Cleaner, CleanerOptions, Guide, LogConfig, LogStore, LogWriter, OpenLog,
    OpenedLog, Origin, RealDisk, StoreOptions,
};
use levada_records::{BatchBuilder, Compression};
use levada_types::{BrokerId, DirectoryId, LeaderEpoch, Offset, TopicId, TopicIdPartition, TopicName};
use uuid::Uuid;

const NOW: i64 = 1_700_000_000_000;

/// Bytes of the log.
const LOG_BYTES: usize = 256 << 20;

/// Bytes of a batch: what a busy producer sends at a time.
const BATCH_BYTES: usize = 64 << 10;

/// How often each key is written.
const VERSIONS: usize = 5;

const RECORD_SIZES: [usize; 2] = [100, 1 << 10];

/// The broker's defaults, for one thread.
const OPTIONS: CleanerOptions =
    CleanerOptions { dedupe_buffer_bytes: 128 << 20, load_factor: 0.9, io_buffer_bytes: 512 << 10 };

fn config() -> LogConfig {
    LogConfig { segment_bytes: 64 << 20, compacted: true, delete_enabled: false, ..LogConfig::default() }
}

fn open(dir: &Path) -> (LogStore, OpenedLog) {
    let options = StoreOptions {
        directories: vec![dir.to_path_buf()],
        cluster_id: None,
        node_id: BrokerId(1),
        recovery_threads: 1,
        max_open_files: 100,
    };
    let store = LogStore::open(options, Arc::new(RealDisk), &mut || DirectoryId(Uuid::from_u128(1))).unwrap();
    let request = OpenLog {
        partition: TopicIdPartition { topic_id: TopicId(Uuid::from_u128(2)), partition: 0 },
        topic: TopicName::new("bench").unwrap(),
        config: config(),
        directory: None,
    };
    let log = store.open_log(request, NOW).unwrap();
    (store, log)
}

fn fill(log: &mut OpenedLog, record_size: usize) {
    let records = LOG_BYTES / record_size;
    let keys = records / VERSIONS;
    let value = vec![b'v'; record_size];
    let per_batch = (BATCH_BYTES / record_size).max(1);
    let mut builder = BatchBuilder::with_capacity(BATCH_BYTES * 2);
    for first in (0..records).step_by(per_batch) {
        for number in first..(first + per_batch).min(records) {
            // Every key once in each round, in another order each time.
            let key = (number * 7_919 % keys).to_be_bytes();
            builder.append(NOW, Some(&key), Some(&value), &[]).unwrap();
        }
        let records: Bytes = builder.build(Compression::None, None).unwrap();
        log.writer.append(&[AppendBatch { records }], LeaderEpoch(0), Origin::Client, NOW).remove(0).unwrap();
    }
    log.writer.roll(NOW).unwrap();
    log.reader.flush_closed_segments().unwrap();
}

struct ByHand<'a>(&'a mut LogWriter);

impl Guide for ByHand<'_> {
    fn spend(&mut self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn swap(&mut self, cleaned: CleanedSegment) -> Result<(), CleanError> {
        assert!(self.0.swap(cleaned, NOW)?);
        Ok(())
    }
}

fn clean(log: &mut OpenedLog) -> Duration {
    let began = Instant::now();
    let snapshot = log.writer.begin_cleaning().unwrap();
    let what = snapshot.cleanable(&config(), Offset::MAX, NOW).unwrap();
    let mut guide = ByHand(&mut log.writer);
    let cleaned = Cleaner::new(OPTIONS).clean(&snapshot, &what, &config(), NOW, &mut guide).unwrap();
    assert!(cleaned.stats.bytes_after < cleaned.stats.bytes_before / 3, "{:?}", cleaned.stats);
    began.elapsed()
}

fn compaction(c: &mut Criterion) {
    let mut group = c.benchmark_group("compaction");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(LOG_BYTES as u64));
    for record_size in RECORD_SIZES {
        group.bench_function(BenchmarkId::from_parameter(record_size), |b| {
            b.iter_custom(|iterations| {
                let once = |_| {
                    let dir = tempfile::tempdir().unwrap();
                    let (_store, mut log) = open(dir.path());
                    fill(&mut log, record_size);
                    clean(&mut log)
                };
                (0..iterations).map(once).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, compaction);
criterion_main!(benches);
