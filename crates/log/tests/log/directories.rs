//! Data directories: identity, placement, deletion, strays.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use levada_log::sim::SimDisk;
use levada_log::{DirectoryState, Disk, LogConfig, LogStore, OpenError, OpenLog, RealDisk, StoreError};
use levada_types::{BrokerId, ClusterId, DirectoryId, TopicIdPartition};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use uuid::Uuid;

use crate::support::*;

#[test]
fn a_directory_has_one_owner_and_keeps_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let id = store.directories()[0].id;
    let cluster = ClusterId(Uuid::from_u128(77));
    assert_eq!(store.cluster_id(), None);
    store.set_cluster_id(cluster).unwrap();
    let mut new_id = || DirectoryId(Uuid::from_u128(1));
    let second = LogStore::open(options(&[dir.path()]), Arc::new(RealDisk), &mut new_id);
    assert!(matches!(second, Err(StoreError::Locked(_))));
    drop(store);

    let store = open_store(dir.path());
    assert_eq!((store.directories()[0].id, store.cluster_id()), (id, Some(cluster)));
    let other = ClusterId(Uuid::from_u128(78));
    assert!(matches!(store.set_cluster_id(other), Err(StoreError::ForeignDirectory { key: "cluster.id", .. })));
    drop(store);
    let mut foreign = options(&[dir.path()]);
    foreign.node_id = BrokerId(2);
    let refused = LogStore::open(foreign, Arc::new(RealDisk), &mut new_id);
    assert!(matches!(refused, Err(StoreError::ForeignDirectory { key: "node.id", .. })));
}

#[test]
fn a_directory_that_kafka_has_locked_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let lock = fs::File::create(dir.path().join(".lock")).unwrap();
    // What Java's `FileChannel.tryLock` does.
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&lock, FcntlArg::F_SETLK(&whole)).unwrap();
    let mut new_id = || DirectoryId(Uuid::from_u128(1));
    let taken = LogStore::open(options(&[dir.path()]), Arc::new(RealDisk), &mut new_id);
    assert!(matches!(taken, Err(StoreError::Locked(_))), "{taken:?}");
    drop(lock);
    open_store(dir.path());
}

#[test]
fn however_the_power_goes_records_are_nobodys_but_their_topics() {
    let (mut kept, segment) = (0, Path::new("/data/t-0/00000000000000000000.log"));
    for seed in 0..100 {
        let disk = SimDisk::new();
        let store = open_store_on(Arc::new(disk.clone()), &[Path::new("/data")]);
        disk.sync_all(Path::new("/data")).unwrap();
        let mut log = open_log(&store, &LogConfig::default());
        for n in 0..5 {
            append(&mut log.writer, &batch(&[&format!("value {n}")]));
        }
        let expected = read_all(&log.reader);
        drop((log, store));
        disk.restart(seed);

        // While the broker was away the topic was deleted, and another was created under its name.
        let store = open_store_on(Arc::new(disk.clone()), &[Path::new("/data")]);
        let own = request("t", 0, &LogConfig::default());
        if disk.stat(segment).is_ok_and(|stat| stat.len > 0) {
            kept += 1;
            let partition = TopicIdPartition { topic_id: topic_id(2), partition: 0 };
            let refused = store.open_log(OpenLog { partition, ..own.clone() }, NOW).err();
            assert!(matches!(refused, Some(OpenError::InconsistentTopicId { .. })), "seed {seed}: {refused:?}");
        }
        let found = read_all(&store.open_log(own, NOW).unwrap().reader);
        assert_eq!(found, expected[..found.len()], "seed {seed}");
    }
    assert!(kept > 10);
}

