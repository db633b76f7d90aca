//! What compaction leaves of a log, and what it leaves alone.

mod histories;
mod replicas;
mod support;
mod swaps;

use std::collections::HashSet;

use levada_log::{CleanError, LogConfig};
use levada_records::Compression;
use levada_types::{LeaderEpoch, Offset};

use self::support::*;
use crate::support::{NOW, close, open_log, open_store};

#[test]
fn of_each_key_the_newest_record_stays_at_its_offset() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    put(&mut log, &[("A", Some("1")), ("B", Some("2")), ("A", Some("3")), ("C", Some("4")), ("B", None)]);
    let expected = [keyed(2, "A", Some("3")), keyed(3, "C", Some("4")), keyed(4, "B", None)];

    assert!(!log.reader.cleanable(&compacted(), Offset::MAX, NOW).unwrap().is_due(), "the active segment stays");
    log.writer.roll(NOW).unwrap();
    clean(&mut log, &compacted(), NOW).unwrap();
    assert_eq!(read_keyed(&log.reader), expected);
    assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (0, 5));

    // The tombstone stays for delete.retention.ms from then on, and goes with the next cleaning.
    let retention = compacted().delete_retention_ms;
    for (now, expected) in [(NOW + retention - 1, &expected[..]), (NOW + retention, &expected[..2])] {
        dirty(&mut log);
        clean(&mut log, &compacted(), now).unwrap();
        let kept: Vec<_> = read_keyed(&log.reader).into_iter().filter(|record| record.offset < 5).collect();
        assert_eq!(kept, expected);
    }
    let before = read_keyed(&log.reader);
    close(store, vec![log.writer]);
    let store = open_store(dir.path());
    assert_eq!(read_keyed(&open_log(&store, &compacted()).reader), before);
}

#[test]
fn a_reader_finds_its_way_over_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    for i in 0..200 {
        put_at(&mut log, NOW + i, &[(&format!("k{}", i % 7), Some(&format!("value {i}")))]);
    }
    log.writer.roll(NOW).unwrap();
    let (segments, bytes) = (log.reader.segment_count(), log.reader.size_bytes());
    let slice = log.reader.read(0, 300, Offset::MAX, true).unwrap().slice;
    let held = slice.to_bytes().unwrap();
    let cleaned = clean(&mut log, &compacted(), NOW).unwrap();
    assert!(segments > 5 && log.reader.size_bytes() < bytes / 5);
    assert_eq!((cleaned.end, cleaned.stats.records_before, cleaned.stats.records_after), (200, 200, 7));
    assert_eq!(slice.to_bytes().unwrap(), held, "what was read stays");
    store.purge(NOW + 1_000_000);
    assert_eq!(slice.to_bytes().unwrap(), held);

    for from in 0..200 {
        let expected = from.max(193);
        let info = log.reader.read(from, 1 << 20, Offset::MAX, true).unwrap();
        let first = batches_of(&info.slice).into_iter().find(|batch| batch.last_offset() >= from).unwrap();
        assert!(first.base_offset <= expected, "{from}");
        assert!(info.next_offset > from);
        let found = log.reader.offset_for_timestamp(NOW + from, Offset::MAX).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp), (expected, NOW + expected));
    }
    // What is left of many segments fits into few.
    dirty(&mut log);
    clean(&mut log, &compacted(), NOW).unwrap();
    assert!(log.reader.segment_count() <= 4, "{}", log.reader.segment_count());
    assert_eq!(offsets(&log.reader), (193..201).collect::<Vec<_>>());
}

#[test]
fn what_is_not_committed_not_durable_or_too_young_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { min_compaction_lag_ms: 1_000, ..compacted() };
    let mut log = open_log(&store, &config);
    for i in 0..4 {
        put_at(&mut log, NOW + i * 1_000, &[("a", Some("x"))]);
        log.writer.roll(NOW).unwrap();
    }
    let end = |log: &levada_log::OpenedLog, stable, now| log.reader.cleanable(&config, stable, now).unwrap().end;
    assert_eq!(end(&log, Offset::MAX, NOW + 9_000), 0, "nothing is flushed");
    log.reader.flush_closed_segments().unwrap();
    assert_eq!(end(&log, Offset::MAX, NOW + 9_000), 4);
    assert_eq!(end(&log, 3, NOW + 9_000), 3);
    assert_eq!(end(&log, 0, NOW + 9_000), 0);
    assert_eq!(end(&log, Offset::MAX, NOW + 2_999), 2, "the third is as old as it must be a millisecond later");
    assert_eq!(end(&log, Offset::MAX, NOW + 3_000), 3);
    clean_up_to(&mut log, &config, 2, NOW + 9_000).unwrap();
    assert_eq!(offsets(&log.reader), [1, 2, 3]);
}

