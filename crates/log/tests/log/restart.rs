//! What a log is after a restart, clean or not.

use std::fs;

use levada_log::{AppendBatch, LogConfig, Origin, RecoveryProgress};
use levada_records::{BatchBuilder, Compression};
use levada_types::{LeaderEpoch, Offset};

use crate::support::*;

fn log_file(dir: &std::path::Path, base: i64) -> std::path::PathBuf {
    dir.join(format!("t-0/{base:020}.log"))
}

#[test]
fn a_clean_stop_opens_as_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    for i in 0..40 {
        append(&mut log.writer, &sequenced(1 + i64::from(i % 3), 0, i / 3, 1));
    }
    let (before, producers) = (read_all(&log.reader), log.writer.active_producers());
    close(store, vec![log.writer]);
    assert_eq!(
        fs::read_to_string(dir.path().join(".kafka_cleanshutdown")).unwrap(),
        r#"{"version":0,"brokerEpoch":5}"#
    );

    let store = open_store(dir.path());
    assert!(!dir.path().join(".kafka_cleanshutdown").exists());
    assert_eq!(store.clean_shutdown_epoch(), Some(5));
    assert!(store.directories()[0].was_clean);
    let closed = store.directories()[0].id.map(|id| (id, 5));
    assert_eq!(store.closed_directories().collect::<Vec<_>>(), Vec::from_iter(closed));
    let progress = RecoveryProgress::default();
    let (_, opened) = store.open_logs(vec![request("t", 0, &small_segments())], NOW, &progress).remove(0);
    let mut log = opened.unwrap();
    assert!(!log.created);
    assert_eq!(progress.bytes_total(), 0, "nothing is scanned");
    assert_eq!((progress.logs_total(), progress.logs_done()), (1, 1));
    assert_eq!(read_all(&log.reader), before);
    assert_eq!(log.writer.active_producers(), producers);
    assert_eq!(log.reader.recovery_point(), 40);
    assert_eq!(log.reader.latest_epoch(), Some(LeaderEpoch(0)));
    assert!(append(&mut log.writer, &sequenced(1, 0, 13, 1)).duplicate, "the last batch of each producer is known");
    assert_eq!(append(&mut log.writer, &sequenced(2, 0, 13, 1)).base_offset, 40);
    assert_eq!(log.reader.offset_for_timestamp(NOW, Offset::MAX).unwrap().unwrap().offset, 0);
}

#[test]
fn a_log_that_was_not_closed_is_all_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    for i in 0..40 {
        append(&mut log.writer, &sequenced(1 + i64::from(i % 3), 0, i / 3, 1));
    }
    let (before, producers) = (read_all(&log.reader), log.writer.active_producers());
    drop((log, store));

    let store = open_store(dir.path());
    assert_eq!(store.clean_shutdown_epoch(), None);
    assert_eq!(store.closed_directories().count(), 0);
    let progress = RecoveryProgress::default();
    let (_, opened) = store.open_logs(vec![request("t", 0, &small_segments())], NOW, &progress).remove(0);
    let mut log = opened.unwrap();
    assert_eq!(progress.bytes_total(), log.reader.size_bytes());
    assert_eq!(progress.bytes_done(), progress.bytes_total());
    assert_eq!(read_all(&log.reader), before);
    assert_eq!(log.writer.active_producers(), producers);
    assert!(append(&mut log.writer, &sequenced(1, 0, 12, 1)).duplicate, "a replay knows the last five");
}

/// The names in the log's directory, sorted.
fn files(dir: &std::path::Path) -> Vec<String> {
    let names = fs::read_dir(dir.join("t-0")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_small_log_needs_no_file_beside_its_records_to_open_as_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &sequenced(7, 1, 0, 3));
    for records in [batch_at(NOW + 50, &["later"]), sequenced(7, 1, 3, 1)] {
        let batches = [AppendBatch { records }];
        log.writer.append(&batches, LeaderEpoch(4), Origin::Client, NOW).remove(0).unwrap();
    }
    let (before, producers) = (read_all(&log.reader), log.writer.active_producers());
    close(store, vec![log.writer]);
    assert_eq!(files(dir.path()), ["00000000000000000000.log", "partition.metadata"]);

    let store = open_store(dir.path());
    let progress = RecoveryProgress::default();
    let (_, opened) = store.open_logs(vec![request("t", 0, &LogConfig::default())], NOW, &progress).remove(0);
    let mut log = opened.unwrap();
    assert_eq!(progress.bytes_total(), 0, "nothing is recovered");
    assert_eq!(read_all(&log.reader), before);
    assert_eq!(log.writer.active_producers(), producers);
    assert_eq!(log.reader.recovery_point(), 5);
    assert_eq!(log.reader.end_offset_for_epoch(LeaderEpoch(0)).unwrap().end_offset, 3);
    assert_eq!(log.reader.max_timestamp_offset(Offset::MAX).unwrap().unwrap().offset, 3);
    assert!(append(&mut log.writer, &sequenced(7, 1, 3, 1)).duplicate);
}