#[test]
fn logs_spread_over_directories() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let store = open_store_on(Arc::new(RealDisk), &[dirs[0].path(), dirs[1].path()]);
    let mut logs: Vec<_> =
        (0..6).map(|p| store.open_log(request("t", p, &LogConfig::default()), NOW).unwrap()).collect();
    assert!(store.directories().iter().all(|dir| dir.logs == 3 && dir.state == DirectoryState::Online));
    assert!(store.directories()[0].total_bytes > 0);
    let wanted = store.directories()[1].id;
    let mut placed = request("placed", 0, &LogConfig::default());
    placed.directory = wanted;
    logs.push(store.open_log(placed.clone(), NOW).unwrap());
    assert_eq!(Some(logs[6].directory), wanted);
    assert!(dirs[1].path().join("placed-0/partition.metadata").exists());
    placed.directory = Some(DirectoryId(Uuid::from_u128(404)));
    placed.topic = levada_types::TopicName::new("nowhere").unwrap();
    assert!(matches!(store.open_log(placed, NOW), Err(OpenError::UnknownDirectory(_))));
    close(store, logs.into_iter().map(|log| log.writer).collect());
    let store = open_store_on(Arc::new(RealDisk), &[dirs[0].path(), dirs[1].path()]);
    assert_eq!(store.partitions().len(), 7);
    assert_eq!(store.clean_shutdown_epoch(), Some(5));
}

#[test]
fn a_log_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &batch(&["a"]));
    let again = || store.open_log(request("t", 0, &LogConfig::default()), NOW);
    assert!(matches!(again(), Err(OpenError::AlreadyOpen(_))));
    assert!(matches!(store.delete(&topic_partition("t", 0), NOW), Err(OpenError::AlreadyOpen(_))));
    drop(log.writer);
    let reopened = again().unwrap();
    assert_eq!(read_all(&reopened.reader).len(), 1);
}

#[test]
fn a_topic_of_the_same_name_is_another_topic() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &batch(&["old"]));
    close(store, vec![log.writer]);

    let store = open_store(dir.path());
    let found = store.partitions().remove(0);
    assert_eq!((found.topic_id, found.is_open), (Some(topic_id(1)), false));
    let mut other = request("t", 0, &LogConfig::default());
    other.partition = TopicIdPartition { topic_id: topic_id(2), partition: 0 };
    let error = store.open_log(other.clone(), NOW).unwrap_err();
    assert!(matches!(error, OpenError::InconsistentTopicId { found, .. } if found == topic_id(1)));
    store.mark_stray(&found.partition, NOW).unwrap();
    let log = store.open_log(other, NOW).unwrap();
    assert!(log.created && log.reader.log_end_offset() == 0);
    let names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with("-stray")).count(), 1);
    drop((log, store));
    assert_eq!(open_store(dir.path()).partitions().len(), 1, "a stray is left alone");
}

#[test]
fn a_deleted_log_is_removed_after_its_delay_or_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let delayed = |store: &LogStore| {
        let mut log = open_log(store, &LogConfig { file_delete_delay_ms: 500, ..LogConfig::default() });
        append(&mut log.writer, &batch(&["a"]));
        drop(log);
        store.delete(&topic_partition("t", 0), NOW).unwrap();
    };
    let dirs = || fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count();
    delayed(&store);
    assert_eq!((store.purge(NOW + 499), dirs()), (0, 1));
    assert_eq!((store.purge(NOW + 500), dirs()), (1, 0));
    delayed(&store);
    assert!(matches!(store.delete(&topic_partition("t", 0), NOW), Err(OpenError::NotFound(_))));
    drop(store);
    let store = open_store(dir.path());
    assert!(store.partitions().is_empty());
    assert_eq!((store.purge(0), dirs()), (1, 0));
}

#[test]
fn one_directory_that_cannot_be_used_does_not_stop_the_others() {
    let good = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let store = open_store_on(Arc::new(RealDisk), &[file.path(), good.path()]);
    let directories = store.directories();
    assert_eq!((directories[0].state, directories[0].id), (DirectoryState::Offline, None));
    assert_eq!(directories[1].state, DirectoryState::Online);
    assert_eq!(open_log(&store, &LogConfig::default()).directory, directories[1].id.unwrap());
    drop(store);
    let mut new_id = || DirectoryId(Uuid::from_u128(1));
    let none = LogStore::open(options(&[file.path()]), Arc::new(RealDisk), &mut new_id);
    assert!(matches!(none, Err(StoreError::AllOffline)));
}