#[test]
fn a_log_is_due_when_enough_of_it_is_new_or_a_record_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { max_compaction_lag_ms: Some(5_000), ..compacted() };
    let mut log = open_log(&store, &config);
    put(&mut log, &[("a", Some("x")), ("b", Some("y")), ("c", Some("z"))]);
    log.writer.roll(NOW).unwrap();
    clean(&mut log, &config, NOW).unwrap();
    let due = |log: &levada_log::OpenedLog, now| {
        log.reader.flush_closed_segments().unwrap();
        let found = log.reader.cleanable(&config, Offset::MAX, now).unwrap();
        (found.is_due(), found.overdue_since_ms)
    };
    assert_eq!(due(&log, NOW + 60_000), (false, None), "nothing is new");
    put(&mut log, &[("a", Some("x"))]);
    log.writer.roll(NOW).unwrap();
    assert_eq!(due(&log, NOW + 5_000), (false, None));
    assert_eq!(due(&log, NOW + 5_001), (true, Some(NOW + 5_000)));
    put(&mut log, &[("a", Some("a longer record, which makes more than a half of the log new"))]);
    log.writer.roll(NOW).unwrap();
    assert_eq!(due(&log, NOW), (true, None));
}

#[test]
fn the_active_segment_is_closed_in_time_to_be_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { max_compaction_lag_ms: Some(5_000), ..compacted() };
    let mut log = open_log(&store, &config);
    put(&mut log, &[("a", Some("x"))]);
    assert!(!log.writer.roll_if_due(NOW + 5_000).unwrap());
    assert!(log.writer.roll_if_due(NOW + 5_001).unwrap());
    log.writer.update_config(LogConfig { compacted: false, ..config });
    put(&mut log, &[("a", Some("x"))]);
    assert!(!log.writer.roll_if_due(NOW + 60_000).unwrap());
}

#[test]
fn keys_that_do_not_fit_the_memory_are_left_for_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { segment_bytes: 1 << 20, ..compacted() };
    let mut log = open_log(&store, &config);
    // The least memory holds about two thousand keys.
    for i in 0..6_000i64 {
        put(&mut log, &[(&format!("k{}", i % 5_000), Some("v"))]);
    }
    log.writer.roll(NOW).unwrap();
    let mut ends = vec![0];
    while *ends.last().unwrap() < 6_000 {
        let cleaned = clean_within(&mut log, &config, 0, NOW).unwrap();
        assert!(cleaned.end > *ends.last().unwrap());
        ends.push(cleaned.end);
        let left: HashSet<_> = offsets(&log.reader).into_iter().collect();
        assert!((1_000..6_000).all(|offset| left.contains(&offset)));
    }
    assert!(ends.len() > 3, "{ends:?}");
    assert_eq!(offsets(&log.reader), (1_000..6_000).collect::<Vec<_>>());
}

#[test]
fn segments_whose_offsets_lie_too_far_apart_stay_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { segment_bytes: 1 << 20, ..compacted() };
    let mut log = open_log(&store, &config);
    let far = i64::from(i32::MAX);
    // As a follower has them whose leader has compacted. An index knows offsets by their distance from the segment's base.
    for offset in [0, 1, far - 1, far, far + 1] {
        copy_to(&mut log, offset, "a", "x");
        log.writer.roll(NOW).unwrap();
    }
    let cleaned = clean(&mut log, &config, NOW).unwrap();
    assert_eq!((cleaned.stats.segments_before, cleaned.stats.segments_after), (5, 2));
    assert_eq!(offsets(&log.reader), [far + 1]);
    let read = log.reader.read(0, 1 << 20, Offset::MAX, true).unwrap();
    assert_eq!(read.next_offset, far, "where the first one ends");
    close(store, vec![log.writer]);
    let store = open_store(dir.path());
    assert_eq!(offsets(&open_log(&store, &config).reader), [far + 1]);
}

