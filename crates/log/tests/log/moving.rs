//! Moving a log to another data directory, and crashes on the way.

use std::path::Path;
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{LogConfig, LogReader, LogStore, LogWriter, OpenError, OpenLog, OpenedLog, PromotionError};
use levada_types::{DirectoryId, Offset, TopicIdPartition};

use crate::support::*;

const A: &str = "/a";
const B: &str = "/b";

fn open_both(disk: &SimDisk) -> LogStore {
    open_store_on(Arc::new(disk.clone()), &[Path::new(A), Path::new(B)])
}

fn directory(store: &LogStore, path: &str) -> Option<DirectoryId> {
    store.directories().into_iter().find(|directory| directory.path == Path::new(path)).unwrap().id
}

fn in_directory(store: &LogStore, path: &str) -> OpenLog {
    OpenLog { directory: directory(store, path), ..request("t", 0, &small_segments()) }
}

fn id() -> TopicIdPartition {
    request("t", 0, &LogConfig::default()).partition
}

fn copy(from: &LogReader, to: &mut LogWriter) {
    if to.log_end_offset() < from.log_start_offset() {
        to.truncate_fully_and_start_at(from.log_start_offset(), NOW).unwrap();
    }
    while to.log_end_offset() < from.log_end_offset() {
        let read = from.read(to.log_end_offset(), 300, Offset::MAX, true).unwrap();
        to.append_as_follower(&read.slice.to_bytes().unwrap(), NOW).unwrap();
    }
}

/// The names in a directory that are those of logs, whatever their suffix.
fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    let entries = levada_log::Disk::list(disk, Path::new(dir)).unwrap();
    entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect()
}

#[test]
fn a_log_takes_its_records_its_start_and_its_high_watermark_along() {
    let disk = SimDisk::new();
    let store = open_both(&disk);
    let OpenedLog { mut writer, reader, .. } = store.open_log(in_directory(&store, A), NOW).unwrap();
    for n in 0..20 {
        append(&mut writer, &batch(&[&format!("value {n}"), "more"]));
    }
    writer.advance_log_start(7).unwrap();
    assert!(matches!(store.open_future(in_directory(&store, A), NOW), Err(OpenError::AlreadyOpen(_))));
    let mut future = store.open_future(in_directory(&store, B), NOW).unwrap();
    assert!(future.created && names(&disk, B).iter().all(|name| name.ends_with("-future")));
    copy(&reader, &mut future.writer);
    future.writer.advance_log_start(7).unwrap();
    assert!(matches!(store.promote_future(id(), 30, NOW), Err(PromotionError::NotDone(_))), "both are open");
    let expected = read_all(&reader);
    drop(writer);
    future.writer.flush(NOW).unwrap();
    future.writer.close(NOW).unwrap();
    store.promote_future(id(), 30, NOW).unwrap();
    assert_eq!(names(&disk, B), ["t-0"]);
    assert!(names(&disk, A).iter().all(|name| name.ends_with("-delete")));

    // Before any other checkpoint the power goes.
    drop(store);
    disk.restart(1);
    let store = open_both(&disk);
    assert_eq!(store.high_watermark(&topic_partition("t", 0)), Some(30));
    let opened = store.open_log(in_directory(&store, A), NOW).unwrap();
    assert_eq!(Some(opened.directory), directory(&store, B));
    assert_eq!((opened.reader.log_start_offset(), read_all(&opened.reader)), (7, expected));
}

#[test]
fn a_move_is_called_off_and_begun_again() {
    let disk = SimDisk::new();
    let store = open_both(&disk);
    let mut log = store.open_log(in_directory(&store, A), NOW).unwrap();
    append(&mut log.writer, &batch(&["a"]));
    let mut future = store.open_future(in_directory(&store, B), NOW).unwrap();
    copy(&log.reader, &mut future.writer);
    assert!(matches!(store.discard_future(id(), NOW), Err(OpenError::AlreadyOpen(_))));
    drop(future);
    store.discard_future(id(), NOW).unwrap();
    store.discard_future(id(), NOW).unwrap();
    assert!(names(&disk, B).iter().all(|name| name.ends_with("-delete")));
    store.purge(NOW);
    assert_eq!(names(&disk, B), [""; 0]);
    assert_eq!(store.directories()[1].logs, 0);
    let future = store.open_future(in_directory(&store, B), NOW).unwrap();
    assert_eq!((future.created, future.reader.log_end_offset()), (true, 0));
    append(&mut log.writer, &batch(&["b"]));
    assert_eq!(read_all(&log.reader).len(), 2);
}

