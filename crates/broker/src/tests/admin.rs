//! Offsets, deletions, descriptions.

use std::time::Duration;

use levada_metadata::config::ConfigSource;
use levada_types::{ErrorCode, Isolation, LeaderEpoch, Offset, TopicName};

use super::world::{BROKER, FOR_EVER, World, batch, builder, code, led_by, tp};
use crate::api::{DeleteRecords, DescribedResource, EpochEndRequest, ListOffset, OffsetSpec};

#[tokio::test]
async fn offsets_are_found_by_position_and_by_time() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    let now = crate::clock::now_ms();
    for (timestamp, value) in [(now - 3_000, "a"), (now - 1_000, "b"), (now - 2_000, "c")] {
        let mut one = levada_records::BatchBuilder::new();
        one.append(timestamp, None, Some(value.as_bytes()), &[]).unwrap();
        world.produce(id, one.build(levada_records::Compression::None, None).unwrap()).await.unwrap();
    }
    let specs = [
        OffsetSpec::Earliest,
        OffsetSpec::Latest,
        OffsetSpec::EarliestLocal,
        OffsetSpec::LatestTiered,
        OffsetSpec::MaxTimestamp,
        OffsetSpec::Timestamp(now - 2_500),
        OffsetSpec::Timestamp(now),
    ];
    let request =
        specs.iter().map(|spec| ListOffset { partition: id, spec: *spec, current_leader_epoch: None }).collect();
    let found = world.broker.list_offsets(request, Isolation::ReadUncommitted).await;
    let found: Vec<_> = found.into_iter().map(|found| found.unwrap()).map(|f| (f.offset, f.timestamp)).collect();
    assert_eq!(found, [(0, -1), (3, -1), (0, -1), (-1, -1), (1, now - 1_000), (1, now - 1_000), (-1, -1)]);
}

#[tokio::test]
async fn the_latest_offset_is_the_high_watermark() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, super::world::OTHER]));
    world.put(id, &["not committed"]).await;
    let latest = ListOffset { partition: id, spec: OffsetSpec::Latest, current_leader_epoch: None };
    let fenced = ListOffset { current_leader_epoch: Some(LeaderEpoch(0)), ..latest.clone() };
    let found = world.broker.list_offsets(vec![latest, fenced], Isolation::ReadUncommitted).await;
    assert_eq!(found[0].as_ref().unwrap().offset, 1);
    assert_eq!(code(&found[1]), ErrorCode::FencedLeaderEpoch);
}

#[tokio::test]
async fn the_latest_offset_is_not_told_before_a_new_leader_can_know_it() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, super::world::OTHER]));
    world.put(id, &["not committed"]).await;
    let latest = || vec![ListOffset { partition: id, spec: OffsetSpec::Latest, current_leader_epoch: None }];
    let told = world.broker.list_offsets(latest(), Isolation::ReadUncommitted).await.remove(0);
    assert_eq!(told.unwrap().offset, 0, "its own epoch begins where the log ended then");

    // What the leader before this one had committed may reach up to the start of its epoch.
    world.assign(id, led_by(Some(BROKER), 2, &[BROKER, super::world::OTHER]));
    let told = world.broker.list_offsets(latest(), Isolation::ReadUncommitted).await.remove(0);
    assert_eq!(code(&told), ErrorCode::OffsetNotAvailable);
    // Nor that no record is as late as that.
    for spec in [OffsetSpec::Timestamp(0), OffsetSpec::MaxTimestamp] {
        let sought = ListOffset { partition: id, spec, current_leader_epoch: None };
        let told = world.broker.list_offsets(vec![sought], Isolation::ReadUncommitted).await.remove(0);
        assert_eq!(code(&told), ErrorCode::OffsetNotAvailable, "{spec:?}");
    }
    // Earlier offsets are no secret.
    let earliest = ListOffset { partition: id, spec: OffsetSpec::Earliest, current_leader_epoch: None };
    let told = world.broker.list_offsets(vec![earliest], Isolation::ReadUncommitted).await.remove(0);
    assert_eq!(told.unwrap().offset, 0);

    world.assign(id, led_by(Some(BROKER), 2, &[BROKER]));
    // Answered by the replica's actor, behind what the metadata says.
    world.broker.describe_producers(id).await.unwrap();
    let told = world.broker.list_offsets(latest(), Isolation::ReadUncommitted).await.remove(0);
    assert_eq!(told.unwrap().offset, 1);
}

async fn delete(
    world: &World,
    id: levada_types::TopicIdPartition,
    before: Option<Offset>,
) -> Result<Offset, ErrorCode> {
    let request = vec![DeleteRecords { partition: id, before }];
    world.broker.delete_records(request, FOR_EVER).await.remove(0).map_err(|error| error.code)
}

