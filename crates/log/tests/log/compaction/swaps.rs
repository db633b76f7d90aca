//! A cleaned segment takes the place of others: or does not, if the log has changed; and whatever stops it half-way, the log
//! that is opened then is whole.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{
    CleanError, CleanedSegment, Cleaner, CleanerOptions, CleaningSnapshot, Disk, Guide, LogError, LogStore, OpenedLog,
};
use levada_types::Offset;

use super::support::*;
use crate::support::{NOW, open_log, open_store, open_store_on};

/// Keeps what it is handed.
#[derive(Default)]
struct Kept(Vec<CleanedSegment>);

impl Guide for Kept {
    fn spend(&mut self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn swap(&mut self, cleaned: CleanedSegment) -> Result<(), CleanError> {
        self.0.push(cleaned);
        Ok(())
    }
}

fn begin(log: &OpenedLog) -> (CleaningSnapshot, Vec<CleanedSegment>) {
    log.reader.flush_closed_segments().unwrap();
    let snapshot = log.writer.begin_cleaning().unwrap();
    let what = snapshot.cleanable(&compacted(), Offset::MAX, NOW).unwrap();
    let options = CleanerOptions { dedupe_buffer_bytes: 1 << 20, load_factor: 0.9, io_buffer_bytes: 1 << 17 };
    let mut kept = Kept::default();
    Cleaner::new(options).clean(&snapshot, &what, &compacted(), NOW, &mut kept).unwrap();
    (snapshot, kept.0)
}

/// A log whose keys were overwritten again and again.
fn overwritten(log: &mut OpenedLog) {
    for i in 0..60 {
        put(log, &[(&format!("k{}", i % 5), Some(&format!("value {i}")))]);
    }
    log.writer.roll(NOW).unwrap();
    put(log, &[("last", Some("x"))]);
}

#[test]
fn a_log_that_has_changed_takes_nothing() {
    let changes: [fn(&mut OpenedLog); 3] = [
        |log| assert!(log.writer.truncate_to(60, NOW).unwrap()),
        |log| assert!(log.writer.truncate_to(20, NOW).unwrap()),
        |log| {
            log.writer.advance_log_start(40).unwrap();
            assert!(!log.writer.enforce_retention(Offset::MAX, NOW).unwrap().is_empty());
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &compacted());
        overwritten(&mut log);
        let (_, cleaned) = begin(&log);
        assert!(cleaned.len() > 3);
        change(&mut log);
        let before = offsets(&log.reader);
        let mut swaps = cleaned.into_iter().map(|cleaned| log.writer.swap(cleaned, NOW).unwrap());
        assert!(!swaps.next().unwrap(), "change {number}");
        drop(swaps);
        assert_eq!(offsets(&log.reader), before, "change {number}");
        assert_eq!(files_with(dir.path(), ".cleaned"), 0, "change {number}");
    }
}

#[test]
fn a_log_that_was_opened_anew_takes_nothing_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    overwritten(&mut log);
    let (snapshot, cleaned) = begin(&log);
    drop(log);
    let mut log = open_log(&store, &compacted());
    let before = offsets(&log.reader);
    for cleaned in cleaned {
        assert!(!log.writer.swap(cleaned, NOW).unwrap());
    }
    log.writer.truncate_to(1, NOW).unwrap();
    snapshot.finish(60);
    assert_eq!(log.reader.cleanable(&compacted(), Offset::MAX, NOW).unwrap().first_dirty, 1);
    assert_eq!(offsets(&log.reader), before[..1]);
}

#[test]
fn a_reader_that_came_before_goes_on_with_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    overwritten(&mut log);
    for _ in 0..3 {
        // Another cleaning replaces the same segments, before the files of the first are removed.
        dirty(&mut log);
        let (_, cleaned) = begin(&log);
        let slices: Vec<_> = (0..60).map(|at| log.reader.read(at, 200, Offset::MAX, true).unwrap().slice).collect();
        let before: Vec<_> = slices.iter().map(|slice| slice.to_bytes().unwrap()).collect();
        for cleaned in cleaned {
            assert!(log.writer.swap(cleaned, NOW).unwrap());
        }
        store.purge(NOW + 1_000_000);
        let after: Vec<_> = slices.iter().map(|slice| slice.to_bytes().unwrap()).collect();
        assert_eq!(after, before);
    }
    assert_eq!(files_with(dir.path(), ".deleted"), 0);
}

