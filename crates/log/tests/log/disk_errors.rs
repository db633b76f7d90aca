//! Full and failing disks.

use std::path::Path;
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{AppendBatch, AppendError, DirectoryState, LogConfig, LogError, OpenError, Origin, ReadError};
use levada_types::{ErrorCode, LeaderEpoch, Offset};

use crate::support::*;

const ROOT: &str = "/data";

#[test]
fn a_full_directory_refuses_writes_serves_reads_and_takes_writes_again() {
    let disk = SimDisk::new();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &small_segments());
    for i in 0..20 {
        append(&mut log.writer, &sequenced(1, 0, i, 1));
    }
    let before = read_all(&log.reader);
    disk.set_capacity(0);
    let batches = [sequenced(1, 0, 20, 1), sequenced(1, 0, 20, 1)];
    for _ in 0..2 {
        for result in append_all(&mut log.writer, &batches) {
            assert!(matches!(result, Err(AppendError::DiskFull)), "{result:?}");
        }
    }
    assert_eq!(store.directories()[0].state, DirectoryState::Full);
    assert_eq!(read_all(&log.reader), before);
    assert!(matches!(store.open_log(request("new", 0, &small_segments()), NOW), Err(OpenError::NoDirectory)));

    // Deleting goes on, and so does starting.
    log.writer.advance_log_start(15).unwrap();
    assert!(!log.writer.enforce_retention(Offset::MAX, NOW).unwrap().is_empty());
    assert!(store.purge(NOW + 60_000) > 0);
    drop((log, store));
    disk.restart_process();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &small_segments());
    assert_eq!(log.reader.log_end_offset(), 20);
    assert!(matches!(append_all(&mut log.writer, &batches).remove(0), Err(AppendError::DiskFull)));

    disk.set_capacity(64 << 20);
    let later = NOW + 10_000;
    let request: Vec<_> = batches.iter().map(|records| AppendBatch { records: records.clone() }).collect();
    let results = log.writer.append(&request, LeaderEpoch(0), Origin::Client, later);
    assert_eq!(results[0].as_ref().unwrap().base_offset, 20);
    assert!(results[1].as_ref().unwrap().duplicate, "what was refused has left no trace, what was written has");
    assert_eq!(store.directories()[0].state, DirectoryState::Online);
}

#[test]
fn a_failed_write_fails_what_was_built_on_it() {
    let disk = SimDisk::new();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &sequenced(1, 0, 0, 1));
    disk.fill_at(disk.operations() + 1);
    let batches = [sequenced(1, 0, 1, 1), sequenced(1, 0, 1, 1), sequenced(1, 0, 2, 1), sequenced(1, 0, 0, 1)];
    let results = append_all(&mut log.writer, &batches);
    for result in &results[..3] {
        assert!(matches!(result, Err(AppendError::DiskFull)), "{result:?}");
    }
    assert!(results[3].as_ref().unwrap().duplicate, "a duplicate of what was there before stands");
    assert_eq!(log.reader.log_end_offset(), 1);
    assert_eq!(log.reader.size_bytes(), disk_size(&disk));
}

#[test]
fn a_failed_write_fails_the_batch_that_it_was_to_make_room_for() {
    let disk = SimDisk::new();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &LogConfig { segment_bytes: 120, ..LogConfig::default() });
    // Two operations make the topic's id durable, the third creates the file, the fourth writes the first batch, as the second
    // needs a segment of its own.
    disk.fill_at(disk.operations() + 4);
    let batches = [sequenced(1, 0, 0, 1), sequenced(1, 0, 1, 1)];
    for result in append_all(&mut log.writer, &batches) {
        assert!(matches!(result, Err(AppendError::DiskFull)), "{result:?}");
    }
    assert_eq!(log.reader.log_end_offset(), 0);
    // Nothing was renamed from under the segment, and the producer goes on where it was.
    for result in append_all(&mut log.writer, &batches) {
        result.unwrap();
    }
    let written = read_all(&log.reader);
    assert_eq!(written.len(), 2);
    drop((log, store));
    disk.restart_process();
    let store = open_store_on(Arc::new(disk), &[Path::new(ROOT)]);
    assert_eq!(read_all(&open_log(&store, &small_segments()).reader), written);
}

fn flushed_each() -> LogConfig {
    LogConfig { flush_messages: Some(1), ..LogConfig::default() }
}