#[tokio::test]
async fn deleted_records_are_gone_and_the_answer_is_where_the_log_starts() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    for value in ["a", "b", "c"] {
        world.put(id, &[value]).await;
    }
    assert_eq!(delete(&world, id, Some(2)).await, Ok(2));
    assert_eq!(world.get(id, 1).await.error, ErrorCode::OffsetOutOfRange);
    assert_eq!(world.values(id, 2).await, ["c"]);
    assert_eq!(delete(&world, id, Some(1)).await, Ok(2), "there is nothing left to delete there");
    assert_eq!(delete(&world, id, Some(9)).await, Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(delete(&world, id, None).await, Ok(3));
    assert_eq!(world.put(id, &["d"]).await, 3);
    assert_eq!(world.values(id, 3).await, ["d"]);
}

#[tokio::test]
async fn the_head_of_a_compacted_topic_stays() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    world.configure(id.topic_id, "cleanup.policy", "compact");
    assert_eq!(delete(&world, id, None).await, Err(ErrorCode::PolicyViolation));
    // And its records need keys.
    assert!(world.produce(id, batch(&["no key"])).await.is_err());
    let mut keyed = levada_records::BatchBuilder::new();
    keyed.append(crate::clock::now_ms(), Some(b"k"), Some(b"v"), &[]).unwrap();
    world.produce(id, keyed.build(levada_records::Compression::None, None).unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_end_of_each_leader_epoch_is_known() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a", "b"]).await;
    world.assign(id, led_by(Some(BROKER), 3, &[BROKER]));
    let ask = |epoch| EpochEndRequest { partition: id, current_leader_epoch: None, leader_epoch: LeaderEpoch(epoch) };
    let ends = world.broker.epoch_ends(&[ask(0), ask(2), ask(3), ask(4)]);
    let ends: Vec<_> = ends.into_iter().map(|end| end.unwrap().map(|end| (end.epoch.0, end.end_offset))).collect();
    assert_eq!(ends, [Some((0, 2)), Some((0, 2)), Some((3, 2)), None]);
    world.put(id, &["c"]).await;
    let ends = world.broker.epoch_ends(&[ask(0), ask(3)]);
    let ends: Vec<_> = ends.into_iter().map(|end| end.unwrap().map(|end| end.end_offset)).collect();
    assert_eq!(ends, [Some(2), Some(3)]);
}

#[tokio::test]
async fn log_directories_tell_what_is_in_them() {
    let mut world = World::new();
    let id = tp(world.create("orders", 2), 0);
    world.put(id, &["a"]).await;
    let directories = world.broker.describe_log_dirs().await;
    assert_eq!(directories.len(), 1);
    assert_eq!(directories[0].error, ErrorCode::None);
    assert!(directories[0].total_bytes > 0 && directories[0].usable_bytes > 0);
    let mut sizes: Vec<_> = directories[0].replicas.iter().map(|r| (r.partition, r.size, r.offset_lag)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(0, batch(&["a"]).len() as i64, 0), (1, 0, 0)]);
}

#[tokio::test]
async fn settings_are_described_with_their_sources() {
    let mut world = World::new();
    let topic = world.create("orders", 1);
    world.configure(topic, "retention.ms", "5");
    let resource = DescribedResource::Topic(TopicName::new("orders").unwrap());
    let all = world.broker.describe_configs(&resource, None).unwrap();
    assert_eq!(all.len(), levada_metadata::config::TOPIC_CONFIGS.len());
    let names = ["retention.ms".to_owned(), "segment.bytes".to_owned()];
    let two = world.broker.describe_configs(&resource, Some(&names)).unwrap();
    let two: Vec<_> = two.into_iter().map(|config| (config.name, config.value, config.source)).collect();
    assert_eq!(
        two,
        [
            ("retention.ms", Some("5".to_owned()), ConfigSource::DynamicTopic),
            ("segment.bytes", Some("1073741824".to_owned()), ConfigSource::Default),
        ]
    );
    let unknown = DescribedResource::Topic(TopicName::new("unknown").unwrap());
    assert_eq!(code(&world.broker.describe_configs(&unknown, None)), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn without_a_controller_nothing_is_decided_and_that_is_said() {
    let mut world = World::new();
    world.create("here", 1);
    assert_eq!(world.broker.init_producer_id().await, Err(ErrorCode::CoordinatorNotAvailable));
    let created = world.broker.auto_create_topics(&["here", "not/valid", "__consumer_offsets", "new"]).await;
    assert_eq!(
        created,
        [
            Ok(()),
            Err(ErrorCode::InvalidTopicException),
            Err(ErrorCode::UnknownTopicOrPartition),
            Err(ErrorCode::LeaderNotAvailable),
        ]
    );
}

#[tokio::test]
async fn produce_room_returns_once_the_queue_is_written() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    let records = builder(&["a"]).build(levada_records::Compression::None, None).unwrap();
    world.produce(id, records).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), world.broker.produce_room()).await.unwrap();
    assert_eq!(world.broker.in_flight.queued(), 0);
}
