//! Disks that fill up, fail, and lose what was not synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_log::sim::SimDisk;
use levada_log::{DirectoryState, Disk};
use levada_types::{DirectoryId, ErrorCode, TopicIdPartition};

use super::two_disks::TwoDisks;
use super::world::{BROKER, OTHER, World, batch, code, led_by, one, tp};
use crate::api::Acks;
use crate::partition::Health;
use crate::reconcile::Unopened;

fn directories(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_takes_writes_again() {
    let disk = SimDisk::new();
    let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["before"]).await;

    disk.set_capacity(0);
    let refused = world.produce(id, batch(&["lost"])).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::KafkaStorageError);
    assert!(refused.code.is_retriable());
    assert!(refused.message.unwrap().contains("full"));
    assert_eq!(world.values(id, 0).await, ["before"]);
    assert_eq!(world.broker.store.directories()[0].state, DirectoryState::Full);
    // What cannot be created now is created later.
    let waiting = tp(world.create("waiting", 1), 0);
    assert_eq!(world.unopened(), 1);
    assert_eq!(code(&world.produce(waiting, batch(&["a"])).await), ErrorCode::KafkaStorageError);

    disk.set_capacity(u64::MAX);
    // A while later; a full directory is not asked at every write.
    world.broker.store.probe(crate::clock::now_ms() + 60_000);
    assert_eq!(world.put(id, &["after"]).await, 1);
    assert_eq!(world.values(id, 0).await, ["before", "after"]);
    world.step(Vec::new());
    assert_eq!(world.unopened(), 0);
    assert_eq!(world.put(waiting, &["a"]).await, 0);
}

#[tokio::test]
async fn a_disk_that_fails_takes_only_its_own_partitions_with_it() {
    let disks = TwoDisks::new();
    let mut world = World::over(Arc::new(disks.clone()), &directories(&["/a", "/b"]));
    let topic = world.create("orders", 2);
    let ids = [tp(topic, 0), tp(topic, 1)];
    let directory =
        |world: &World, id: &TopicIdPartition| -> DirectoryId { world.broker.partitions.get(id).unwrap().directory() };
    let of_a = world.broker.store.directories()[0].id.unwrap();
    let (on_a, on_b): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| directory(&world, id) == of_a);
    assert_eq!((on_a.len(), on_b.len()), (1, 1), "each directory gets one");
    let (on_a, on_b) = (on_a[0], on_b[0]);
    world.put(on_a, &["a"]).await;
    world.put(on_b, &["b"]).await;

    disks.a.set_broken(true);
    assert_eq!(code(&world.produce(on_a, batch(&["lost"])).await), ErrorCode::KafkaStorageError);
    assert_eq!(code(&world.produce(on_a, batch(&["lost"])).await), ErrorCode::KafkaStorageError);
    assert_eq!(world.get(on_a, 0).await.error, ErrorCode::KafkaStorageError);
    let described = world.broker.describe_log_dirs().await;
    let errors: Vec<_> = described.iter().map(|directory| directory.error).collect();
    assert_eq!(errors, [ErrorCode::KafkaStorageError, ErrorCode::None]);

    assert_eq!(world.put(on_b, &["b2"]).await, 1);
    assert_eq!(world.values(on_b, 0).await, ["b", "b2"]);
}

#[tokio::test]
async fn a_killed_process_has_lost_nothing_that_was_acknowledged() {
    let disk = SimDisk::new();
    let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
    let id = tp(world.create("orders", 1), 0);
    let values: Vec<String> = (0..50).map(|i| format!("value {i}")).collect();
    for value in &values {
        world.put(id, &[value]).await;
    }
    let world = world.crash(|| disk.restart_process());
    assert_eq!(world.values(id, 0).await, values);
    assert_eq!(world.put(id, &["next"]).await, 50);
}

#[tokio::test]
async fn after_a_power_cut_a_log_is_a_prefix_of_what_was_acknowledged() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        // An operator's volume, which is there before the broker is.
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.sync_all(Path::new("/data")).unwrap();
        let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
        let flushed = tp(world.create("flushed", 1), 0);
        world.configure(flushed.topic_id, "flush.messages", "1");
        let plain = tp(world.create("plain", 1), 0);
        let values: Vec<String> = (0..20).map(|i| format!("value {i}")).collect();
        for value in &values {
            world.put(flushed, &[value]).await;
            world.put(plain, &[value]).await;
        }
        let world = world.crash(|| disk.restart(seed));
        assert_eq!(world.values(flushed, 0).await, values, "seed {seed}: flush.messages=1 loses nothing");
        let kept = world.values(plain, 0).await;
        assert_eq!(world.broker.partitions.get(&plain).unwrap().high_watermark(), kept.len() as i64, "seed {seed}");
        assert_eq!(kept, values[..kept.len()], "seed {seed}");
        assert_eq!(world.put(plain, &["next"]).await, kept.len() as i64, "seed {seed}");
    }
}

/// An operator's volume, which is there before the broker is.
fn volume() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_all(Path::new("/data")).unwrap();
    disk
}

