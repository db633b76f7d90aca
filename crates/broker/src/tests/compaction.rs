//! Compacted topics: what is let in, and what is left of their logs.

use std::sync::Arc;

use bytes::Bytes;
use levada_log::sim::SimDisk;
use levada_records::{BatchBuilder, Compression};
use levada_types::{ErrorCode, Offset, TopicIdPartition};

use super::world::{BROKER, OTHER, World, batch, code, led_by, tp};
use crate::cleaner::Cleaners;

/// A compacted topic whose segments are small.
fn compacted(world: &mut World, name: &str) -> TopicIdPartition {
    let topic = world.create(name, 1);
    for (setting, value) in [("cleanup.policy", "compact"), ("segment.bytes", "200"), ("index.interval.bytes", "0")] {
        world.configure(topic, setting, value);
    }
    tp(topic, 0)
}

fn keyed(key: &str, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(crate::clock::now_ms(), Some(key.as_bytes()), Some(value.as_bytes()), &[]).unwrap();
    builder.build(Compression::None, None).unwrap()
}

/// Overwrites three keys again and again.
async fn overwrite(world: &World, id: TopicIdPartition, times: usize) {
    for i in 0..times {
        world.produce(id, keyed(&format!("k{}", i % 3), &i.to_string())).await.unwrap();
    }
}

/// Has the dirtiest log cleaned, once closed segments are flushed, as they are all the time; says whether there was one.
fn clean_one(world: &World, cleaners: &Cleaners) -> bool {
    for partition in world.broker.partitions.all() {
        partition.reader().flush_closed_segments().unwrap();
    }
    cleaners.clean_one()
}

async fn all_values(world: &World, id: TopicIdPartition) -> Vec<String> {
    let end = world.broker.partitions.get(&id).unwrap().high_watermark();
    let (mut values, mut offset): (Vec<String>, Offset) = (Vec::new(), 0);
    while offset < end {
        let fetched = world.get(id, offset).await;
        assert_eq!(fetched.error, ErrorCode::None);
        let slice = fetched.records.unwrap();
        values.extend(super::world::values_in(&slice));
        let bytes = slice.to_bytes().unwrap();
        let last = levada_records::Batches::new(&bytes).last().unwrap().unwrap();
        offset = last.header().next_offset();
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_is_compacted_and_others_are_not() {
    let mut world = World::new();
    let id = compacted(&mut world, "compacted");
    let other = tp(world.create("plain", 1), 0);
    world.configure(other.topic_id, "segment.bytes", "200");
    let cleaners = Cleaners::by_hand(&world.broker);
    assert!(!clean_one(&world, &cleaners), "there is nothing yet");
    overwrite(&world, id, 30).await;
    overwrite(&world, other, 30).await;
    assert!(clean_one(&world, &cleaners));
    let values = all_values(&world, id).await;
    assert!(values.len() < 8, "{values:?}");
    assert_eq!(values[values.len() - 3..], ["27", "28", "29"]);
    assert_eq!(all_values(&world, other).await.len(), 30);
    assert!(!clean_one(&world, &cleaners), "it is clean");

    // The settings count as they are now.
    world.configure(id.topic_id, "cleanup.policy", "delete");
    overwrite(&world, id, 30).await;
    assert!(!clean_one(&world, &cleaners));
    world.configure(id.topic_id, "cleanup.policy", "compact,delete");
    assert!(clean_one(&world, &cleaners));
    let before = all_values(&world, id).await;
    drop(cleaners);
    let world = world.restart();
    assert_eq!(all_values(&world, id).await, before);
    assert!(!clean_one(&world, &Cleaners::by_hand(&world.broker)), "how far it was cleaned is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_is_not_compacted() {
    let mut world = World::new();
    let id = compacted(&mut world, "compacted");
    overwrite(&world, id, 12).await;
    // The other one is in sync, and has nothing yet of what comes now.
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    overwrite(&world, id, 30).await;
    let partition = world.broker.partitions.get(&id).unwrap();
    assert_eq!((partition.high_watermark(), partition.reader().log_end_offset()), (12, 42));
    let cleaners = Cleaners::by_hand(&world.broker);
    assert!(clean_one(&world, &cleaners));
    assert!(!clean_one(&world, &cleaners));
    let reader = partition.reader();
    assert!(reader.cleaned_to() > 0 && reader.cleaned_to() <= 12);
    let rest = reader.read(12, 1 << 20, Offset::MAX, true).unwrap();
    assert!(!rest.slice.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_log_that_cannot_be_compacted_keeps_no_other_from_it() {
    let mut world = World::new();
    let (bad, good) = (compacted(&mut world, "bad"), compacted(&mut world, "good"));
    overwrite(&world, bad, 60).await;
    overwrite(&world, good, 30).await;
    let directory = &world.broker.store.directories()[0].path;
    let path = directory.join("bad-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[80] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let cleaners = Cleaners::by_hand(&world.broker);
    let cleaned = [clean_one(&world, &cleaners), clean_one(&world, &cleaners), clean_one(&world, &cleaners)];
    assert_eq!(cleaned.iter().filter(|cleaned| **cleaned).count(), 1, "{cleaned:?}");
    assert!(all_values(&world, good).await.len() < 8);
    let partition = world.broker.partitions.get(&bad).unwrap();
    assert_eq!(partition.reader().cleaned_to(), 0);
    assert_eq!(partition.health(), crate::partition::Health::Good, "it goes on serving what can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleaning_that_stops_half_way_leaves_a_log_that_is_opened_anew() {
    let disk = SimDisk::new();
    let mut world = World::over(Arc::new(disk.clone()), &["/data".into()]);
    let id = compacted(&mut world, "compacted");
    overwrite(&world, id, 30).await;
    let partition = world.broker.partitions.get(&id).unwrap();
    partition.reader().flush_closed_segments().unwrap();
    let before = disk.operations();
    // Renaming finds no room, somewhere in the middle of putting a segment in its place.
    disk.fill_at(before + 14);
    let cleaners = Cleaners::by_hand(&world.broker);
    clean_one(&world, &cleaners);
    let mut unopened = crate::reconcile::Unopened::new();
    world.broker.open_closed_logs(&mut unopened);
    assert!(unopened.is_empty(), "{unopened:?}");
    let values = all_values(&world, id).await;
    assert_eq!(values[values.len() - 3..], ["27", "28", "29"]);
    world.produce(id, keyed("k0", "30")).await.unwrap();
}

#[tokio::test]
async fn records_without_a_key_are_refused_where_logs_are_compacted() {
    let mut world = World::new();
    let id = compacted(&mut world, "compacted");
    assert_eq!(code(&world.produce(id, batch(&["no key"])).await), ErrorCode::InvalidRecord);
    assert_eq!(world.broker.partitions.get(&id).unwrap().reader().log_end_offset(), 0);
    world.produce(id, keyed("k", "v")).await.unwrap();
    world.configure(id.topic_id, "cleanup.policy", "delete");
    world.put(id, &["no key"]).await;
}
