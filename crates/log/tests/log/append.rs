//! What is appended, what is refused, and what a failed write leaves behind.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use levada_log::sim::SimDisk;
use levada_log::{AppendBatch, AppendError, LogConfig, OpenedLog, Origin, TopicCompression};
use levada_records::{
    BatchBuilder, Batches, Compression, EndTxnMarker, RecordBatch, TimestampType, TransactionOutcome,
    with_max_timestamp,
};
use levada_types::{ErrorCode, LeaderEpoch, Offset};

use crate::support::*;

#[test]
fn batches_of_one_call_stand_for_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    let mut damaged = batch(&["x"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let results = append_all(&mut log.writer, &[batch(&["a", "b"]), damaged.into(), batch(&["c"])]);
    let first = results[0].as_ref().unwrap();
    assert_eq!((first.base_offset, first.last_offset, first.duplicate), (0, 1, false));
    assert_eq!(results[1].as_ref().unwrap_err().code(), ErrorCode::CorruptMessage);
    assert_eq!(results[2].as_ref().unwrap().base_offset, 2);
    let all = [(0, "a"), (1, "b"), (2, "c")].map(|(offset, value)| (offset, value.to_owned()));
    assert_eq!(read_all(&log.reader), all);
}

#[test]
fn the_leader_stamps_its_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    for (epoch, values) in [(3, ["a"]), (3, ["b"]), (7, ["c"])] {
        let batches = [AppendBatch { records: batch(&values) }];
        log.writer.append(&batches, LeaderEpoch(epoch), Origin::Client, NOW).remove(0).unwrap();
    }
    let bytes = log.reader.read(0, 1 << 20, Offset::MAX, true).unwrap().slice.to_bytes().unwrap();
    let epochs: Vec<_> = Batches::new(&bytes).map(|batch| batch.unwrap().header().partition_leader_epoch).collect();
    assert_eq!(epochs, [3, 3, 7]);
    assert_eq!(log.reader.latest_epoch(), Some(LeaderEpoch(7)));
    assert_eq!(log.reader.end_offset_for_epoch(LeaderEpoch(3)).map(|end| end.end_offset), Some(2));
    assert_eq!(log.reader.epoch_for_offset(1), Some(LeaderEpoch(3)));
}

#[test]
fn a_resent_batch_is_answered_like_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    append(&mut log.writer, &batch(&["before"]));
    let first = append(&mut log.writer, &sequenced(9, 0, 0, 3));
    let again = append(&mut log.writer, &sequenced(9, 0, 0, 3));
    assert_eq!((again.base_offset, again.last_offset), (first.base_offset, first.last_offset));
    assert!(again.duplicate && again.bytes == 0);
    assert_eq!(log.writer.log_end_offset(), 4);

    // In one call, too.
    let results = append_all(&mut log.writer, &[sequenced(9, 0, 3, 1), sequenced(9, 0, 3, 1), sequenced(9, 0, 5, 1)]);
    assert_eq!(results[0].as_ref().unwrap().base_offset, 4);
    let duplicate = results[1].as_ref().unwrap();
    assert!(duplicate.duplicate && duplicate.base_offset == 4);
    assert_eq!(results[2].as_ref().unwrap_err().code(), ErrorCode::OutOfOrderSequenceNumber);
    let producer = log.writer.active_producers()[0];
    assert_eq!((producer.producer_id, producer.last_sequence), (9, 3));
}

