//! Appending.

use std::time::Duration;

use levada_records::{BatchHeader, Compression, EndTxnMarker, TransactionOutcome};
use levada_types::{ErrorCode, LeaderEpoch, Offset, TopicId};
use uuid::Uuid;

use super::world::{BROKER, OTHER, World, batch, builder, code, held_by, led_by, one, tp};
use crate::api::{Acks, LeaderHint, Produce, ProducePartition};

#[tokio::test]
async fn what_was_produced_is_fetched_with_the_offsets_that_were_told() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    assert_eq!(world.put(id, &["a", "b"]).await, 0);
    assert_eq!(world.put(id, &["c"]).await, 2);
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
    assert_eq!(world.values(id, 2).await, ["c"]);

    let fetched = world.get(id, 0).await;
    assert_eq!((fetched.high_watermark, fetched.last_stable_offset, fetched.log_start_offset), (3, 3, 0));
    let bytes = fetched.records.unwrap().to_bytes().unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!((header.base_offset, header.partition_leader_epoch), (0, 0));
}

#[tokio::test]
async fn requests_are_appended_in_the_order_in_which_they_were_made() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    let values: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    // The futures are polled only after every request was made.
    let requests: Vec<_> =
        values.iter().map(|value| world.broker.produce(one(id, batch(&[value]), Acks::Leader))).collect();
    let answers = futures::future::join_all(requests).await;
    let offsets: Vec<Offset> = answers.into_iter().flatten().map(|answer| answer.unwrap().base_offset).collect();
    assert_eq!(offsets, (0..200).collect::<Vec<_>>());
    assert_eq!(world.values(id, 0).await, values);
}

#[tokio::test]
async fn each_partition_of_a_request_has_its_own_answer_in_its_place() {
    let mut world = World::new();
    let topic = world.create("orders", 2);
    let unknown = TopicId(Uuid::new_v4());
    let places = [tp(topic, 1), tp(unknown, 0), tp(topic, 7), tp(topic, 0), tp(topic, 1)];
    let partitions =
        places.iter().map(|place| ProducePartition { partition: *place, records: batch(&["x"]) }).collect();
    let answers = world.broker.produce(Produce { acks: Acks::All, timeout: Duration::MAX, partitions }).await;
    let codes: Vec<_> = answers.iter().map(code).collect();
    assert_eq!(
        codes,
        [
            ErrorCode::None,
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
            ErrorCode::InvalidRequest,
        ]
    );
}

#[tokio::test]
async fn bad_batches_are_refused_and_leave_nothing_behind() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);

    let mut flipped = batch(&["a"]).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(code(&world.produce(id, flipped.into()).await), ErrorCode::CorruptMessage);

    let whole = batch(&["a"]);
    assert_eq!(code(&world.produce(id, whole.slice(..whole.len() - 1)).await), ErrorCode::InvalidRecord);

    let marker = EndTxnMarker { outcome: TransactionOutcome::Commit, coordinator_epoch: 0 }.batch(1, 0, 0).unwrap();
    let refused = world.produce(id, marker).await;
    assert!(refused.is_err(), "control records are the broker's");

    let mut transactional = builder(&["a"]);
    transactional.set_producer(1, 0, 0).set_transactional(true);
    let transactional = transactional.build(Compression::None, None).unwrap();
    assert_eq!(code(&world.produce(id, transactional).await), ErrorCode::InvalidTxnState);

    assert_eq!(world.get(id, 0).await.high_watermark, 0);
    assert_eq!(world.put(id, &["a"]).await, 0);
}

#[tokio::test]
async fn clients_may_not_write_to_internal_topics() {
    let mut world = World::new();
    let id = tp(world.create("__consumer_offsets", 1), 0);
    assert_eq!(code(&world.produce(id, batch(&["a"])).await), ErrorCode::InvalidTopicException);
}

#[tokio::test]
async fn a_repeated_batch_of_an_idempotent_producer_is_answered_with_its_first_offset() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["before"]).await;
    let mut first = builder(&["a", "b"]);
    first.set_producer(9, 0, 0);
    let first = first.build(Compression::None, None).unwrap();
    for _ in 0..2 {
        assert_eq!(world.produce(id, first.clone()).await.unwrap().base_offset, 1);
    }
    let mut skipping = builder(&["c"]);
    skipping.set_producer(9, 0, 5);
    let skipping = skipping.build(Compression::None, None).unwrap();
    assert_eq!(code(&world.produce(id, skipping).await), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(world.values(id, 0).await, ["before", "a", "b"]);

    let producers = world.broker.describe_producers(id).await.unwrap();
    assert_eq!(producers.len(), 1);
    assert_eq!((producers[0].producer_id, producers[0].last_sequence), (9, 1));
}

