//! What Kafka's directory holds is what the log holds afterwards, and what cannot be taken over is told before anything
//! is written.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use levada_log::{AppendBatch, LogConfig, LogStore, OpenLog, OpenedLog, Origin, RealDisk, StoreOptions};
use levada_records::{BatchBuilder, Batches, Compression, RecordBatch, RecordBuffer};
use levada_types::{BrokerId, ClusterId, DirectoryId, LeaderEpoch, Offset, TopicId, TopicIdPartition};
use tempfile::TempDir;

use super::*;
use crate::output::Format;

const NOW: TimestampMs = 1_700_000_000_000;

/// The name of the first segment's files, without what follows the dot.
const FIRST: &str = "00000000000000000000";

/// Records of the idempotent producer 0, as Kafka's leader of epoch 5 wrote them.
fn batch(base_offset: Offset, count: i64, compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.set_position(base_offset, 5).set_producer(0, 0, i32::try_from(base_offset).unwrap());
    for offset in base_offset..base_offset + count {
        builder.append(NOW + offset, Some(b"key"), Some(format!("value {offset}").as_bytes()), &[]).unwrap();
    }
    builder.build(compression, None).unwrap().to_vec()
}

/// A directory that Kafka did not close: `orders-0` from offset 4 to 12 in two segments, with a gap where compaction took
/// records away and a torn batch at the end; `payments-1`, empty from offset 7 on; a topic of Kafka's own.
fn kafka_directory() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
    for dir in ["orders-0", "payments-1", "__consumer_offsets-3", "orders-0.0123456789abcdef-delete"] {
        fs::create_dir(root.path().join(dir)).unwrap();
    }
    write(".lock", b"");
    write("log-start-offset-checkpoint", b"0\n1\norders 0 4\n");
    let first = [batch(0, 3, Compression::None), batch(3, 3, Compression::Gzip)].concat();
    write(&format!("orders-0/{FIRST}.log"), &first);
    let torn = batch(12, 3, Compression::None);
    let second = [&batch(8, 4, Compression::Zstd), &torn[..torn.len() - 1]].concat();
    write("orders-0/00000000000000000006.log", &second);
    write("payments-1/00000000000000000007.log", b"");
    write("__consumer_offsets-3/00000000000000000000.log", &batch(0, 1, Compression::None));
    root
}

/// A data directory of Levada with these partitions.
fn levada_directory(partitions: &[(&str, i32)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let store = open_store(root.path());
    store.set_cluster_id(ClusterId::parse("AAECAwQFBgcICQoLDA0ODw").unwrap()).unwrap();
    for (topic, partition) in partitions {
        open_log(&store, topic, *partition).writer.close(NOW).unwrap();
    }
    store.close(&[].into(), 42).unwrap();
    root
}

fn open_store(root: &Path) -> LogStore {
    let options = StoreOptions {
        directories: vec![root.to_owned()],
        cluster_id: None,
        node_id: BrokerId(1),
        recovery_threads: 1,
        max_open_files: 16,
    };
    LogStore::open(options, Arc::new(RealDisk), &mut || DirectoryId::parse("BAECAwQFBgcICQoLDA0ODw").unwrap()).unwrap()
}

fn open_log(store: &LogStore, topic: &str, partition: i32) -> OpenedLog {
    let topic_id = TopicId::parse("CAECAwQFBgcICQoLDA0ODw").unwrap();
    let request = OpenLog {
        partition: TopicIdPartition { topic_id, partition },
        topic: TopicName::new(topic).unwrap(),
        config: LogConfig::default(),
        directory: None,
    };
    store.open_log(request, NOW).unwrap()
}

fn import_into(kafka: &Path, levada: &Path, topics: &[&str]) -> Result<Imported, CliError> {
    import(&ImportArgs {
        dir: kafka.to_owned(),
        into: levada.to_owned(),
        topics: topics.iter().map(|topic| TopicName::new(topic).unwrap()).collect(),
        output: OutputArgs { output: Format::Table },
    })
}

fn refused(kafka: &Path, levada: &Path, topics: &[&str]) -> String {
    import_into(kafka, levada, topics).unwrap_err().to_string()
}

/// Offsets and values from the log's start on, and the bytes they come from.
fn read_all(log: &OpenedLog) -> (Vec<(Offset, String)>, Bytes) {
    let read = log.reader.read(log.reader.log_start_offset(), 1 << 20, Offset::MAX, true).unwrap();
    let bytes = read.slice.to_bytes().unwrap();
    let mut buffer = RecordBuffer::new();
    let mut records = Vec::new();
    for batch in Batches::new(&bytes) {
        for record in batch.unwrap().records(&mut buffer).unwrap() {
            let record = record.unwrap();
            records.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        }
    }
    (records, bytes)
}

#[test]
fn the_same_records_lie_at_the_same_offsets() {
    let (kafka, levada) = (kafka_directory(), levada_directory(&[("orders", 0), ("payments", 1), ("other", 0)]));
    let imported = import_into(kafka.path(), levada.path(), &[]).unwrap();
    let ranges: Vec<_> = imported.partitions.iter().map(|p| (p.partition.as_str(), p.start, p.end)).collect();
    assert_eq!(ranges, [("orders-0", 4, 12), ("payments-1", 7, 7)]);
    assert_eq!(imported.partitions[0].torn_bytes, batch(12, 3, Compression::None).len() as u64 - 1);
    assert_eq!(imported.left_out, ["__consumer_offsets-3"]);
    assert!(imported.text().contains("__consumer_offsets-3"));

    let store = open_store(levada.path());
    assert_eq!(store.clean_shutdown_epoch(), Some(42));
    let mut orders = open_log(&store, "orders", 0);
    assert_eq!((orders.reader.log_start_offset(), orders.reader.log_end_offset()), (4, 12));
    assert_eq!(store.high_watermark(orders.writer.topic_partition()), Some(12));
    let (records, bytes) = read_all(&orders);
    // The batch that holds the start comes whole, as for any consumer.
    let expected: Vec<_> = (3..6).chain(8..12).map(|offset| (offset, format!("value {offset}"))).collect();
    assert_eq!(records, expected);
    let sent = batch(3, 3, Compression::Gzip);
    let (kept, sent) = (Batches::new(&bytes).next().unwrap().unwrap(), RecordBatch::parse_only(&sent).unwrap());
    assert_eq!(kept.payload(), sent.payload(), "the records stay as they were compressed");
    assert_eq!(orders.reader.latest_epoch(), Some(LeaderEpoch(0)));

    // The identity and the sequence of the first batch that Kafka took, and yet no duplicate.
    let mut fresh = BatchBuilder::new();
    fresh.set_producer(0, 0, 0).append(NOW, None, Some(b"new"), &[]).unwrap();
    let batches = [AppendBatch { records: fresh.build(Compression::None, None).unwrap() }];
    let info = orders.writer.append(&batches, LeaderEpoch(0), Origin::Client, NOW).remove(0).unwrap();
    assert_eq!((info.base_offset, info.duplicate), (12, false));
    let payments = open_log(&store, "payments", 1);
    assert_eq!((payments.reader.log_start_offset(), payments.reader.log_end_offset()), (7, 7));
}

#[test]
fn a_log_that_was_not_closed_ends_before_what_is_damaged_at_its_end() {
    let (kafka, levada) = (kafka_directory(), levada_directory(&[("orders", 0)]));
    let last = kafka.path().join("orders-0/00000000000000000006.log");
    let mut bytes = [batch(8, 4, Compression::Zstd), batch(12, 3, Compression::None)].concat();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&last, bytes).unwrap();
    let imported = import_into(kafka.path(), levada.path(), &["orders"]).unwrap();
    let torn_bytes = batch(12, 3, Compression::None).len() as u64;
    assert_eq!((imported.partitions[0].end, imported.partitions[0].torn_bytes), (12, torn_bytes));

    fs::write(kafka.path().join(".kafka_cleanshutdown"), "{}").unwrap();
    let levada = levada_directory(&[("orders", 0)]);
    assert!(refused(kafka.path(), levada.path(), &["orders"]).contains("checksum"), "Kafka had closed it whole");
}

