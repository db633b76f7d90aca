//! Flushes that run beside the appends.

use std::path::Path;
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{AppendBatch, DirectoryState, LogConfig, LogError, LogStore, LogWriter, OpenedLog, Origin};
use levada_types::{LeaderEpoch, Offset};

use crate::support::*;

const ROOT: &str = "/data";

fn open_on(disk: &SimDisk, config: &LogConfig) -> (LogStore, OpenedLog) {
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new(ROOT)]);
    let log = open_log(&store, config);
    (store, log)
}

fn append_each(writer: &mut LogWriter, values: &[&str], epoch: i32, now_ms: i64) {
    for value in values {
        let batches = [AppendBatch { records: batch(&[value]) }];
        writer.append(&batches, LeaderEpoch(epoch), Origin::Client, now_ms).remove(0).unwrap();
    }
}

#[test]
fn appends_go_on_while_a_flush_runs_elsewhere() {
    let disk = SimDisk::new();
    let (store, mut log) = open_on(&disk, &small_segments());
    append_each(&mut log.writer, &["a"; 20], 3, NOW);
    let ticket = log.writer.begin_flush(NOW).unwrap().unwrap();
    assert_eq!((ticket.end_offset(), log.reader.recovery_point()), (20, 0));
    append_each(&mut log.writer, &["b"; 20], 4, NOW);
    let flushed = std::thread::spawn(|| ticket.run()).join().unwrap();
    assert_eq!(flushed.recovery_point().unwrap(), 20);
    assert_eq!(log.reader.recovery_point(), 20, "readers need not wait for the writer to hear of it");
    assert_eq!(log.writer.flushed(flushed).unwrap(), 20);

    let (first, second) =
        (log.writer.begin_flush(NOW).unwrap().unwrap(), log.writer.begin_flush(NOW).unwrap().unwrap());
    assert_eq!(log.writer.flushed(second.run()).unwrap(), 40);
    assert_eq!(log.writer.flushed(first.run()).unwrap(), 40, "an older one changes nothing");
    assert!(log.writer.begin_flush(NOW).unwrap().is_none(), "everything is durable");
    let before = read_all(&log.reader);
    drop((log, store));
    disk.restart(7);
    let (_store, log) = open_on(&disk, &small_segments());
    assert_eq!(read_all(&log.reader), before);
    assert_eq!(log.reader.end_offset_for_epoch(LeaderEpoch(3)).unwrap().end_offset, 20);
}

#[test]
fn a_ticket_that_is_dropped_makes_nothing_durable() {
    let (_store, mut log) = open_on(&SimDisk::new(), &small_segments());
    append_each(&mut log.writer, &["a"; 3], 0, NOW);
    drop(log.writer.begin_flush(NOW).unwrap());
    assert_eq!(log.reader.recovery_point(), 0);
    assert_eq!(log.writer.flush(NOW).unwrap(), 3);
}

#[test]
fn what_was_truncated_since_is_not_taken_for_durable() {
    let disk = SimDisk::new();
    let (store, mut log) = open_on(&disk, &small_segments());
    append_each(&mut log.writer, &["old"; 40], 0, NOW);
    let ticket = log.writer.begin_flush(NOW).unwrap().unwrap();
    log.writer.truncate_to(10, NOW).unwrap();
    append_each(&mut log.writer, &["new"; 40], 1, NOW);
    let flushed = ticket.run();
    assert_eq!(flushed.recovery_point().unwrap(), 0);
    assert_eq!(log.writer.flushed(flushed).unwrap(), 0);
    store.checkpoint(&Default::default()).unwrap();
    drop((log, store));
    disk.restart(3);
    let (_store, log) = open_on(&disk, &small_segments());
    let left = read_all(&log.reader);
    let new = left.iter().skip(10);
    assert!(new.clone().all(|(_, value)| value == "new"), "{left:?}");
}

#[test]
fn segments_that_retention_has_removed_are_not_missed() {
    let disk = SimDisk::new();
    let config =
        LogConfig { retention_bytes: Some(0), retention_ms: None, file_delete_delay_ms: 0, ..small_segments() };
    let (store, mut log) = open_on(&disk, &config);
    append_each(&mut log.writer, &["a"; 40], 0, NOW);
    let ticket = log.writer.begin_flush(NOW).unwrap().unwrap();
    assert!(!log.writer.enforce_retention(Offset::MAX, NOW).unwrap().is_empty());
    assert!(store.purge(NOW) > 0);
    assert_eq!(log.writer.flushed(ticket.run()).unwrap(), 40);
    assert_eq!(store.directories()[0].state, DirectoryState::Online);
}

#[test]
fn a_log_that_is_given_up_has_no_flushes_any_more() {
    let disk = SimDisk::new();
    let (store, mut log) = open_on(&disk, &small_segments());
    append_each(&mut log.writer, &["a"; 20], 0, NOW);
    let early = log.writer.begin_flush(NOW).unwrap().unwrap();
    log.writer.close(NOW).unwrap();
    let mut log = open_log(&store, &small_segments());
    assert_eq!(log.reader.recovery_point(), 0, "closing alone makes nothing durable");
    assert_eq!(early.run().recovery_point().unwrap(), 0);
    append_each(&mut log.writer, &["b"], 0, NOW);

    let late = log.writer.begin_flush(NOW).unwrap().unwrap();
    let reader = log.reader.clone();
    drop(log);
    store.delete(&topic_partition("t", 0), NOW).unwrap();
    assert!(store.purge(NOW + 100_000) > 0);
    assert_eq!(late.run().recovery_point().unwrap(), 0);
    reader.flush_closed_segments().unwrap();
    assert_eq!(store.directories()[0].state, DirectoryState::Online);
}

#[test]
fn a_failed_flush_is_told_to_the_writer_and_moves_nothing() {
    let disk = SimDisk::new();
    let (_store, mut log) = open_on(&disk, &LogConfig::default());
    append_each(&mut log.writer, &["a"], 0, NOW);
    let ticket = log.writer.begin_flush(NOW).unwrap().unwrap();
    disk.drop_at(disk.operations() + 1);
    let flushed = ticket.run();
    assert!(matches!(flushed.recovery_point(), Err(LogError::DirectoryOffline)));
    assert!(matches!(log.writer.flushed(flushed), Err(LogError::DirectoryOffline)));
    assert!(matches!(log.writer.begin_flush(NOW), Err(LogError::DirectoryOffline)), "the next one would succeed");
    assert_eq!(log.reader.recovery_point(), 0);
}

#[test]
fn what_was_appended_since_the_flush_began_is_due_later() {
    let config = LogConfig { flush_ms: Some(100), ..LogConfig::default() };
    let (_store, mut log) = open_on(&SimDisk::new(), &config);
    append_each(&mut log.writer, &["a"], 0, NOW);
    let ticket = log.writer.begin_flush(NOW + 50).unwrap().unwrap();
    append_each(&mut log.writer, &["b"], 0, NOW + 60);
    log.writer.flushed(ticket.run()).unwrap();
    assert!(!log.writer.flush_if_due(NOW + 149).unwrap());
    assert!(log.writer.flush_if_due(NOW + 150).unwrap());
    assert_eq!(log.reader.recovery_point(), 2);
    assert!(!log.writer.flush_if_due(NOW + 1_000).unwrap());
}