#[test]
fn a_time_index_that_exists_is_kept_up_even_if_the_log_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &batch(&["first"]));
    close(store, vec![log.writer]);
    // As Kafka leaves it: the greatest timestamp and the offset that has it.
    let entry = [&NOW.to_be_bytes()[..], &0i32.to_be_bytes()].concat();
    fs::write(dir.path().join("t-0/00000000000000000000.timeindex"), entry).unwrap();

    for (offset, timestamp) in [(1, NOW + 10), (2, NOW + 20)] {
        let store = open_store(dir.path());
        let mut log = open_log(&store, &LogConfig::default());
        append(&mut log.writer, &batch_at(timestamp, &["newer"]));
        close(store, vec![log.writer]);
        let store = open_store(dir.path());
        let log = open_log(&store, &LogConfig::default());
        let found = log.reader.max_timestamp_offset(Offset::MAX).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp), (offset, timestamp));
        close(store, vec![log.writer]);
    }
}

#[test]
fn recovering_whole_logs_creates_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
    let store = open_store(dir.path());
    let mut log = open_log(&store, &config);
    for i in 0..30 {
        append(&mut log.writer, &batch_at(NOW + i, &["one of many"]));
    }
    let (left, before) = (files(dir.path()), read_all(&log.reader));
    drop((log, store));

    let store = open_store(dir.path());
    let mut log = open_log(&store, &config);
    assert_eq!(files(dir.path()), left);
    assert_eq!(read_all(&log.reader), before);
    assert_eq!(log.reader.offset_for_timestamp(NOW + 20, Offset::MAX).unwrap().unwrap().offset, 20);
    // The flush makes the indexes durable too, so that they must be in their files by then.
    log.writer.flush(NOW).unwrap();
    assert!(files(dir.path()).iter().any(|name| name.ends_with(".index")));
}

#[test]
fn a_torn_tail_is_cut_off_and_the_rest_is_served() {
    for cut in [1usize, 30, 61, 70] {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &LogConfig::default());
        append(&mut log.writer, &sequenced(1, 0, 0, 2));
        log.writer.flush(NOW).unwrap();
        append(&mut log.writer, &sequenced(1, 0, 2, 1));
        let size = log.reader.size_bytes() as usize;
        drop((log, store));
        let path = log_file(dir.path(), 0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..size - cut]).unwrap();

        let store = open_store(dir.path());
        let mut log = open_log(&store, &LogConfig::default());
        assert_eq!(log.reader.log_end_offset(), 2, "cut by {cut}");
        assert_eq!(read_all(&log.reader).len(), 2);
        let next = append(&mut log.writer, &sequenced(1, 0, 2, 1));
        assert_eq!((next.base_offset, next.duplicate), (2, false));
    }
}

#[test]
fn what_comes_in_the_place_of_lost_records_is_not_taken_for_durable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    for i in 0..10 {
        append(&mut log.writer, &sequenced(1, 0, i, 1));
    }
    log.writer.flush(NOW).unwrap();
    store.checkpoint(&Default::default()).unwrap();
    let size = log.reader.size_bytes();
    drop((log, store));
    fs::File::options().write(true).open(log_file(dir.path(), 0)).unwrap().set_len(size / 2 + 1).unwrap();

    let store = open_store(dir.path());
    let log = open_log(&store, &LogConfig::default());
    assert_eq!(log.reader.log_end_offset(), 5);
    let checkpoint = fs::read_to_string(dir.path().join("recovery-point-offset-checkpoint")).unwrap();
    assert_eq!(checkpoint, "0\n1\nt 0 5\n");
}

#[test]
fn recovery_starts_at_the_recovery_point() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { index_interval_bytes: 50, ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    for i in 0..100 {
        append(&mut log.writer, &batch(&[&format!("flushed {i}")]));
    }
    log.writer.flush(NOW).unwrap();
    let flushed = log.reader.size_bytes();
    append(&mut log.writer, &batch(&["not flushed"]));
    store.checkpoint(&Default::default()).unwrap();
    let (before, size) = (read_all(&log.reader), log.reader.size_bytes());
    drop((log, store));

    let store = open_store(dir.path());
    let progress = RecoveryProgress::default();
    let (_, opened) = store.open_logs(vec![request("t", 0, &config)], NOW, &progress).remove(0);
    let log = opened.unwrap();
    assert!(progress.bytes_total() >= size - flushed && progress.bytes_total() < size / 10);
    assert_eq!(read_all(&log.reader), before);
    assert_eq!(log.reader.recovery_point(), 100);
}

/// What is done to the bytes of a segment.
type Damage = fn(&mut Vec<u8>);