#[test]
fn who_wants_records_gets_some_wherever_there_are_any() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    // Each batch has a segment to itself.
    let config = LogConfig { segment_bytes: 100, ..compacted() };
    let mut log = open_log(&store, &config);
    for key in ["a", "a", "b", "a", "b", "c"] {
        put(&mut log, &[(key, Some("x"))]);
    }
    clean(&mut log, &config, NOW).unwrap();
    assert_eq!(
        read_batches(&log.reader).iter().map(|batch| batch.records_count).collect::<Vec<_>>(),
        [0, 0, 0, 1, 1, 1]
    );
    let read = |from, bound| {
        let info = log.reader.read_records(from, 1 << 20, bound, true).unwrap();
        (batches_of(&info.slice).iter().map(|batch| batch.base_offset).collect::<Vec<_>>(), info.next_offset)
    };
    for from in 0..4 {
        assert_eq!(read(from, Offset::MAX), (vec![3], 4), "from {from}");
    }
    assert_eq!((read(4, Offset::MAX), read(6, Offset::MAX)), ((vec![4], 5), (vec![], 6)));
    // Nothing else is visible: then a reader gets on with what there is.
    assert_eq!((read(1, 3), read(2, 3), read(3, 3)), ((vec![1], 2), (vec![2], 3), (vec![], 3)));
}

#[test]
fn a_batch_of_any_size_and_codec_is_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { segment_bytes: 4 << 20, ..compacted() };
    let mut log = open_log(&store, &config);
    let large = "x".repeat(300_000);
    for compression in Compression::ALL {
        for i in 0..3 {
            let key = format!("{} {i}", compression.name());
            put_compressed(&mut log, compression, &[("same", Some(&large)), (&key, Some(&large)), ("gone", None)]);
        }
    }
    log.writer.roll(NOW).unwrap();
    clean(&mut log, &config, NOW).unwrap();
    let left = read_keyed(&log.reader);
    assert_eq!(left.len(), 3 * 5 + 2);
    assert_eq!(left.iter().map(|record| record.offset).max(), Some(44));
    for batch in read_batches(&log.reader) {
        let number = usize::try_from(batch.base_offset / 9).unwrap();
        assert_eq!(batch.compression().unwrap(), Compression::ALL[number], "{batch:?}");
    }
}

#[test]
fn records_without_a_key_from_earlier_times_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig { compacted: false, ..compacted() });
    put_keyless(&mut log, 3);
    put(&mut log, &[("a", Some("x"))]);
    log.writer.roll(NOW).unwrap();
    log.writer.update_config(compacted());
    let cleaned = clean(&mut log, &compacted(), NOW).unwrap();
    assert_eq!(cleaned.stats.records_without_key, 3);
    assert_eq!(offsets(&log.reader), [3]);
}

#[test]
fn aborted_records_go_and_their_marker_after_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { producer_id_expiration_ms: 10, ..compacted() };
    let mut log = open_log(&store, &config);
    put(&mut log, &[("a", Some("old"))]);
    transact(&mut log, 7, 0, &[("a", Some("aborted"))]);
    transact(&mut log, 8, 0, &[("b", Some("committed"))]);
    end_transaction(&mut log, 7, false);
    end_transaction(&mut log, 8, true);
    put(&mut log, &[("c", Some("x"))]);
    log.writer.roll(NOW).unwrap();
    // The producers are known: their last batches stay, and with them the markers.
    clean(&mut log, &config, NOW).unwrap();
    let placed = |log: &levada_log::OpenedLog| {
        let batches = read_batches(&log.reader);
        batches.iter().map(|batch| (batch.base_offset, batch.records_count)).collect::<Vec<_>>()
    };
    assert_eq!(placed(&log), [(0, 1), (1, 0), (2, 1), (3, 1), (4, 1), (5, 1)]);
    assert_eq!(read_keyed(&log.reader)[0], keyed(0, "a", Some("old")));

    // Once they are forgotten, nothing of the aborted transaction is left: its marker goes in its time.
    log.writer.expire_producers(NOW + 10_000_000);
    let retention = config.delete_retention_ms;
    let mut after = Vec::new();
    for now in [NOW + 1, NOW + 2, NOW + 2 + retention - 1, NOW + 2 + retention] {
        dirty(&mut log);
        clean(&mut log, &config, now).unwrap();
        after.push(placed(&log).into_iter().filter(|(offset, _)| *offset < 6).collect::<Vec<_>>());
    }
    let with_marker = vec![(0, 1), (2, 1), (3, 1), (4, 1), (5, 1)];
    let without = vec![(0, 1), (2, 1), (4, 1), (5, 1)];
    assert_eq!(after, [with_marker.clone(), with_marker.clone(), with_marker, without]);
}

