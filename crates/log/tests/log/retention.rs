//! What retention deletes, and what it keeps.

use levada_log::{DeletionReason, LogConfig};
use levada_types::Offset;

use crate::support::*;

fn files(dir: &std::path::Path, suffix: &str) -> usize {
    let entries = std::fs::read_dir(dir.join("t-0")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(suffix)).count()
}

#[test]
fn old_segments_go_and_the_active_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { retention_ms: Some(1_000), file_delete_delay_ms: 500, ..small_segments() };
    let mut log = open_log(&store, &config);
    for i in 0..60 {
        append(&mut log.writer, &batch_at(NOW - 10_000 + i, &[&format!("record {i}")]));
    }
    let segments = log.reader.segment_count();
    assert!(segments > 3);
    let slice = log.reader.read(0, 1_000, Offset::MAX, true).unwrap().slice;
    let held = records_of(&slice);

    let bounded = log.writer.enforce_retention(0, NOW).unwrap();
    assert!(bounded.is_empty(), "nothing above the high watermark is deleted");
    let deleted = log.writer.enforce_retention(Offset::MAX, NOW).unwrap();
    assert_eq!(deleted.len(), segments - 1);
    assert!(deleted.iter().all(|segment| segment.reason == DeletionReason::Time && segment.bytes > 0));
    assert_eq!(log.reader.segment_count(), 1);
    let start = log.reader.log_start_offset();
    assert!(start > 0 && log.reader.read(start - 1, 100, Offset::MAX, true).is_err());
    assert_eq!(read_all(&log.reader).len() as i64, log.reader.log_end_offset() - start);

    assert!(files(dir.path(), ".log.deleted") == segments - 1 && files(dir.path(), ".log") == 1);
    assert_eq!(store.purge(NOW + 499), 0);
    assert!(store.purge(NOW + 500) > 0);
    assert_eq!(files(dir.path(), ".deleted"), 0);
    assert_eq!(records_of(&slice), held, "a slice outlives its segment");

    assert!(!log.writer.roll_if_due(NOW).unwrap());
    assert!(log.writer.roll_if_due(NOW + config.segment_ms).unwrap());
    assert_eq!(log.writer.enforce_retention(Offset::MAX, NOW).unwrap().len(), 1);
    assert_eq!(log.reader.log_start_offset(), log.reader.log_end_offset());
    drop((log, store));
    let store = open_store(dir.path());
    let log = open_log(&store, &config);
    assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (60, 60));
}

#[test]
fn a_log_keeps_at_least_its_retention_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { retention_ms: None, retention_bytes: Some(2_500), ..small_segments() };
    let mut log = open_log(&store, &config);
    for i in 0..60 {
        append(&mut log.writer, &batch(&[&format!("record {i}")]));
    }
    let before = log.reader.size_bytes();
    let deleted = log.writer.enforce_retention(Offset::MAX, NOW).unwrap();
    assert!(!deleted.is_empty() && deleted.iter().all(|segment| segment.reason == DeletionReason::Size));
    let freed: u64 = deleted.iter().map(|segment| segment.bytes).sum();
    assert_eq!(log.reader.size_bytes(), before - freed);
    assert!(log.reader.size_bytes() >= 2_500 && log.reader.size_bytes() < 3_500);
    assert!(log.writer.enforce_retention(Offset::MAX, NOW).unwrap().is_empty());
}

#[test]
fn deleted_records_stay_deleted_and_free_their_segments() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { delete_enabled: false, ..small_segments() };
    let mut log = open_log(&store, &config);
    for i in 0..60 {
        append(&mut log.writer, &batch(&[&format!("record {i}")]));
    }
    log.writer.advance_log_start(35).unwrap();
    let deleted = log.writer.enforce_retention(Offset::MAX, NOW).unwrap();
    assert!(!deleted.is_empty() && deleted.iter().all(|segment| segment.reason == DeletionReason::LogStart));
    assert_eq!(log.reader.log_start_offset(), 35);
    assert_eq!(read_all(&log.reader)[0].0, 35);
    store.checkpoint(&Default::default()).unwrap();
    drop((log, store));
    let store = open_store(dir.path());
    let log = open_log(&store, &config);
    assert_eq!(log.reader.log_start_offset(), 35);
    assert_eq!(read_all(&log.reader).len(), 25);
}