#[test]
fn bytes_that_nobody_wrote_are_a_loss_and_the_torn_end_of_a_write_is_none() {
    let cases: [(Damage, bool, i64); 4] = [
        (|_| (), false, 3),
        (|bytes| bytes.truncate(bytes.len() - 3), false, 2),
        (|bytes| *bytes.last_mut().unwrap() ^= 1, true, 2),
        // The length of a header that is all there, and makes no sense.
        (|bytes| bytes[8..12].fill(0), true, 0),
    ];
    for (damage, is_loss, end) in cases {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &LogConfig::default());
        for value in ["a", "b", "c"] {
            append(&mut log.writer, &batch(&[value]));
        }
        drop((log, store));
        let mut bytes = fs::read(log_file(dir.path(), 0)).unwrap();
        damage(&mut bytes);
        fs::write(log_file(dir.path(), 0), bytes).unwrap();

        let store = open_store(dir.path());
        let progress = RecoveryProgress::default();
        let (_, opened) = store.open_logs(vec![request("t", 0, &LogConfig::default())], NOW, &progress).remove(0);
        assert_eq!((progress.has_found_loss(), opened.unwrap().reader.log_end_offset()), (is_loss, end));
    }
}

#[test]
fn lost_or_damaged_indexes_cost_nothing_but_time() {
    let damage: [fn(&std::path::Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, vec![0; 10_000]).unwrap(),
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes.iter_mut().step_by(3).for_each(|byte| *byte = byte.wrapping_add(41));
            fs::write(path, bytes).unwrap();
        },
    ];
    for clean in [true, false] {
        for damage in damage {
            let dir = tempfile::tempdir().unwrap();
            let store = open_store(dir.path());
            let mut log = open_log(&store, &small_segments());
            for i in 0..60 {
                append(&mut log.writer, &batch_at(NOW + i, &[&format!("record {i}")]));
            }
            let before = read_all(&log.reader);
            log.writer.flush(NOW).unwrap();
            store.checkpoint(&Default::default()).unwrap();
            if clean {
                close(store, vec![log.writer]);
            } else {
                drop((log, store));
            }
            for entry in fs::read_dir(dir.path().join("t-0")).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|e| e == "index" || e == "timeindex")
                    && path.metadata().unwrap().len() > 0
                {
                    damage(&path);
                }
            }
            let store = open_store(dir.path());
            let log = open_log(&store, &small_segments());
            assert_eq!(read_all(&log.reader), before);
            for (offset, value) in &before {
                let info = log.reader.read(*offset, 1, Offset::MAX, true).unwrap();
                assert_eq!(records_of(&info.slice), [(*offset, value.clone())]);
            }
        }
    }
}

#[test]
fn producers_are_rebuilt_without_their_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    for i in 0..30 {
        append(&mut log.writer, &sequenced(7, 1, i * 2, 2));
    }
    let producers = log.writer.active_producers();
    drop((log, store));
    let mut removed = 0;
    for entry in fs::read_dir(dir.path().join("t-0")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "snapshot") {
            // A damaged one is no better than none.
            if removed % 2 == 0 {
                fs::write(&path, b"damaged").unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            removed += 1;
        }
    }
    assert!(removed > 1);
    let store = open_store(dir.path());
    let log = open_log(&store, &small_segments());
    assert_eq!(log.writer.active_producers(), producers);
}

#[test]
fn a_large_batch_is_recovered_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { max_message_bytes: 8 << 20, ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    let mut builder = BatchBuilder::new();
    let value: Vec<u8> = (0..5u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    builder.append(NOW, None, Some(&value), &[]).unwrap();
    append(&mut log.writer, &builder.build(Compression::None, None).unwrap());
    append(&mut log.writer, &batch(&["small"]));
    let size = log.reader.size_bytes();
    drop((log, store));

    let store = open_store(dir.path());
    let log = open_log(&store, &config);
    assert_eq!((log.reader.log_end_offset(), log.reader.size_bytes()), (2, size));
    drop((log, store));
    let mut bytes = fs::read(log_file(dir.path(), 0)).unwrap();
    bytes[3 << 20] ^= 1;
    fs::write(log_file(dir.path(), 0), bytes).unwrap();
    let store = open_store(dir.path());
    let log = open_log(&store, &config);
    assert_eq!((log.reader.log_end_offset(), log.reader.size_bytes()), (0, 0));
}

#[test]
fn epochs_survive_with_and_without_their_checkpoint() {
    for keep in [true, false] {
        for clean in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let store = open_store(dir.path());
            let mut log = open_log(&store, &small_segments());
            for i in 0..30 {
                let batches = [levada_log::AppendBatch { records: batch(&["some value", "another"]) }];
                let epoch = LeaderEpoch(i / 7);
                log.writer.append(&batches, epoch, levada_log::Origin::Client, NOW).remove(0).unwrap();
            }
            let ends = |reader: &levada_log::LogReader| -> Vec<_> {
                (0..6).map(|epoch| reader.end_offset_for_epoch(LeaderEpoch(epoch))).collect()
            };
            let before = ends(&log.reader);
            assert_eq!(before.iter().flatten().count(), 5);
            if clean {
                close(store, vec![log.writer]);
            } else {
                drop((log, store));
            }
            if !keep {
                let _ = fs::remove_file(dir.path().join("t-0/leader-epoch-checkpoint"));
            }
            let store = open_store(dir.path());
            let log = open_log(&store, &small_segments());
            assert_eq!(ends(&log.reader), before, "clean {clean}, checkpoint kept {keep}");
        }
    }
}
