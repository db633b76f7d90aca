//! Cutting off a diverging tail.

use std::path::Path;
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{AppendBatch, Disk, LogWriter, Origin};
use levada_types::LeaderEpoch;

use crate::support::*;

fn append_in_epoch(writer: &mut LogWriter, epoch: i32, values: &[&str]) {
    let batches = [AppendBatch { records: batch(values) }];
    writer.append(&batches, LeaderEpoch(epoch), Origin::Client, NOW).remove(0).unwrap();
}

#[test]
fn the_log_ends_where_it_was_cut_and_goes_on_from_there() {
    for cut in 0..=30i64 {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &small_segments());
        for i in 0..30 {
            append(&mut log.writer, &sequenced(5, 0, i, 1));
        }
        if cut % 2 == 0 {
            log.writer.flush(NOW).unwrap();
        }
        let before = read_all(&log.reader);
        assert_eq!(log.writer.truncate_to(cut, NOW).unwrap(), cut < 30);
        assert_eq!(log.reader.log_end_offset(), cut);
        assert_eq!(read_all(&log.reader), before[..cut as usize]);
        assert!(log.reader.recovery_point() <= cut);
        let last = log.writer.active_producers().first().map_or(-1, |producer| producer.last_sequence);
        assert_eq!(i64::from(last), cut - 1, "producers are those of what is left");

        append_in_epoch(&mut log.writer, 3, &["other", "tail"]);
        assert_eq!(log.reader.end_offset_for_epoch(LeaderEpoch(0)).map(|end| end.end_offset), (cut > 0).then_some(cut));
        let after = read_all(&log.reader);
        store.checkpoint(&Default::default()).unwrap();
        drop((log, store));
        let store = open_store(dir.path());
        let log = open_log(&store, &small_segments());
        assert_eq!(read_all(&log.reader), after);
        assert_eq!(log.reader.latest_epoch(), Some(LeaderEpoch(3)));
    }
}

#[test]
fn a_cut_inside_a_batch_takes_the_whole_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    append(&mut log.writer, &batch(&["a", "b"]));
    append(&mut log.writer, &batch(&["c", "d", "e"]));
    assert!(log.writer.truncate_to(3, NOW).unwrap());
    assert_eq!(log.reader.log_end_offset(), 2);
}

#[test]
fn a_log_is_emptied_and_goes_on_elsewhere() {
    for start in [0, 12, 500] {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &small_segments());
        for i in 0..30 {
            append(&mut log.writer, &sequenced(5, 0, i, 1));
        }
        log.writer.truncate_fully_and_start_at(start, NOW).unwrap();
        assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (start, start));
        assert!(log.writer.active_producers().is_empty());
        assert_eq!(log.reader.latest_epoch(), None);
        append_in_epoch(&mut log.writer, 9, &["new"]);
        assert_eq!(read_all(&log.reader), [(start, "new".to_owned())]);
        drop((log, store));
        let store = open_store(dir.path());
        let log = open_log(&store, &small_segments());
        assert_eq!(read_all(&log.reader), [(start, "new".to_owned())]);
    }
}

#[test]
fn a_checkpoint_that_failed_is_lowered_all_the_same() {
    for failing in 1.. {
        let disk = SimDisk::new();
        let root = Path::new("/data");
        let store = open_store_on(Arc::new(disk.clone()), &[root]);
        let mut log = open_log(&store, &small_segments());
        (0..10).for_each(|_| append_in_epoch(&mut log.writer, 1, &["old"]));
        log.writer.flush(NOW).unwrap();
        disk.fill_at(disk.operations() + failing);
        if store.checkpoint(&Default::default()).is_ok() {
            assert!(failing > 6, "a checkpoint is more than this");
            break;
        }
        disk.set_capacity(64 << 20);
        log.writer.truncate_to(5, NOW).unwrap();
        let batches = [AppendBatch { records: batch(&["new"]) }];
        log.writer.append(&batches, LeaderEpoch(2), Origin::Client, NOW + 10_000).remove(0).unwrap();
        drop((log, store));
        disk.restart_process();
        let store = open_store_on(Arc::new(disk), &[root]);
        let log = open_log(&store, &small_segments());
        assert_eq!(log.reader.epoch_for_offset(5), Some(LeaderEpoch(2)), "operation {failing} failed");
    }
}

#[test]
fn a_log_that_goes_on_below_its_old_start_is_found_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    (0..30).for_each(|_| append_in_epoch(&mut log.writer, 1, &["old"]));
    log.writer.advance_log_start(25).unwrap();
    store.checkpoint(&Default::default()).unwrap();
    log.writer.truncate_fully_and_start_at(12, NOW).unwrap();
    append_in_epoch(&mut log.writer, 2, &["new"]);
    drop((log, store));
    let store = open_store(dir.path());
    let log = open_log(&store, &small_segments());
    assert_eq!(log.reader.log_start_offset(), 12);
    assert_eq!(read_all(&log.reader), [(12, "new".to_owned())]);
}

#[test]
fn epochs_that_a_failed_flush_may_have_written_are_written_again() {
    let disk = SimDisk::new();
    let root = Path::new("/data");
    let store = open_store_on(Arc::new(disk.clone()), &[root]);
    let mut log = open_log(&store, &small_segments());
    append_in_epoch(&mut log.writer, 1, &["a"; 4]);
    log.writer.flush(NOW).unwrap();
    append_in_epoch(&mut log.writer, 2, &["b"; 4]);
    // The last operation of the flush, which makes the name of the new checkpoint durable.
    disk.fill_at(disk.operations() + 7);
    assert!(log.writer.flush(NOW).is_err());
    let checkpoint = disk.read(&root.join("t-0/leader-epoch-checkpoint"), 100).unwrap();
    assert_eq!(checkpoint, b"0\n2\n1 0\n2 4\n", "it failed behind the rename");
    // A follower whose leader went on in epoch 1.
    log.writer.truncate_to(4, NOW).unwrap();
    let batches = [AppendBatch { records: batch(&["c"; 4]) }];
    log.writer.append(&batches, LeaderEpoch(1), Origin::Client, NOW + 10_000).remove(0).unwrap();
    log.writer.flush(NOW + 10_000).unwrap();
    store.checkpoint(&Default::default()).unwrap();
    drop((log, store));
    disk.restart_process();
    let store = open_store_on(Arc::new(disk), &[root]);
    let log = open_log(&store, &small_segments());
    assert_eq!(log.reader.epoch_for_offset(5), Some(LeaderEpoch(1)));
}