#[test]
fn what_a_client_may_not_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig { max_message_bytes: 500, segment_bytes: 400, ..LogConfig::default() };
    let mut log = open_log(&store, &config);
    let two = [batch(&["a"]), batch(&["b"])].concat();
    let marker = EndTxnMarker { outcome: TransactionOutcome::Commit, coordinator_epoch: 1 }.batch(1, 0, NOW).unwrap();
    let cases: Vec<(bytes::Bytes, ErrorCode)> = vec![
        (bytes::Bytes::new(), ErrorCode::InvalidRecord),
        (batch(&["cut off"]).slice(..70), ErrorCode::InvalidRecord),
        (two.into(), ErrorCode::InvalidRecord),
        (marker, ErrorCode::InvalidRecord),
        (batch(&[&"x".repeat(600)]), ErrorCode::MessageTooLarge),
        (batch(&[&"x".repeat(400)]), ErrorCode::RecordListTooLarge),
        (batch_at(NOW + 2 * 3_600_000, &["late"]), ErrorCode::InvalidTimestamp),
    ];
    for (records, code) in cases {
        let error = append_all(&mut log.writer, &[records]).remove(0).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert_eq!(log.writer.log_end_offset(), 0);
    assert_eq!(log.reader.size_bytes(), 0);
}

#[test]
fn topics_recompress_and_stamp_times_as_they_are_set() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let config = LogConfig {
        compression: TopicCompression::Fixed { codec: Compression::Lz4, level: None },
        timestamp_type: TimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    let mut log = open_log(&store, &config);
    let mut builder = BatchBuilder::new();
    builder.append(5, None, Some("value ".repeat(50).as_bytes()), &[]).unwrap();
    let info = append(&mut log.writer, &builder.build(Compression::Gzip, None).unwrap());
    assert_eq!((info.log_append_time, info.max_timestamp), (NOW, NOW));
    let bytes = log.reader.read(0, 1 << 20, Offset::MAX, true).unwrap().slice.to_bytes().unwrap();
    let header = *Batches::new(&bytes).next().unwrap().unwrap().header();
    assert_eq!(header.compression().unwrap(), Compression::Lz4);
    assert_eq!((header.timestamp_type(), header.max_timestamp), (TimestampType::LogAppendTime, NOW));
    assert_eq!(read_all(&log.reader)[0].1, "value ".repeat(50));
}

#[test]
fn a_batch_whose_producer_left_the_greatest_timestamp_out_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let mut log = open_log(&store, &LogConfig::default());
    let made = batch_at(NOW, &["first", "second"]);
    let left_out = with_max_timestamp(&RecordBatch::parse_only(&made).unwrap(), -1);
    assert_eq!(append(&mut log.writer, &left_out).max_timestamp, NOW + 1);
    let bytes = log.reader.read(0, 1 << 20, Offset::MAX, true).unwrap().slice.to_bytes().unwrap();
    let stored = Batches::new(&bytes).next().unwrap().unwrap();
    stored.verify_crc().unwrap();
    assert_eq!(stored.header().max_timestamp, NOW + 1);
    assert_eq!(read_all(&log.reader).len(), 2);
}