#[test]
fn segments_roll_by_the_time_of_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { segment_ms: 1_000, ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    for i in 0..10 {
        append(&mut log.writer, &batch_at(NOW - 100_000 + i * 400, &["x"]));
    }
    // 0, 400, 800 | 1200, 1600, 2000 | 2400, ...
    assert_eq!(log.reader.segment_count(), 4);

    let jittered = LogConfig { segment_jitter_ms: 900, ..config };
    let ages = |partition: i32| {
        let mut log = store.open_log(request("jitter", partition, &jittered), NOW).unwrap();
        (0..60).for_each(|i| {
            append(&mut log.writer, &batch_at(NOW - 100_000 + i * 50, &["x"]));
        });
        log.reader.segment_count()
    };
    let counts: Vec<_> = (0..8).map(ages).collect();
    assert!(counts.iter().any(|count| count != &counts[0]), "{counts:?}");
    assert!(counts.iter().all(|&count| count >= 3), "jitter makes segments younger, never older: {counts:?}");
}

#[test]
fn segments_roll_when_their_indexes_are_full() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { segment_index_bytes: 48, index_interval_bytes: 0, ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    for i in 0..30 {
        append(&mut log.writer, &batch_at(NOW + i, &["x"]));
    }
    assert!(log.reader.segment_count() >= 5);
    log.writer.flush(NOW).unwrap();
    for entry in std::fs::read_dir(dir.path().join("t-0")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index" || extension == "timeindex") {
            assert!(path.metadata().unwrap().len() <= 48, "{}", path.display());
        }
    }
    assert_eq!(read_all(&log.reader).len(), 30);
}

#[test]
fn flushing_follows_the_topics_settings() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { flush_messages: Some(3), flush_ms: Some(1_000), ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    append(&mut log.writer, &batch(&["a", "b"]));
    assert_eq!(log.reader.recovery_point(), 0);
    append(&mut log.writer, &batch(&["c"]));
    assert_eq!(log.reader.recovery_point(), 3);
    append(&mut log.writer, &batch(&["d"]));
    assert!(!log.writer.flush_if_due(NOW + 999).unwrap());
    assert!(log.writer.flush_if_due(NOW + 1_000).unwrap());
    assert_eq!(log.reader.recovery_point(), 4);
    assert!(!log.writer.flush_if_due(NOW + 9_000).unwrap());
}

#[test]
fn closed_segments_are_flushed_from_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    for i in 0..60 {
        append(&mut log.writer, &batch(&[&format!("record {i}")]));
    }
    assert!(log.reader.has_unflushed_closed_segments());
    let reader = log.reader.clone();
    std::thread::spawn(move || reader.flush_closed_segments().unwrap()).join().unwrap();
    assert!(!log.reader.has_unflushed_closed_segments());
    let point = log.reader.recovery_point();
    assert!(point > 0 && point < 60);
    assert_eq!(log.writer.flush(NOW).unwrap(), 60);
    assert_eq!(log.reader.recovery_point(), 60);
}

#[test]
fn a_segment_is_as_young_as_its_newest_record_though_the_time_index_has_lost_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { retention_ms: Some(1_000), ..small_segments() };
    let mut log = open_log(&store, &config);
    for i in 0..8 {
        append(&mut log.writer, &batch_at(NOW - 10_000 + i, &["old"]));
    }
    append(&mut log.writer, &batch_at(NOW, &["new"]));
    log.writer.roll(NOW).unwrap();
    append(&mut log.writer, &batch_at(NOW, &["newest"]));
    close(store, vec![log.writer]);
    // As after a full disk, or a power loss between the roll and the next sync. An entry has 12 bytes.
    let index = dir.path().join("t-0/00000000000000000000.timeindex");
    let file = std::fs::OpenOptions::new().write(true).open(index).unwrap();
    let len = file.metadata().unwrap().len();
    assert!(len > 12);
    file.set_len(len - 12).unwrap();

    let store = open_store(dir.path());
    let mut log = open_log(&store, &config);
    assert!(log.writer.enforce_retention(Offset::MAX, NOW).unwrap().is_empty());
    assert_eq!(log.reader.offset_for_timestamp(NOW, Offset::MAX).unwrap().unwrap().offset, 8);
    assert_eq!(log.writer.enforce_retention(Offset::MAX, NOW + 1_001).unwrap().len(), 1);
}

#[test]
fn batches_of_very_different_age_do_not_share_a_segment_though_they_come_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig { segment_ms: 1_000, ..LogConfig::default() });
    let batches = [batch_at(NOW - 1_001, &["old"]), batch_at(NOW - 1_000, &["old"]), batch_at(NOW, &["new"])];
    for result in append_all(&mut log.writer, &batches) {
        result.unwrap();
    }
    assert_eq!(log.reader.segment_count(), 2);
    assert!(!log.reader.is_in_active_segment(1) && log.reader.is_in_active_segment(2));
}