#[test]
fn what_could_not_be_flushed_as_asked_is_not_acknowledged_and_neither_is_its_duplicate() {
    let disk = SimDisk::new();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &flushed_each());
    append(&mut log.writer, &sequenced(1, 0, 0, 1));
    assert_eq!(log.reader.recovery_point(), 1);
    // The first operation writes, the second syncs.
    disk.drop_at(disk.operations() + 2);
    let batches = [sequenced(1, 0, 1, 1), sequenced(1, 0, 1, 1), sequenced(1, 0, 0, 1), sequenced(1, 0, 9, 1)];
    let results = append_all(&mut log.writer, &batches);
    for result in &results[..2] {
        let Err(error @ AppendError::NotFlushed(_)) = result else { panic!("{result:?}") };
        assert_eq!(error.code(), ErrorCode::KafkaStorageError);
        assert!(error.is_offline());
    }
    assert!(results[2].as_ref().unwrap().duplicate, "what was durable before stands");
    assert!(matches!(results[3], Err(AppendError::OutOfOrderSequence { .. })), "{:?}", results[3]);
    assert_eq!(log.reader.recovery_point(), 1);
    // A second sync would succeed, without what the first one dropped: it is not tried.
    assert!(log.writer.flush(NOW).is_err());
    assert!(log.reader.flush_closed_segments().is_ok(), "nothing is closed");
    assert!(matches!(append_all(&mut log.writer, &batches[..1]).remove(0), Err(AppendError::DirectoryOffline)));
    assert!(matches!(log.reader.read(0, 1, Offset::MAX, true), Err(ReadError::DirectoryOffline)));
    drop((log, store));
    disk.restart(1);
    let store = open_store_on(Arc::new(disk), &[Path::new(ROOT)]);
    assert_eq!(open_log(&store, &flushed_each()).reader.log_end_offset(), 1);
}

#[test]
fn a_duplicate_of_what_is_not_flushed_yet_waits_for_the_flush_too() {
    let disk = SimDisk::new();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &flushed_each());
    append(&mut log.writer, &sequenced(1, 0, 0, 1));
    // Another epoch is noted in a file of its own, for which there is no space.
    disk.fill_at(disk.operations() + 3);
    let batch = [AppendBatch { records: sequenced(1, 0, 1, 1) }];
    let mut append = || log.writer.append(&batch, LeaderEpoch(1), Origin::Client, NOW).remove(0);
    assert!(matches!(append(), Err(AppendError::NotFlushed(LogError::DiskFull))));
    assert_eq!(log.reader.log_end_offset(), 2, "readers may have seen it, so it stays");
    assert_eq!(log.reader.recovery_point(), 1);
    // There was space all the time but for that one operation.
    let info = append().unwrap();
    assert!(info.duplicate && info.base_offset == 1);
    assert_eq!(log.reader.recovery_point(), 2);
    drop((log, store));
    disk.restart(1);
    let store = open_store_on(Arc::new(disk), &[Path::new(ROOT)]);
    assert_eq!(open_log(&store, &flushed_each()).reader.log_end_offset(), 2);
}

#[test]
fn a_follower_hears_of_a_flush_that_failed() {
    let disk = SimDisk::new();
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let mut log = open_log(&store, &flushed_each());
    let records = sequenced(1, 0, 0, 1);
    // Two operations make the topic's id durable, the third creates the file, the fourth writes, the fifth syncs.
    disk.fail_at(disk.operations() + 5);
    let result = log.writer.append_as_follower(&records, NOW);
    assert!(matches!(result, Err(AppendError::NotFlushed(LogError::DirectoryOffline))), "{result:?}");
    assert_eq!((log.reader.log_end_offset(), log.reader.recovery_point()), (1, 0));
}

fn disk_size(disk: &SimDisk) -> u64 {
    use levada_log::Disk;
    disk.stat(&Path::new(ROOT).join("t-0/00000000000000000000.log")).unwrap().len
}

#[test]
fn an_io_error_takes_its_directory_offline_and_no_other() {
    let (bad, good) = (tempfile::tempdir().unwrap(), SimDisk::new());
    let store = open_store_on(Arc::new(good.clone()), &[Path::new("/a"), Path::new("/b")]);
    drop(bad);
    let mut logs: Vec<_> =
        (0..2).map(|p| store.open_log(request("t", p, &LogConfig::default()), NOW).unwrap()).collect();
    assert_ne!(logs[0].directory, logs[1].directory);
    good.fail_at(good.operations() + 1);
    // The first write creates the file.
    let result = append_all(&mut logs[0].writer, &[batch(&["lost"])]).remove(0);
    assert!(matches!(result, Err(AppendError::DirectoryOffline)), "{result:?}");
    assert!(matches!(append_all(&mut logs[0].writer, &[batch(&["x"])]).remove(0), Err(AppendError::DirectoryOffline)));
    assert!(matches!(logs[0].reader.read(0, 1, Offset::MAX, true), Err(ReadError::DirectoryOffline)));
    append(&mut logs[1].writer, &batch(&["kept"]));
    assert_eq!(read_all(&logs[1].reader).len(), 1);
    let states: Vec<_> = store.directories().iter().map(|dir| dir.state).collect();
    assert!(states.contains(&DirectoryState::Offline) && states.contains(&DirectoryState::Online));
}
