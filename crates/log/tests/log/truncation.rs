//! Cutting off a diverging tail.

use levada_log::{AppendBatch, LogWriter, Origin};
use levada_types::LeaderEpoch;

use crate::support::*;

fn append_in_epoch(writer: &mut LogWriter, epoch: i32, values: &[&str]) {
    let batches = [AppendBatch { records: batch(values) }];
    writer.append(&batches, LeaderEpoch(epoch), Origin::Client, NOW).remove(0).unwrap();
}

#[test]
fn the_log_ends_where_it_was_cut_and_goes_on_from_there() {
    for cut in 0..=30i64 {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &small_segments());
        for i in 0..30 {
            append(&mut log.writer, &sequenced(5, 0, i, 1));
        }
        if cut % 2 == 0 {
            log.writer.flush(NOW).unwrap();
        }
        let before = read_all(&log.reader);
        assert_eq!(log.writer.truncate_to(cut, NOW).unwrap(), cut < 30);
        assert_eq!(log.reader.log_end_offset(), cut);
        assert_eq!(read_all(&log.reader), before[..cut as usize]);
        assert!(log.reader.recovery_point() <= cut);
        let last = log.writer.active_producers().first().map_or(-1, |producer| producer.last_sequence);
        assert_eq!(i64::from(last), cut - 1, "producers are those of what is left");

        append_in_epoch(&mut log.writer, 3, &["other", "tail"]);
        assert_eq!(log.reader.end_offset_for_epoch(LeaderEpoch(0)).map(|end| end.end_offset), (cut > 0).then_some(cut));
        let after = read_all(&log.reader);
        store.checkpoint(&Default::default()).unwrap();
        drop((log, store));
        let store = open_store(dir.path());
        let log = open_log(&store, &small_segments());
        assert_eq!(read_all(&log.reader), after);
        assert_eq!(log.reader.latest_epoch(), Some(LeaderEpoch(3)));
    }
}

#[test]
fn a_cut_inside_a_batch_takes_the_whole_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    append(&mut log.writer, &batch(&["a", "b"]));
    append(&mut log.writer, &batch(&["c", "d", "e"]));
    assert!(log.writer.truncate_to(3, NOW).unwrap());
    assert_eq!(log.reader.log_end_offset(), 2);
}

#[test]
fn a_log_is_emptied_and_goes_on_elsewhere() {
    for start in [0, 12, 500] {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let mut log = open_log(&store, &small_segments());
        for i in 0..30 {
            append(&mut log.writer, &sequenced(5, 0, i, 1));
        }
        log.writer.truncate_fully_and_start_at(start, NOW).unwrap();
        assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (start, start));
        assert!(log.writer.active_producers().is_empty());
        assert_eq!(log.reader.latest_epoch(), None);
        append_in_epoch(&mut log.writer, 9, &["new"]);
        assert_eq!(read_all(&log.reader), [(start, "new".to_owned())]);
        drop((log, store));
        let store = open_store(dir.path());
        let log = open_log(&store, &small_segments());
        assert_eq!(read_all(&log.reader), [(start, "new".to_owned())]);
    }
}
