//! Reading by offset and by time.

use levada_log::{LogConfig, ReadError};
use levada_types::Offset;

use crate::support::*;

#[test]
fn every_offset_finds_its_batch_whatever_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    let mut model = Vec::new();
    for i in 0..100usize {
        let values: Vec<_> = (0..1 + i % 4).map(|j| format!("{i}.{j}{}", "x".repeat(i % 60))).collect();
        let records = batch(&values.iter().map(String::as_str).collect::<Vec<_>>());
        let info = append(&mut log.writer, &records);
        model.push((info.base_offset, info.last_offset, records.len()));
    }
    assert!(log.reader.segment_count() > 5);
    let end = log.reader.log_end_offset();
    for offset in 0..end {
        let at = model.iter().position(|&(_, last, _)| last >= offset).unwrap();
        for max_bytes in [0, 1, 200, 700, 1 << 20] {
            for upper_bound in [offset, offset + 1, offset + 7, end, Offset::MAX] {
                for min_one in [false, true] {
                    let info = log.reader.read(offset, max_bytes, upper_bound, min_one).unwrap();
                    let records = records_of(&info.slice);
                    let fits = model[at].2 <= max_bytes || min_one;
                    if model[at].1 >= upper_bound || !fits {
                        assert!(records.is_empty());
                        assert_eq!(info.next_offset, offset);
                        continue;
                    }
                    assert_eq!(records[0].0, model[at].0, "the whole batch that holds {offset}");
                    let last = records.last().unwrap().0;
                    assert_eq!(info.next_offset, last + 1);
                    assert!(last < upper_bound);
                    assert!(info.slice.len() <= max_bytes.max(model[at].2));
                    // Nothing that fits is left out: the next batch is too much, above the bound, or elsewhere.
                    let next = model.iter().find(|&&(base, ..)| base == last + 1);
                    if let Some(&(_, next_last, size)) = next {
                        let here = info.slice.len() + size <= max_bytes && next_last < upper_bound;
                        if here {
                            let more = log.reader.read(last + 1, 1, Offset::MAX, true).unwrap();
                            assert_eq!(more.slice.as_file().unwrap().1, 0, "it starts the next segment");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn offsets_outside_the_log_are_out_of_range() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    assert!(log.reader.read(0, 100, Offset::MAX, true).unwrap().slice.is_empty());
    append(&mut log.writer, &batch(&["a", "b", "c"]));
    assert_eq!(log.writer.advance_log_start(2).unwrap(), 2);
    assert_eq!(log.writer.advance_log_start(1).unwrap(), 2);
    assert!(log.writer.advance_log_start(4).is_err());
    for offset in [-1, 0, 1, 4] {
        let error = log.reader.read(offset, 100, Offset::MAX, true).unwrap_err();
        assert!(matches!(error, ReadError::OffsetOutOfRange { start: 2, end: 3, .. }), "{offset}: {error}");
    }
    assert_eq!(read_all(&log.reader), [(2, "c".to_owned())]);
}

#[test]
fn records_are_found_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    // Times go up and down: 100 apart, with every fifth batch from long ago.
    let mut model = Vec::new();
    for i in 0..60i64 {
        let timestamp = if i % 5 == 4 { 1_000 } else { NOW + i * 100 - 6_000 };
        let info = append(&mut log.writer, &batch_at(timestamp, &["a", "b", "c"]));
        model.extend((0..3).map(|j| (info.base_offset + j, timestamp + j)));
    }
    assert!(log.reader.segment_count() > 3);
    for wanted in [0, 1_001, 1_002, 1_003, NOW - 5_999, NOW - 5_998, NOW - 3_050, NOW - 2_000, NOW] {
        let expected = model.iter().find(|&&(_, timestamp)| timestamp >= wanted);
        let found = log.reader.offset_for_timestamp(wanted, Offset::MAX).unwrap();
        assert_eq!(found.map(|found| (found.offset, found.timestamp)), expected.copied(), "{wanted}");
    }
    assert_eq!(log.reader.offset_for_timestamp(NOW - 5_000, 10).unwrap(), None, "above the bound");
    let newest = model.iter().max_by_key(|&&(offset, timestamp)| (timestamp, -offset)).unwrap();
    let found = log.reader.max_timestamp_offset(Offset::MAX).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), *newest);
    let bounded = log.reader.max_timestamp_offset(30).unwrap().unwrap();
    let newest = model[..30].iter().max_by_key(|&&(offset, timestamp)| (timestamp, -offset)).unwrap();
    assert_eq!((bounded.offset, bounded.timestamp), *newest);
}

#[test]
fn an_empty_log_has_no_newest_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let log = open_log(&store, &LogConfig::default());
    assert_eq!(log.reader.max_timestamp_offset(Offset::MAX).unwrap(), None);
    assert_eq!(log.reader.offset_for_timestamp(0, Offset::MAX).unwrap(), None);
    assert_eq!(log.reader.latest_epoch(), None);
}

#[test]
fn a_slice_outlives_deletion() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &batch(&["kept"]));
    let slice = log.reader.read(0, 100, Offset::MAX, true).unwrap().slice;
    assert!(slice.is_likely_cached());
    drop(log.writer);
    store.delete(&topic_partition("t", 0), NOW).unwrap();
    store.purge(i64::MAX);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count(), 0);
    assert_eq!(records_of(&slice), [(0, "kept".to_owned())]);
    assert!(matches!(log.reader.read(0, 100, Offset::MAX, true), Err(ReadError::Deleted)));
}