#[tokio::test]
async fn only_the_leader_appends_and_it_tells_who_that_is() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.assign(id, led_by(Some(OTHER), 1, &[BROKER, OTHER]));
    let refused = world.produce(id, batch(&["a"])).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotLeaderOrFollower);
    assert_eq!(refused.leader, Some(LeaderHint { leader: Some(OTHER), epoch: LeaderEpoch(1) }));

    // A partition that was never here is told the same way.
    let elsewhere = tp(id.topic_id, 1);
    world.assign(elsewhere, held_by(&[OTHER], Some(OTHER), 3, &[OTHER]));
    let refused = world.produce(elsewhere, batch(&["a"])).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotLeaderOrFollower);
    assert_eq!(refused.leader, Some(LeaderHint { leader: Some(OTHER), epoch: LeaderEpoch(3) }));
}

#[tokio::test]
async fn a_new_leader_epoch_is_stamped_into_what_follows() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    world.assign(id, led_by(Some(BROKER), 4, &[BROKER]));
    world.put(id, &["b"]).await;
    let bytes = world.get(id, 1).await.records.unwrap().to_bytes().unwrap();
    assert_eq!(BatchHeader::parse(&bytes).unwrap().partition_leader_epoch, 4);
}

#[tokio::test]
async fn acks_all_waits_for_the_replicas_in_sync_and_nobody_reads_what_they_lack() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["committed"]).await;
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));

    let leader_only = world.produce(id, batch(&["a"])).await.unwrap();
    assert_eq!(leader_only.base_offset, 1);
    let mut all = one(id, batch(&["b"]), Acks::All);
    all.timeout = Duration::ZERO;
    let answers = world.broker.produce(all).await;
    assert_eq!(code(&answers[0]), ErrorCode::RequestTimedOut);
    let fetched = world.get(id, 1).await;
    assert_eq!((fetched.error, fetched.high_watermark, fetched.records.is_none()), (ErrorCode::None, 1, true));

    // The other replica falls out of sync: what the leader has is committed.
    let waiting = world.broker.produce(one(id, batch(&["b2"]), Acks::All));
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER]));
    assert_eq!(waiting.await[0].as_ref().unwrap().base_offset, 3);
    assert_eq!(world.values(id, 1).await, ["a", "b", "b2"]);
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));

    // Whoever still waits when the leadership goes learns that nothing is certain.
    let waiting = world.broker.produce(one(id, batch(&["c"]), Acks::All));
    world.assign(id, led_by(Some(OTHER), 2, &[BROKER, OTHER]));
    assert_eq!(code(&waiting.await[0]), ErrorCode::NotLeaderOrFollower);
}

#[tokio::test]
async fn acks_all_needs_the_minimum_of_replicas_in_sync() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.configure(id.topic_id, "min.insync.replicas", "2");
    // More cannot be asked for than there are replicas.
    assert_eq!(code(&world.broker.produce(one(id, batch(&["a"]), Acks::All)).await[0]), ErrorCode::None);
    world.assign(id, held_by(&[BROKER, OTHER], Some(BROKER), 1, &[BROKER]));
    assert_eq!(code(&world.broker.produce(one(id, batch(&["b"]), Acks::All)).await[0]), ErrorCode::NotEnoughReplicas);
    assert_eq!(code(&world.produce(id, batch(&["c"])).await), ErrorCode::None);
}

#[tokio::test]
async fn changed_settings_hold_for_the_next_batch() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    world.configure(id.topic_id, "max.message.bytes", "10");
    assert_eq!(code(&world.produce(id, batch(&["b"])).await), ErrorCode::MessageTooLarge);
    world.configure(id.topic_id, "max.message.bytes", "1000000");
    world.configure(id.topic_id, "message.timestamp.type", "LogAppendTime");
    assert!(world.produce(id, batch(&["b"])).await.unwrap().log_append_time > 0);
}