#[test]
fn a_follower_keeps_what_the_leader_wrote() {
    let (leader_dir, follower_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (leader_store, follower_store) = (open_store(leader_dir.path()), open_store(follower_dir.path()));
    let mut leader = open_log(&leader_store, &LogConfig::default());
    let mut follower = open_log(&follower_store, &small_segments());
    for i in 0..20 {
        append(&mut leader.writer, &sequenced(4, 0, i * 2, 2));
    }
    let bytes = leader.reader.read(0, 1 << 20, Offset::MAX, true).unwrap().slice.to_bytes().unwrap();
    let appended = follower.writer.append_as_follower(&bytes, NOW).unwrap();
    assert_eq!((appended.base_offset, appended.last_offset, appended.bytes), (0, 39, bytes.len()));
    assert!(follower.reader.segment_count() > 1);
    assert_eq!(read_all(&follower.reader), read_all(&leader.reader));
    assert_eq!(follower.writer.active_producers(), leader.writer.active_producers());

    let again = follower.writer.append_as_follower(&bytes, NOW).unwrap_err();
    assert!(matches!(again, AppendError::UnexpectedOffset { expected: 40, found: 0 }));
    let torn = follower.writer.append_as_follower(&bytes.slice(..bytes.len() - 1), NOW).unwrap_err();
    assert!(matches!(torn, AppendError::UnexpectedOffset { .. }));
    assert_eq!(follower.writer.log_end_offset(), 40);
}

/// A leader's log whose records are at offsets 41 to 46, in two batches of three.
fn two_batches_at_41(dir: &Path) -> Bytes {
    let store = open_store(dir);
    let mut leader = open_log(&store, &LogConfig::default());
    leader.writer.truncate_fully_and_start_at(41, NOW).unwrap();
    append(&mut leader.writer, &batch(&["a", "b", "c"]));
    append(&mut leader.writer, &batch(&["d", "e", "f"]));
    leader.reader.read(41, 1 << 20, Offset::MAX, true).unwrap().slice.to_bytes().unwrap()
}

fn follow_from(log: &mut OpenedLog, start: Offset, records: &Bytes) -> Result<(), AppendError> {
    log.writer.truncate_fully_and_start_at(start, NOW).unwrap();
    log.writer.append_as_follower(records, NOW).map(drop)
}

fn from_42() -> Vec<(Offset, String)> {
    (42..).zip(["b", "c", "d", "e", "f"].map(str::to_owned)).collect()
}

#[test]
fn a_log_that_has_nothing_takes_a_batch_that_its_start_lies_within() {
    let (leader_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let records = two_batches_at_41(leader_dir.path());
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    follow_from(&mut log, 42, &records).unwrap();
    assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (42, 47));
    assert_eq!(read_all(&log.reader), from_42());
    assert_eq!(log.reader.epoch_for_offset(42), Some(LeaderEpoch(0)));
    append(&mut log.writer, &batch(&["g"]));
    close(store, vec![log.writer]);
    let store = open_store(dir.path());
    let mut log = open_log(&store, &small_segments());
    assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (42, 48));

    // One that ends before it, or a log that has anything, does not.
    for (start, expected) in [(44, 44), (47, 47)] {
        let refused = follow_from(&mut log, start, &records.slice(..records.len() / 2)).unwrap_err();
        assert!(matches!(refused, AppendError::UnexpectedOffset { found: 41, .. }), "{refused}");
        assert_eq!((log.reader.log_start_offset(), log.reader.log_end_offset()), (expected, expected));
    }
    follow_from(&mut log, 41, &records.slice(..records.len() / 2)).unwrap();
    assert!(log.writer.append_as_follower(&records, NOW).is_err());
    assert_eq!(read_all(&log.reader).len(), 3);
}

#[test]
fn a_crash_while_it_takes_the_batch_that_its_start_lies_within_leaves_a_log_that_can_begin_anew() {
    let leader_dir = tempfile::tempdir().unwrap();
    let records = two_batches_at_41(leader_dir.path());
    let root = Path::new("/data");
    for power_goes in [false, true] {
        for moment in 1.. {
            let disk = SimDisk::new();
            let store = open_store_on(Arc::new(disk.clone()), &[root]);
            let mut log = open_log(&store, &small_segments());
            log.writer.truncate_fully_and_start_at(42, NOW).unwrap();
            store.checkpoint(&Default::default()).unwrap();
            disk.crash_at(disk.operations() + moment);
            let appended = log.writer.append_as_follower(&records, NOW);
            let crashed = disk.has_crashed();
            assert!(crashed || appended.is_ok());
            drop((log, store));
            if power_goes {
                disk.restart(moment);
            } else {
                disk.restart_process();
            }
            let store = open_store_on(Arc::new(disk), &[root]);
            let mut log = open_log(&store, &small_segments());
            let (start, end) = (log.reader.log_start_offset(), log.reader.log_end_offset());
            assert!(start <= end, "operation {moment}: the log starts at {start} and ends at {end}");
            let left = read_all(&log.reader);
            assert!(
                left.iter().all(|(at, value)| *at == 41 && value == "a" || from_42().contains(&(*at, value.clone())))
            );
            follow_from(&mut log, 42, &records).unwrap();
            assert_eq!(read_all(&log.reader), from_42(), "operation {moment}");
            if !crashed {
                break;
            }
        }
    }
}
