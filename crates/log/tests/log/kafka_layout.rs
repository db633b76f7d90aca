//! A data directory as Kafka lays it out opens here, and what is written here is what Kafka would have written.
//!
//! The bytes are put together by hand from the formats' definitions, so that a mistake in this crate's own encoders
//! cannot hide.

use std::fs;
use std::path::Path;

use levada_log::{AbortedTransaction, AppendBatch, LogConfig, Origin};
use levada_records::{BatchBuilder, Compression};
use levada_types::{BrokerId, LeaderEpoch, Offset};

use crate::support::*;

/// A batch as it lies on disk: three records from `base` on, written by producer 4000 in `epoch`.
fn disk_batch(base: i64, epoch: i32, timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.set_producer(4_000, 2, base as i32).set_position(base, epoch);
    for i in 0..3 {
        builder.append(timestamp + i, Some(b"key"), Some(format!("value {}", base + i).as_bytes()), &[]).unwrap();
    }
    builder.build(Compression::None, None).unwrap().to_vec()
}

fn crc32c_bitwise(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn snapshot(last_sequence: i32, last_offset: i64, timestamp: i64) -> Vec<u8> {
    let mut body = 1i32.to_be_bytes().to_vec();
    body.extend(4_000i64.to_be_bytes());
    body.extend(2i16.to_be_bytes());
    body.extend(last_sequence.to_be_bytes());
    body.extend(last_offset.to_be_bytes());
    body.extend(2i32.to_be_bytes());
    body.extend(timestamp.to_be_bytes());
    body.extend((-1i32).to_be_bytes());
    body.extend((-1i64).to_be_bytes());
    let mut bytes = 1i16.to_be_bytes().to_vec();
    bytes.extend(crc32c_bitwise(&body).to_be_bytes());
    bytes.extend(body);
    bytes
}

const TOPIC_ID: &str = "AAECAwQFBgcICQoLDA0ODw";

/// A directory with one log of two segments, `[0, 6)` and `[6, 12)`.
fn write_kafka_directory(root: &Path, clean: bool) {
    let dir = root.join("orders.v1-3");
    fs::create_dir_all(&dir).unwrap();
    let text = |path: &str, text: &str| fs::write(root.join(path), text).unwrap();
    text(
        "meta.properties",
        "#\n#Sat Nov 21 22:00:00 UTC 2026\ncluster.id=BAECAwQFBgcICQoLDA0ODw\n\
         directory.id=CAECAwQFBgcICQoLDA0ODw\nnode.id=1\nversion=1\n",
    );
    text("recovery-point-offset-checkpoint", "0\n1\norders.v1 3 12\n");
    text("log-start-offset-checkpoint", "0\n1\norders.v1 3 2\n");
    text("replication-offset-checkpoint", "0\n1\norders.v1 3 12\n");
    text("cleaner-offset-checkpoint", "0\n0\n");
    text(".lock", "");
    if clean {
        text(".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":42}");
    }
    text("orders.v1-3/partition.metadata", &format!("version: 0\ntopic_id: {TOPIC_ID}"));
    text("orders.v1-3/leader-epoch-checkpoint", "0\n2\n5 0\n7 6\n");
    for (base, epoch) in [(0i64, 5), (6, 7)] {
        let first = disk_batch(base, epoch, NOW + base);
        let second = disk_batch(base + 3, epoch, NOW + base + 3);
        let file = |extension: &str| dir.join(format!("{base:020}.{extension}"));
        fs::write(file("log"), [first.clone(), second].concat()).unwrap();
        // One entry for the second batch: its last offset, and where it starts.
        let index = [5i32.to_be_bytes(), (first.len() as i32).to_be_bytes()].concat();
        fs::write(file("index"), index).unwrap();
        let mut time_index = (NOW + base + 5).to_be_bytes().to_vec();
        time_index.extend(5i32.to_be_bytes());
        fs::write(file("timeindex"), time_index).unwrap();
        fs::write(file("snapshot"), snapshot(base as i32 - 1, base - 1, NOW)).unwrap();
    }
    fs::write(dir.join("00000000000000000012.snapshot"), snapshot(11, 11, NOW + 11)).unwrap();
    let mut aborted = 0i16.to_be_bytes().to_vec();
    for field in [9i64, 1, 4, 5] {
        aborted.extend(field.to_be_bytes());
    }
    fs::write(dir.join("00000000000000000000.txnindex"), aborted).unwrap();
    fs::write(dir.join("00000000000000000006.txnindex"), b"").unwrap();
    // Left over from a segment that Kafka was deleting.
    fs::write(dir.join("00000000000000000000.log.deleted"), b"old").unwrap();
}

#[test]
fn a_directory_that_kafka_wrote_opens() {
    for clean in [true, false] {
        let root = tempfile::tempdir().unwrap();
        write_kafka_directory(root.path(), clean);
        let store = open_store(root.path());
        assert_eq!(store.clean_shutdown_epoch(), clean.then_some(42));
        assert_eq!(store.cluster_id().unwrap().to_string(), "BAECAwQFBgcICQoLDA0ODw");
        assert_eq!(store.directories()[0].id.unwrap().to_string(), "CAECAwQFBgcICQoLDA0ODw");
        let found = store.partitions().remove(0);
        assert_eq!(found.partition, topic_partition("orders.v1", 3));
        assert_eq!(found.topic_id.unwrap().to_string(), TOPIC_ID);
        assert_eq!(store.high_watermark(&found.partition), Some(12));

        let mut request = request("orders.v1", 3, &LogConfig::default());
        request.partition.topic_id = found.topic_id.unwrap();
        let mut log = store.open_log(request, NOW).unwrap();
        let reader = &log.reader;
        assert_eq!((reader.log_start_offset(), reader.log_end_offset(), reader.segment_count()), (2, 12, 2));
        let expected: Vec<_> = (2..12).map(|offset| (offset, format!("value {offset}"))).collect();
        assert_eq!(read_all(reader), expected);
        assert_eq!(reader.latest_epoch(), Some(LeaderEpoch(7)));
        assert_eq!(reader.end_offset_for_epoch(LeaderEpoch(5)).unwrap().end_offset, 6);
        let found = reader.offset_for_timestamp(NOW + 8, Offset::MAX).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp, found.leader_epoch), (8, NOW + 8, Some(LeaderEpoch(7))));
        let aborted = AbortedTransaction { producer_id: 9, first_offset: 1, last_offset: 4, last_stable_offset: 5 };
        assert_eq!(reader.aborted_transactions(2, 12).unwrap(), [aborted]);
        assert!(reader.aborted_transactions(5, 12).unwrap().is_empty());
        let producer = log.writer.active_producers()[0];
        assert_eq!((producer.producer_id, producer.producer_epoch, producer.last_sequence), (4_000, 2, 11));
        assert!(!root.path().join("orders.v1-3/00000000000000000000.log.deleted").exists());

        let resent = append(&mut log.writer, &sequenced(4_000, 2, 9, 3));
        assert!(resent.duplicate && resent.base_offset == 9, "a batch that Kafka appended is known again");
        assert_eq!(append(&mut log.writer, &sequenced(4_000, 2, 12, 1)).base_offset, 12);
    }
}