fn open_on(disk: &SimDisk) -> (LogStore, OpenedLog) {
    let store = open_store_on(Arc::new(disk.clone()), &[Path::new("/d")]);
    let log = open_log(&store, &compacted());
    (store, log)
}

/// A log on a simulated disk, and what is to be found in it before and after a cleaning.
fn prepared() -> (SimDisk, LogStore, OpenedLog) {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.sync_all(Path::new("/d")).unwrap();
    let (store, mut log) = open_on(&disk);
    transact(&mut log, 7, 0, &[("k1", Some("aborted"))]);
    overwritten(&mut log);
    end_transaction(&mut log, 7, false);
    overwritten(&mut log);
    log.writer.flush(NOW).unwrap();
    (disk, store, log)
}

/// What stops a cleaning.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Kill,
    PowerLoss,
    IoError,
    NoSpace,
}

#[test]
fn whatever_stops_a_cleaning_the_log_is_whole() {
    let operations = {
        let (disk, _store, mut log) = prepared();
        let before = disk.operations();
        clean(&mut log, &compacted(), NOW).unwrap();
        disk.operations() - before
    };
    assert!(operations > 100, "{operations}");
    for stop in [Stop::Kill, Stop::PowerLoss, Stop::IoError, Stop::NoSpace] {
        for operation in 1..=operations {
            interrupted(stop, operation);
        }
    }
}

fn interrupted(stop: Stop, operation: u64) {
    let (disk, store, mut log) = prepared();
    let (all, producers) = (read_keyed(&log.reader), log.writer.active_producers());
    let at = disk.operations() + operation;
    match stop {
        Stop::Kill | Stop::PowerLoss => disk.crash_at(at),
        Stop::IoError => disk.fail_at(at),
        Stop::NoSpace => disk.fill_at(at),
    }
    let cleaned = clean(&mut log, &compacted(), NOW);
    if let (Stop::NoSpace, Err(error)) = (stop, &cleaned) {
        let is_closed = matches!(log.writer.flush(NOW), Err(LogError::Closed));
        assert!(matches!(error, CleanError::Io { .. } | CleanError::Log(_)), "{error}");
        if !is_closed {
            assert_is_left_of(&read_keyed(&log.reader), &all, (stop, operation));
        }
    }
    drop((log, store));
    match stop {
        Stop::PowerLoss => disk.restart(operation),
        Stop::Kill | Stop::IoError | Stop::NoSpace => disk.restart_process(),
    }
    let (store, mut log) = open_on(&disk);
    let found = read_keyed(&log.reader);
    assert_is_left_of(&found, &all, (stop, operation));
    assert_eq!(log.writer.active_producers(), producers, "{stop:?} at {operation}");
    let names: Vec<_> = disk.list(Path::new("/d/t-0")).unwrap().into_iter().map(|entry| entry.name).collect();
    let is_left = |name: &&String| name.ends_with(".cleaned") || name.ends_with(".swap") || name.ends_with(".deleted");
    assert_eq!(names.iter().find(is_left), None, "{stop:?} at {operation}");

    // It can be cleaned, and stays what it is then.
    clean(&mut log, &compacted(), NOW).unwrap();
    let cleaned = read_keyed(&log.reader);
    // The newest of one key lies in the active segment, which nobody looks at.
    assert_eq!(cleaned.iter().map(|record| record.offset).collect::<Vec<_>>(), [61, 118, 119, 120, 121, 122, 123]);
    put(&mut log, &[("another", Some("x"))]);
    drop((log, store));
    disk.restart_process();
    let (_store, log) = open_on(&disk);
    let reopened = read_keyed(&log.reader);
    assert_eq!(reopened[..cleaned.len()], cleaned, "{stop:?} at {operation}");
    assert_eq!(reopened.len(), cleaned.len() + 1);
}

/// Whether these are records of the log in their order, with the newest of each key among them.
fn assert_is_left_of(found: &[Keyed], all: &[Keyed], what: (Stop, u64)) {
    assert!(found.windows(2).all(|two| two[0].offset < two[1].offset), "{what:?}");
    assert!(found.iter().all(|record| all.contains(record)), "{what:?}");
    let is_aborted = |record: &&Keyed| record.value.as_deref() == Some("aborted");
    for record in all.iter().filter(|record| !is_aborted(record)) {
        let newest = all.iter().filter(|other| !is_aborted(other)).rfind(|other| other.key == record.key).unwrap();
        assert!(found.contains(newest), "{what:?} has lost {newest:?}");
    }
}