#[test]
fn checkpoints_keep_high_watermarks() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &batch(&["a", "b"]));
    store.checkpoint(&[(topic_partition("t", 0), 2)].into()).unwrap();
    drop((log, store));
    let text = fs::read_to_string(dir.path().join("replication-offset-checkpoint")).unwrap();
    assert_eq!(text, "0\n1\nt 0 2\n");
    assert_eq!(open_store(dir.path()).high_watermark(&topic_partition("t", 0)), Some(2));
}

#[test]
fn a_directory_that_is_replaced_while_in_use_goes_offline_and_does_not_stop_the_others() {
    let home = tempfile::tempdir().unwrap();
    let (a, b) = (home.path().join("a"), home.path().join("b"));
    let store = open_store_on(Arc::new(RealDisk), &[&a, &b]);
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    store.on_state_change(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let ids: Vec<_> = store.directories().iter().map(|dir| dir.id).collect();
    let mut placed = request("t", 0, &LogConfig::default());
    placed.directory = ids[0];
    let log = store.open_log(placed.clone(), NOW).unwrap();

    store.probe(NOW);
    assert_eq!(told.load(Ordering::Relaxed), 0);
    fs::rename(&a, home.path().join("elsewhere")).unwrap();
    fs::create_dir(&a).unwrap();
    store.probe(NOW);
    let states = || store.directories().iter().map(|dir| dir.state).collect::<Vec<_>>();
    assert_eq!(states(), [DirectoryState::Offline, DirectoryState::Online]);
    store.probe(NOW);
    assert_eq!(told.load(Ordering::Relaxed), 1, "once for each change");

    // The topic is deleted, and another one of its name comes to live in the other directory.
    drop(log);
    assert!(matches!(store.delete(&topic_partition("t", 0), NOW), Err(OpenError::DirectoryOffline)));
    placed.partition.topic_id = topic_id(99);
    placed.directory = None;
    let log = store.open_log(placed, NOW).unwrap();
    assert_eq!((Some(log.directory), log.created), (ids[1], true));
}

#[test]
fn a_topic_that_is_created_again_owes_nothing_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    for _ in 0..30 {
        append(&mut log.writer, &batch(&["old"]));
    }
    log.writer.flush(NOW).unwrap();
    log.writer.advance_log_start(20).unwrap();
    let partition = topic_partition("t", 0);
    store.checkpoint(&[(partition.clone(), 30)].into()).unwrap();
    drop(log);
    store.delete(&partition, NOW).unwrap();
    let mut again = request("t", 0, &LogConfig::default());
    again.partition.topic_id = topic_id(2);
    let mut log = store.open_log(again.clone(), NOW).unwrap();
    append(&mut log.writer, &batch(&["new"]));
    drop((log, store));

    let store = open_store(dir.path());
    assert_eq!(store.high_watermark(&partition), Some(0));
    let log = store.open_log(again, NOW).unwrap();
    assert_eq!((log.reader.log_start_offset(), log.reader.recovery_point()), (0, 0));
    assert_eq!(read_all(&log.reader), [(0, "new".to_owned())]);
}

#[test]
fn what_takes_the_place_of_committed_records_is_not_noted_as_committed() {
    let dir = tempfile::tempdir().unwrap();
    let partition = topic_partition("t", 0);
    let noted = |store: &LogStore| store.high_watermark(&partition);
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    for _ in 0..5 {
        append(&mut log.writer, &batch(&["old"]));
    }
    store.checkpoint(&[(partition.clone(), 4)].into()).unwrap();
    log.writer.truncate_to(2, NOW).unwrap();
    drop((log, store));

    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    assert_eq!((log.reader.log_end_offset(), noted(&store)), (2, Some(4)), "the loss can be seen");
    for _ in 0..5 {
        append(&mut log.writer, &batch(&["new"]));
    }
    assert_eq!(noted(&store), Some(2));
    store.checkpoint(&[].into()).unwrap();
    drop((log, store));
    assert_eq!(noted(&open_store(dir.path())), Some(2));
}