#[test]
fn what_is_written_is_what_kafka_writes() {
    let root = tempfile::tempdir().unwrap();
    let store = open_store(root.path());
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    for (base, epoch) in [(0i64, 5), (3, 5), (6, 7)] {
        let mut sent = disk_batch(base, -1, NOW + base);
        // As a producer sends it: it knows neither offset nor epoch.
        sent[..8].fill(0);
        let batches = [AppendBatch { records: sent.into() }];
        log.writer.append(&batches, LeaderEpoch(epoch), Origin::Client, NOW).remove(0).unwrap();
    }
    log.writer.advance_log_start(1).unwrap();
    log.writer.close(NOW).unwrap();
    store.close(&[(topic_partition("t", 0), 9)].into(), 42).unwrap();
    let read = |name: &str| fs::read(root.path().join(name)).unwrap();
    let text = |name: &str| String::from_utf8(read(name)).unwrap();

    let batches = [disk_batch(0, 5, NOW), disk_batch(3, 5, NOW + 3), disk_batch(6, 7, NOW + 6)];
    assert_eq!(read("t-0/00000000000000000000.log"), batches.concat());
    let (second, third) = (batches[0].len() as i32, (batches[0].len() + batches[1].len()) as i32);
    let index = [5i32, second, 8, third].map(i32::to_be_bytes).concat();
    assert_eq!(read("t-0/00000000000000000000.index"), index);
    let mut time_index = (NOW + 5).to_be_bytes().to_vec();
    time_index.extend(5i32.to_be_bytes());
    time_index.extend((NOW + 8).to_be_bytes());
    time_index.extend(8i32.to_be_bytes());
    assert_eq!(read("t-0/00000000000000000000.timeindex"), time_index);
    assert_eq!(read("t-0/00000000000000000009.snapshot"), snapshot(8, 8, NOW + 8));
    assert_eq!(text("t-0/leader-epoch-checkpoint"), "0\n2\n5 1\n7 6\n");
    assert_eq!(text("t-0/partition.metadata"), format!("version: 0\ntopic_id: {}\n", topic_id(1)));
    assert_eq!(text("recovery-point-offset-checkpoint"), "0\n1\nt 0 9\n");
    assert_eq!(text("log-start-offset-checkpoint"), "0\n1\nt 0 1\n");
    assert_eq!(text("replication-offset-checkpoint"), "0\n1\nt 0 9\n");
    assert_eq!(text(".kafka_cleanshutdown"), r#"{"version":0,"brokerEpoch":42}"#);
    let properties = text("meta.properties");
    assert!(properties.contains(&format!("node.id={}\n", BrokerId(1))) && properties.ends_with("version=1\n"));
}

#[test]
fn a_gap_that_kafkas_compaction_has_left_between_segments_is_no_loss() {
    for (cleaned_to, kept) in [(6, vec![0, 1, 2, 6, 7, 8, 9, 10, 11]), (0, vec![0, 1, 2])] {
        let root = tempfile::tempdir().unwrap();
        write_kafka_directory(root.path(), false);
        let write = |name: &str, bytes: Vec<u8>| fs::write(root.path().join(name), bytes).unwrap();
        write("orders.v1-3/00000000000000000000.log", disk_batch(0, 5, NOW));
        write("recovery-point-offset-checkpoint", b"0\n1\norders.v1 3 0\n".to_vec());
        write("log-start-offset-checkpoint", b"0\n0\n".to_vec());
        write("cleaner-offset-checkpoint", format!("0\n1\norders.v1 3 {cleaned_to}\n").into_bytes());
        let store = open_store(root.path());
        let mut request = request("orders.v1", 3, &LogConfig::default());
        request.partition.topic_id = store.partitions()[0].topic_id.unwrap();
        let log = store.open_log(request, NOW).unwrap();
        let found: Vec<_> = read_all(&log.reader).into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(found, kept, "cleaned up to {cleaned_to}");
    }
}
