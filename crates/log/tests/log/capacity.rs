//! Many logs cost little.

use levada_log::{LogConfig, RecoveryProgress};

use crate::support::*;

/// Logs in this test: several times as many as descriptors are allowed.
const LOGS: i32 = 600;

/// The files that [`options`] allows the pool, and what the process itself has open: the directory's lock, standard
/// streams, and those of tests that run beside this one.
const MOST_DESCRIPTORS: usize = 200;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn descriptors_do_not_grow_with_logs() {
    let dir = tempfile::tempdir().unwrap();
    let requests = || (0..LOGS).map(|partition| request("many", partition, &LogConfig::default())).collect();
    let store = open_store(dir.path());
    let mut writers = Vec::new();
    for (_, opened) in store.open_logs(requests(), NOW, &RecoveryProgress::default()) {
        let mut log = opened.unwrap();
        assert!(log.created);
        append(&mut log.writer, &batch(&["a", "b"]));
        writers.push(log.writer);
    }
    assert!(descriptors() < MOST_DESCRIPTORS, "{} descriptors", descriptors());
    close(store, writers);

    let store = open_store(dir.path());
    let progress = RecoveryProgress::default();
    let opened = store.open_logs(requests(), NOW, &progress);
    assert_eq!((progress.logs_done(), progress.bytes_total()), (LOGS as u64, 0));
    assert!(descriptors() < MOST_DESCRIPTORS, "{} descriptors", descriptors());
    for (_, log) in opened {
        let log = log.unwrap();
        assert_eq!(read_all(&log.reader).len(), 2);
    }
    assert!(descriptors() < MOST_DESCRIPTORS, "{} descriptors", descriptors());
}
