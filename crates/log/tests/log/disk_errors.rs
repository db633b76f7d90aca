//! Full and failing disks.

use std::path::Path;
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{AppendError, DirectoryState, LogConfig, OpenError, ReadError};
use levada_types::Offset;

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
    let request: Vec<_> = batches.iter().map(|records| levada_log::AppendBatch { records: records.clone() }).collect();
    let results = log.writer.append(&request, levada_types::LeaderEpoch(0), levada_log::Origin::Client, later);
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
    // The first operation creates the file, the second writes the first batch, as the second needs a segment of its own.
    disk.fill_at(disk.operations() + 2);
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