#[test]
fn what_is_missing_is_told_with_the_commands_that_create_it() {
    let (kafka, levada) = (kafka_directory(), levada_directory(&[("payments", 0)]));
    let error = refused(kafka.path(), levada.path(), &[]);
    let commands = "`levada topic create orders --partitions 1 && levada topic add-partitions payments --total 2`";
    assert!(error.contains(commands), "{error}");
    assert!(refused(kafka.path(), levada.path(), &["nowhere"]).contains("no log of topic nowhere"));
    assert!(refused(kafka.path(), kafka_directory().path(), &[]).contains("no data directory of Levada"));
}

#[test]
fn a_log_that_has_records_is_not_touched() {
    let (kafka, levada) = (kafka_directory(), levada_directory(&[("orders", 0), ("payments", 1)]));
    import_into(kafka.path(), levada.path(), &["orders"]).unwrap();
    let error = refused(kafka.path(), levada.path(), &["orders"]);
    assert!(error.contains("orders-0 has records up to offset 12"), "{error}");
    import_into(kafka.path(), levada.path(), &["payments"]).unwrap();
    assert_eq!(read_all(&open_log(&open_store(levada.path()), "orders", 0)).0.len(), 7);
}

#[test]
fn what_cannot_be_taken_over_leaves_the_logs_empty() {
    let kafka = kafka_directory();
    let first = kafka.path().join(format!("orders-0/{FIRST}.log"));
    let sound = fs::read(&first).unwrap();
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut transactional = batch(4, 2, Compression::None);
    transactional[22] |= 0x10;
    let crc = levada_records::crc32c(&transactional[21..]);
    transactional[17..21].copy_from_slice(&crc.to_be_bytes());
    let cases =
        [(flipped, "checksum"), (sound[..sound.len() - 1].to_vec(), "torn at byte"), (transactional, "transaction")];
    for (bytes, told) in cases {
        let levada = levada_directory(&[("orders", 0), ("payments", 1)]);
        fs::write(&first, bytes).unwrap();
        let error = refused(kafka.path(), levada.path(), &[]);
        assert!(error.contains(told), "{told:?} in {error}");
        let store = open_store(levada.path());
        for (topic, partition) in [("orders", 0), ("payments", 1)] {
            assert_eq!(open_log(&store, topic, partition).reader.log_end_offset(), 0, "{told}: {topic}");
        }
    }
}

#[test]
fn directories_in_use_are_refused() {
    let (kafka, levada) = (kafka_directory(), levada_directory(&[("orders", 0), ("payments", 1)]));
    let running = open_store(levada.path());
    assert!(refused(kafka.path(), levada.path(), &[]).contains("is in use"));
    drop(running);
    let broker = levada_log::Disk::lock(&RealDisk, &kafka.path().join(".lock")).unwrap();
    assert!(refused(kafka.path(), levada.path(), &[]).contains("stop its broker first"));
    drop(broker);
    import_into(kafka.path(), levada.path(), &[]).unwrap();
}