#[test]
fn what_a_transaction_has_not_decided_is_not_cleaned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    put(&mut log, &[("a", Some("old"))]);
    transact(&mut log, 7, 0, &[("a", Some("new"))]);
    put(&mut log, &[("b", Some("x"))]);
    end_transaction(&mut log, 7, false);
    log.writer.roll(NOW).unwrap();
    // The marker is not committed: it may be taken back.
    let cleaned = clean_up_to(&mut log, &compacted(), 3, NOW);
    assert_eq!(cleaned.map(|cleaned| cleaned.end).ok(), Some(0), "no segment lies below it");
    log.writer.truncate_to(3, NOW).unwrap();
    log.writer.roll(NOW).unwrap();
    end_transaction(&mut log, 7, false);
    log.writer.roll(NOW).unwrap();
    let cleaned = clean_up_to(&mut log, &compacted(), 3, NOW).unwrap();
    assert_eq!((cleaned.end, offsets(&log.reader)), (1, vec![0, 1, 2]));
    let cleaned = clean(&mut log, &compacted(), NOW).unwrap();
    assert_eq!((cleaned.end, offsets(&log.reader)), (4, vec![0, 2]));
}

#[test]
fn a_replay_of_what_is_left_finds_the_producers_and_the_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    for round in 0..6 {
        for producer in 1..4 {
            put_sequenced(&mut log, producer, round * 2, LeaderEpoch(round), &[("a", Some("x")), ("b", Some("y"))]);
        }
        transact_in(&mut log, 9, round, LeaderEpoch(round), &[("a", Some("t"))]);
        end_transaction_in(&mut log, 9, LeaderEpoch(round), round % 2 == 0);
    }
    log.writer.roll(NOW).unwrap();
    let producers = log.writer.active_producers();
    let ends: Vec<_> = (0..6).map(|epoch| log.reader.end_offset_for_epoch(LeaderEpoch(epoch))).collect();
    clean(&mut log, &compacted(), NOW).unwrap();
    assert_eq!(log.writer.active_producers(), producers);
    close(store, vec![log.writer]);

    // Nothing but the records is left to tell.
    for entry in std::fs::read_dir(dir.path().join("t-0")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind == "snapshot" || kind == "index" || kind == "timeindex") {
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
    std::fs::remove_file(dir.path().join("recovery-point-offset-checkpoint")).unwrap();
    let store = open_store(dir.path());
    let log = open_log(&store, &compacted());
    assert_eq!(log.writer.active_producers(), producers);
    let found: Vec<_> = (0..6).map(|epoch| log.reader.end_offset_for_epoch(LeaderEpoch(epoch))).collect();
    assert_eq!(found, ends);
}

#[test]
fn who_copies_what_is_left_learns_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    for round in 0..20 {
        put_sequenced(&mut log, 1, round * 2, LeaderEpoch(round / 4), &[("a", Some("x")), ("b", Some("y"))]);
        put_in(&mut log, NOW + i64::from(round), LeaderEpoch(round / 4), &[(&format!("{round}"), Some("z"))]);
    }
    log.writer.roll(NOW).unwrap();
    clean(&mut log, &compacted(), NOW).unwrap();
    put(&mut log, &[("last", Some("x"))]);
    for max_bytes in [1, 200, 1 << 20] {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut copy = open_log(&store, &compacted());
        while copy.writer.log_end_offset() < log.writer.log_end_offset() {
            let info = log.reader.read(copy.writer.log_end_offset(), max_bytes, Offset::MAX, true).unwrap();
            copy.writer.append_as_follower(&info.slice.to_bytes().unwrap(), NOW).unwrap();
        }
        assert_eq!(read_keyed(&copy.reader), read_keyed(&log.reader));
        assert_eq!(copy.writer.active_producers(), log.writer.active_producers());
        for epoch in 0..5 {
            let epoch = LeaderEpoch(epoch);
            assert_eq!(copy.reader.end_offset_for_epoch(epoch), log.reader.end_offset_for_epoch(epoch));
        }
    }
}

#[test]
fn no_time_is_found_of_which_there_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    put_at(&mut log, NOW + 5, &[("a", Some("x"))]);
    put_at(&mut log, NOW + 9, &[("b", Some("x"))]);
    log.writer.roll(NOW).unwrap();
    put_at(&mut log, NOW + 7, &[("b", Some("x"))]);
    log.writer.roll(NOW).unwrap();
    clean(&mut log, &compacted(), NOW).unwrap();
    let found = |log: &levada_log::OpenedLog| {
        let newest = log.reader.max_timestamp_offset(Offset::MAX).unwrap().unwrap();
        let at_8 = log.reader.offset_for_timestamp(NOW + 8, Offset::MAX).unwrap();
        ((newest.offset, newest.timestamp), at_8.map(|found| found.offset))
    };
    assert_eq!(found(&log), ((2, NOW + 7), None));
    close(store, vec![log.writer]);
    let store = open_store(dir.path());
    assert_eq!(found(&open_log(&store, &compacted())), ((2, NOW + 7), None));
}