#[test]
fn a_move_goes_on_after_a_restart() {
    let disk = SimDisk::new();
    let store = open_both(&disk);
    let mut log = store.open_log(in_directory(&store, A), NOW).unwrap();
    append(&mut log.writer, &batch(&["a", "b"]));
    let mut future = store.open_future(in_directory(&store, B), NOW).unwrap();
    copy(&log.reader, &mut future.writer);
    drop((log, future, store));
    disk.restart_process();
    let store = open_both(&disk);
    assert_eq!(store.found_futures(), [(id(), directory(&store, B).unwrap())]);
    let log = store.open_log(in_directory(&store, A), NOW).unwrap();
    let future = store.open_future(in_directory(&store, B), NOW).unwrap();
    assert_eq!((future.created, future.reader.log_end_offset()), (false, 2));
    assert_eq!(store.found_futures(), []);
    assert_eq!(read_all(&future.reader), read_all(&log.reader));
}

/// Moves the log while the disk does what it was told to. `None` where it stopped; else what the promotion said.
fn move_it(store: &LogStore, reader: &LogReader, log: LogWriter) -> Option<Result<(), PromotionError>> {
    let mut future = store.open_future(in_directory(store, B), NOW).ok()?;
    while future.writer.log_end_offset() < reader.log_end_offset() {
        let read = reader.read(future.writer.log_end_offset(), 300, Offset::MAX, true).ok()?;
        future.writer.append_as_follower(&read.slice.to_bytes().ok()?, NOW).ok()?;
    }
    drop(log);
    future.writer.flush(NOW).ok()?;
    future.writer.close(NOW).ok()?;
    Some(store.promote_future(id(), 0, NOW))
}

/// Everything is there, once, and stays so however the power goes afterwards.
fn check(disk: &SimDisk, expected: &[(Offset, String)], wanted: &str, seed: u64, context: &str) {
    let store = open_both(disk);
    let mut log =
        store.open_log(in_directory(&store, wanted), NOW).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(read_all(&log.reader), expected, "{context}");
    // What is written now is not lost to the other one, should there be two.
    append(&mut log.writer, &batch(&["later"]));
    log.writer.flush(NOW).unwrap();
    drop((log, store));
    disk.restart(seed);
    for wanted in [A, B] {
        let store = open_both(disk);
        let log = store.open_log(in_directory(&store, wanted), NOW).unwrap();
        let found = read_all(&log.reader);
        assert_eq!(
            found.split_last().map(|(last, rest)| (last.1.as_str(), rest)),
            Some(("later", expected)),
            "{context}"
        );
        let logs = [A, B].iter().flat_map(|dir| names(disk, dir)).filter(|name| name == "t-0").count();
        assert_eq!(logs, 1, "{context}");
    }
}

/// A log in `A` with flushed records, and what happens when it is moved while the disk does what `faults` tells it.
struct Moved {
    disk: SimDisk,
    store: LogStore,
    expected: Vec<(Offset, String)>,
    outcome: Option<Result<(), PromotionError>>,
}

impl Moved {
    fn new(faults: impl Fn(&SimDisk, u64)) -> Self {
        let disk = SimDisk::new();
        let store = open_both(&disk);
        let mut log = store.open_log(in_directory(&store, A), NOW).unwrap();
        for n in 0..12 {
            append(&mut log.writer, &batch(&[&format!("value {n}"), "more"]));
        }
        log.writer.flush(NOW).unwrap();
        let expected = read_all(&log.reader);
        faults(&disk, disk.operations());
        let outcome = move_it(&store, &log.reader, log.writer);
        Self { disk, store, expected, outcome }
    }
}

#[test]
fn whenever_the_power_goes_there_is_one_log_with_everything() {
    for crash in 1.. {
        let mut is_over = false;
        for (number, wanted) in [A, B, A, B].into_iter().enumerate() {
            let Moved { disk, store, expected, outcome } = Moved::new(|disk, now| disk.crash_at(now + crash));
            is_over = !disk.has_crashed();
            assert_eq!(matches!(outcome, Some(Ok(()))), is_over);
            drop(store);
            let seed = crash + 1_000 * number as u64;
            disk.restart(seed);
            check(&disk, &expected, wanted, seed, &format!("crash at {crash}, {wanted} is wanted, seed {seed}"));
        }
        if is_over {
            break;
        }
    }
}

#[test]
fn whatever_operation_fails_there_is_one_log_with_everything() {
    for failing in 1.. {
        let mut last = 0;
        let Moved { disk, store, expected, outcome } = Moved::new(|disk, now| disk.fail_at(now + failing));
        let context = format!("operation {failing} failed");
        match (&outcome, store.open_log(in_directory(&store, A), NOW)) {
            (Some(Ok(())) | None | Some(Err(PromotionError::NotDone(_))), Ok(log)) => {
                assert_eq!(read_all(&log.reader), expected, "{context}");
                last = u64::from(matches!(outcome, Some(Ok(()))));
            }
            (Some(Err(PromotionError::Stuck(_))), Err(_)) => {}
            (outcome, reopened) => panic!("{context}: {outcome:?}, and then {reopened:?}"),
        }
        drop(store);
        disk.restart(failing);
        check(&disk, &expected, A, failing, &context);
        if last == 1 {
            assert!(failing > 10);
            break;
        }
    }
}
