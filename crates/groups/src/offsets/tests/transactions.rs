//! Offsets that transactions commit.

use bytes::Bytes;
use levada_shard::{KeyValue, TransactionalProducer};

use super::*;
use crate::{
    records::{OffsetKey, OffsetValue, Record},
    world::Logged,
};

/// A record of a producer's transaction, or of none.
fn record(producer: Option<i64>, partition: PartitionIndex, offset: Option<Offset>) -> Logged {
    let value = offset.map(|offset| OffsetValue {
        offset,
        leader_epoch: None,
        metadata: "",
        committed_at: 1_000_000,
        expires_at: None,
        topic_id: None,
    });
    let key = OffsetKey { group: "g", topic: "orders", partition };
    let (key, value): (Bytes, Option<Bytes>) = Record::Offset(key, value).encode();
    let producer = producer.map(|id| TransactionalProducer { id, epoch: 0 });
    Logged::Record(KeyValue { key, value, timestamp: 1_000_000 }, producer)
}

fn world() -> World {
    let mut world = World::new();
    world.create_topic("orders", 3);
    world
}

#[test]
fn what_a_transaction_commits_counts_when_it_ends() {
    let mut world = world();
    world.log(record(Some(1), 0, Some(10)));
    world.log(record(Some(2), 1, Some(20)));
    assert_eq!(world.committed("g", "orders", 0), None);
    let told = world.fetch_partition("g", "orders", 0, true);
    assert_eq!((told.error, told.offset), (ErrorCode::UnstableOffsetCommit, None));
    assert_eq!(world.fetch_partition("g", "orders", 2, true).error, ErrorCode::None);
    world.log(Logged::Marker(1, true));
    assert_eq!(world.fetch_partition("g", "orders", 0, true).offset, Some(10));
    assert_eq!(world.fetch_partition("g", "orders", 1, true).error, ErrorCode::UnstableOffsetCommit);
    world.log(Logged::Marker(2, false));
    assert_eq!(world.fetch_partition("g", "orders", 1, true).offset, None);
    world.check();
}

#[test]
fn the_record_that_was_written_last_counts_whatever_ends_last() {
    let mut world = world();
    world.log(record(Some(1), 0, Some(10)));
    world.log(record(None, 0, Some(11)));
    world.log(Logged::Marker(1, true));
    assert_eq!(world.committed("g", "orders", 0), Some(11));

    world.log(record(Some(1), 0, Some(12)));
    world.log(record(Some(2), 0, Some(13)));
    world.log(Logged::Marker(2, true));
    assert_eq!(world.committed("g", "orders", 0), Some(13));
    world.log(Logged::Marker(1, true));
    assert_eq!(world.committed("g", "orders", 0), Some(13));

    world.log(record(Some(1), 0, Some(14)));
    world.log(record(Some(2), 0, Some(15)));
    world.log(Logged::Marker(1, true));
    assert_eq!(world.committed("g", "orders", 0), Some(14));
    world.log(Logged::Marker(2, true));
    assert_eq!(world.committed("g", "orders", 0), Some(15));
}

#[test]
fn a_group_of_which_only_an_aborted_transaction_was_heard_is_gone() {
    let mut world = world();
    world.log(record(Some(1), 0, Some(10)));
    assert_eq!(world.listed(&[], &[]).len(), 1);
    world.log(Logged::Marker(1, false));
    assert_eq!(world.listed(&[], &[]), []);
    world.check();
}

#[test]
fn a_deletion_counts_against_what_an_open_transaction_wrote_before_it() {
    let mut world = world();
    world.log(record(Some(1), 0, Some(10)));
    assert_eq!(world.delete_offset("g", "orders", 0), (ErrorCode::None, vec![ErrorCode::None]));
    world.check();
    world.log(Logged::Marker(1, true));
    assert_eq!(world.committed("g", "orders", 0), None);

    world.log(record(Some(1), 0, Some(10)));
    assert_eq!(world.delete_group("g"), ErrorCode::None);
    world.log(Logged::Marker(1, true));
    assert_eq!(world.all_committed("g"), []);
    world.check();
}

#[test]
fn offsets_of_an_open_transaction_do_not_expire() {
    let mut world = world();
    world.log(record(None, 0, Some(9)));
    world.log(record(Some(1), 0, Some(10)));
    world.pass(30 * 24 * 3_600_000);
    assert_eq!(world.committed("g", "orders", 0), Some(9));
    world.log(Logged::Marker(1, true));
    assert_eq!(world.committed("g", "orders", 0), Some(10));
}

#[test]
fn a_fetch_of_everything_tells_of_what_is_in_a_transaction_too() {
    let mut world = world();
    world.log(record(None, 0, Some(9)));
    world.log(record(Some(1), 1, Some(10)));
    let request = FetchOffsets {
        group_id: "g".to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: None,
        require_stable: true,
    };
    let Response::FetchOffsets(answer) = world.answer(Request::FetchOffsets(request)) else {
        panic!("not the answer to a fetch")
    };
    let told: Vec<(Option<Offset>, ErrorCode)> =
        answer.topics[0].partitions.iter().map(|partition| (partition.offset, partition.error)).collect();
    assert_eq!(told, [(Some(9), ErrorCode::None), (None, ErrorCode::UnstableOffsetCommit)]);
}