#[test]
fn a_damaged_segment_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    for _ in 0..30 {
        put(&mut log, &[("a", Some("some value"))]);
    }
    log.writer.roll(NOW).unwrap();
    let path = dir.path().join("t-0/00000000000000000000.log");
    let before = std::fs::read(&path).unwrap();
    let mut damaged = before.clone();
    damaged[70] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let error = clean(&mut log, &compacted(), NOW).unwrap_err();
    assert!(matches!(error, CleanError::Corrupt { base_offset: 0, position: 0, .. }), "{error}");
    assert!(error.is_lasting() && error.reason() == "corrupt");
    std::fs::write(&path, before).unwrap();
    assert_eq!(offsets(&log.reader).len(), 30);
    assert_eq!(files_with(dir.path(), ".cleaned"), 0);
}

#[test]
fn how_far_it_was_cleaned_is_remembered_as_kafka_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    put(&mut log, &[("a", Some("x"))]);
    put(&mut log, &[("a", Some("y"))]);
    log.writer.roll(NOW).unwrap();
    clean(&mut log, &compacted(), NOW).unwrap();
    put(&mut log, &[("a", Some("z"))]);
    close(store, vec![log.writer]);
    let checkpoint = dir.path().join("cleaner-offset-checkpoint");
    assert_eq!(std::fs::read_to_string(&checkpoint).unwrap(), "0\n1\nt 0 2\n");

    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    let found = log.reader.cleanable(&compacted(), Offset::MAX, NOW).unwrap();
    assert_eq!((found.first_dirty, found.dirty_bytes), (2, 0));
    // What comes in the place of what was cleaned is not clean.
    log.writer.truncate_to(1, NOW).unwrap();
    assert_eq!(std::fs::read_to_string(&checkpoint).unwrap(), "0\n1\nt 0 1\n");
    assert_eq!(log.reader.cleanable(&compacted(), Offset::MAX, NOW).unwrap().first_dirty, 1);
    log.writer.truncate_fully_and_start_at(5, NOW).unwrap();
    assert_eq!(log.reader.cleanable(&compacted(), Offset::MAX, NOW).unwrap().first_dirty, 5);
}

#[test]
fn a_checkpoint_that_is_ahead_of_the_log_says_nothing_of_what_comes_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    put(&mut log, &[("a", Some("x"))]);
    put(&mut log, &[("a", None)]);
    close(store, vec![log.writer]);
    // As where the directory is a copy that was made before the log was cleaned.
    let checkpoint = dir.path().join("cleaner-offset-checkpoint");
    std::fs::write(&checkpoint, "0\n1\nt 0 6\n").unwrap();

    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    for i in 0..6 {
        put(&mut log, &[(&format!("k{i}"), Some("x"))]);
    }
    log.writer.roll(NOW).unwrap();
    log.reader.flush_closed_segments().unwrap();
    // Without a checkpoint of its own since.
    drop((log, store));
    let store = open_store(dir.path());
    let mut log = open_log(&store, &compacted());
    assert_eq!(log.reader.cleanable(&compacted(), Offset::MAX, NOW).unwrap().first_dirty, 0);
    clean(&mut log, &compacted(), NOW).unwrap();
    assert_eq!(offsets(&log.reader), (1..8).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_is_not_filled_further() {
    let disk = levada_log::sim::SimDisk::new();
    let store = crate::support::open_store_on(std::sync::Arc::new(disk.clone()), &[std::path::Path::new("/d")]);
    let mut log = open_log(&store, &compacted());
    put(&mut log, &[("a", Some("x")), ("a", Some("y"))]);
    log.writer.roll(NOW).unwrap();
    disk.set_capacity(1 << 20);
    let error = clean(&mut log, &compacted(), NOW).unwrap_err();
    assert!(matches!(error, CleanError::NoSpace { .. }), "{error}");
    assert_eq!(log.reader.directory_state(), levada_log::DirectoryState::Online);
    disk.set_capacity(u64::MAX);
    clean(&mut log, &compacted(), NOW).unwrap();
    assert_eq!(offsets(&log.reader), [1]);
}