#[tokio::test]
async fn a_power_cut_takes_nothing_that_was_acknowledged_as_fsynced() {
    for seed in 0..20 {
        let disk = volume();
        let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
        let id = tp(world.create("orders", 1), 0);
        world.produce(id, batch(&["before it was asked for"])).await.unwrap();
        world.configure(id.topic_id, "acks.fsync", "true");
        let mut values = vec!["before it was asked for".to_owned()];
        // Several at a time, so that some share an fsync.
        let appending: Vec<_> = (0..20)
            .map(|i| {
                values.push(format!("value {i}"));
                world.broker.produce(one(id, batch(&[&values[i + 1]]), Acks::All))
            })
            .collect();
        for appended in appending {
            appended.await.pop().unwrap().unwrap();
        }
        let world = world.crash(|| disk.restart(seed));
        // What was found is committed once it is known to be fsynced.
        let next = world.broker.produce(one(id, batch(&["next"]), Acks::All)).await.pop().unwrap().unwrap();
        assert_eq!(next.base_offset, 21, "seed {seed}");
        assert_eq!(world.values(id, 0).await, [&values[..], &["next".to_owned()]].concat(), "seed {seed}");
    }
}

#[tokio::test]
async fn what_a_killed_process_had_not_fsynced_is_committed_once_it_is() {
    for _ in 0..20 {
        let disk = volume();
        let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
        let id = tp(world.create("orders", 1), 0);
        world.put(id, &["a", "b", "c"]).await;
        world.configure(id.topic_id, "acks.fsync", "true");
        // Before the crash it may have been fsynced, or not.
        let world = world.crash(|| disk.restart_process());
        let partition = world.broker.partitions.get(&id).unwrap();
        let committed = partition.high_watermark();
        assert!(committed <= partition.reader().recovery_point(), "{committed} is committed and not fsynced");
        assert_eq!(
            world.broker.produce(one(id, batch(&["d"]), Acks::All)).await.pop().unwrap().unwrap().base_offset,
            3
        );
        assert_eq!((partition.high_watermark(), partition.reader().recovery_point()), (4, 4));
    }
}

/// Writes a record of which only the beginning finds space, and which cannot be taken back; then there is space again.
pub(super) async fn fail_half_way(world: &World, disk: &SimDisk, id: TopicIdPartition) {
    let space = disk.space(Path::new("/data")).unwrap();
    disk.set_capacity(space.total - space.available + 10);
    // Ten bytes, the rest, and the cut.
    disk.fill_at(disk.operations() + 3);
    assert_eq!(code(&world.produce(id, batch(&["lost"])).await), ErrorCode::KafkaStorageError);
    disk.set_capacity(u64::MAX);
    world.broker.store.probe(crate::clock::now_ms() + 60_000);
    // Nothing must be written behind what is left of it.
    assert_eq!(code(&world.produce(id, batch(&["refused"])).await), ErrorCode::KafkaStorageError);
}

#[tokio::test]
async fn a_log_that_a_full_disk_has_closed_is_opened_anew_as_soon_as_it_can_be() {
    let disk = SimDisk::new();
    let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["before"]).await;
    let closed = world.broker.partitions.get(&id).unwrap();

    fail_half_way(&world, &disk, id).await;
    assert_eq!((closed.health(), world.get(id, 0).await.error), (Health::Closed, ErrorCode::KafkaStorageError));

    // Recovery cuts the rest of the write off, which fails at first.
    disk.fill_at(disk.operations() + 1);
    let mut unopened = Unopened::new();
    world.broker.look_after_directories(&mut unopened);
    assert_eq!(unopened.keys().collect::<Vec<_>>(), [&id]);
    assert_eq!(code(&world.produce(id, batch(&["refused"])).await), ErrorCode::KafkaStorageError);

    world.broker.store.probe(crate::clock::now_ms() + 120_000);
    world.broker.look_after_directories(&mut unopened);
    assert!(unopened.is_empty());
    assert_eq!(world.values(id, 0).await, ["before"]);
    assert_eq!(world.put(id, &["after"]).await, 1);
    assert_eq!(world.values(id, 0).await, ["before", "after"]);
    // Metadata reaches the new one, and nothing is left to be opened.
    world.assign(id, led_by(Some(OTHER), 1, &[OTHER, BROKER]));
    assert_eq!(code(&world.produce(id, batch(&["late"])).await), ErrorCode::NotLeaderOrFollower);
    let hosted = world.broker.partitions.get(&id).unwrap();
    world.broker.look_after_directories(&mut unopened);
    assert!(Arc::ptr_eq(&hosted, &world.broker.partitions.get(&id).unwrap()));
}

#[tokio::test]
async fn a_closed_log_whose_topic_is_deleted_stays_away() {
    let disk = SimDisk::new();
    let mut world = World::over(Arc::new(disk.clone()), &directories(&["/data"]));
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["before"]).await;
    fail_half_way(&world, &disk, id).await;
    let closed = world.broker.partitions.get(&id).unwrap();
    assert_eq!(closed.health(), Health::Closed);
    world.delete(id.topic_id);
    world.broker.look_after_directories(&mut Unopened::new());
    assert!(world.broker.partitions.get(&id).is_none());
    assert_eq!(closed.health(), Health::Gone);
    let again = tp(world.create("orders", 1), 0);
    assert_eq!(world.put(again, &["new"]).await, 0);
}
