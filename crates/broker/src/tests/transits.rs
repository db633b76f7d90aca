//! Logs that are opened anew, in another directory or where they lie: what goes on meanwhile, and what is left by whatever
//! happens on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use levada_log::{DirectoryState, Disk};
use levada_types::{DirectoryId, ErrorCode, TopicIdPartition};

use super::disks::fail_half_way;
use super::two_disks::{Operation, TwoDisks};
use super::world::{BROKER, OTHER, World, batch, code, led_by, one, tp};
use crate::Broker;
use crate::api::Acks;
use crate::directories::Mover;
use crate::partition::{Health, Partition};
use crate::reconcile::Unopened;

/// More turns than any move of these tests takes.
const TURNS: usize = 100;

fn world_over(disks: &TwoDisks) -> World {
    World::over(Arc::new(disks.clone()), &[PathBuf::from("/a"), PathBuf::from("/b")])
}

fn directory(world: &World, number: usize) -> DirectoryId {
    world.broker.store.directories()[number].id.unwrap()
}

fn state(world: &World, number: usize) -> DirectoryState {
    world.broker.store.directories()[number].state
}

fn hosted(world: &World, id: TopicIdPartition) -> Arc<Partition> {
    world.broker.partitions.get(&id).unwrap()
}

/// A broker with one replica, in `/a`, that holds `a` and `b` and is to lie in `/b`.
async fn about_to_move(disks: &TwoDisks) -> (World, TopicIdPartition) {
    let mut world = world_over(disks);
    let id = tp(world.create("orders", 1), 0);
    assert_eq!(hosted(&world, id).directory(), directory(&world, 0));
    world.put(id, &["a", "b"]).await;
    world.broker.moves.want(id, directory(&world, 1));
    (world, id)
}

/// Gives moves their turns until there are none left.
async fn move_all(broker: Arc<Broker>) {
    let mut mover = Mover::new(Arc::clone(&broker));
    for _ in 0..TURNS {
        if broker.moves.all().is_empty() {
            return;
        }
        mover.pass().await;
    }
    panic!("a move does not come to its end");
}

fn look_after_directories(world: &World) {
    world.broker.look_after_directories(&mut Unopened::new());
}

/// The directories of logs, by whatever name.
fn logs(disks: &TwoDisks, dir: &str) -> Vec<String> {
    let entries = disks.list(Path::new(dir)).unwrap();
    entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect()
}

/// It is hosted in this directory, with what it held, and takes records.
async fn is_whole(world: &World, id: TopicIdPartition, directory: DirectoryId) {
    let replica = hosted(world, id);
    assert_eq!((replica.health(), replica.directory()), (Health::Good, directory));
    assert_eq!(world.values(id, 0).await, ["a", "b"]);
    assert_eq!(world.put(id, &["c"]).await, 2);
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
}

/// Where a move can be stopped.
type Here = Box<dyn Fn(Operation, &Path) -> bool + Send + Sync>;

/// The stations of a move after the actor has let go of the log.
fn stations(replica: &Arc<Partition>) -> [Here; 3] {
    let moving = Arc::clone(replica);
    let copies_the_rest: Here = Box::new(move |_, path| {
        moving.health() == Health::Moving && path.starts_with("/b") && !path.ends_with("orders-0")
    });
    [copies_the_rest, Box::new(takes_the_name), Box::new(is_opened_there)]
}

/// The copy takes the name of the log.
fn takes_the_name(operation: Operation, path: &Path) -> bool {
    operation == Operation::Rename && path == Path::new("/b/orders-0")
}

/// The log is opened in its new place.
fn is_opened_there(operation: Operation, path: &Path) -> bool {
    operation == Operation::List && path == Path::new("/b/orders-0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_followed_while_a_move_waits_for_a_disk() {
    for station in 0..3 {
        let disks = TwoDisks::new();
        let (mut world, id) = about_to_move(&disks).await;
        let here = stations(&hosted(&world, id)).into_iter().nth(station).unwrap();
        let gate = disks.stop_at(here);
        let moving = tokio::spawn(move_all(Arc::clone(&world.broker)));
        gate.reached();
        assert!(world.broker.hosting.try_lock().is_some(), "the reconciler would wait for that disk");
        assert_eq!(hosted(&world, id).health(), Health::Moving);
        world.configure(id.topic_id, "flush.messages", "1");
        world.assign(id, led_by(Some(OTHER), 5, &[OTHER, BROKER]));
        let other = tp(world.create("others", 1), 0);
        assert_eq!(world.put(other, &["written meanwhile"]).await, 0);
        gate.open();
        moving.await.unwrap();

        // What came meanwhile counts.
        assert_eq!(code(&world.produce(id, batch(&["c"])).await), ErrorCode::NotLeaderOrFollower);
        world.assign(id, led_by(Some(BROKER), 6, &[BROKER]));
        is_whole(&world, id, directory(&world, 1)).await;
        assert_eq!(hosted(&world, id).reader().recovery_point(), 3, "every record is flushed by now");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_followed_while_a_move_waits_for_an_actor() {
    let disks = TwoDisks::new();
    let (mut world, id) = about_to_move(&disks).await;
    let gate = disks.stop_at(|operation, path| operation == Operation::Write && path.starts_with("/a/orders-0"));
    let appending = world.broker.produce(one(id, batch(&["late"]), Acks::Leader));
    gate.reached();
    let moving = tokio::spawn(move_all(Arc::clone(&world.broker)));
    while !world.broker.transits.contains(hosted(&world, id).name()) {
        tokio::task::yield_now().await;
    }
    assert!(world.broker.hosting.try_lock().is_some(), "the reconciler would wait for that actor");
    world.assign(id, led_by(Some(BROKER), 5, &[BROKER]));
    gate.open();
    moving.await.unwrap();
    assert_eq!(appending.await.pop().unwrap().unwrap().base_offset, 2);
    assert_eq!(hosted(&world, id).directory(), directory(&world, 1));
    assert_eq!(world.values(id, 0).await, ["a", "b", "late"]);
    assert_eq!(world.put(id, &["c"]).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_goes_while_its_log_moves_leaves_its_name_to_the_next() {
    for station in 0..3 {
        let disks = TwoDisks::new();
        let (mut world, id) = about_to_move(&disks).await;
        let here = stations(&hosted(&world, id)).into_iter().nth(station).unwrap();
        let gate = disks.stop_at(here);
        let moving = tokio::spawn(move_all(Arc::clone(&world.broker)));
        gate.reached();
        world.delete(id.topic_id);
        let again = tp(world.create("orders", 1), 0);
        assert_eq!(world.unopened(), 1, "the name is not free yet");
        gate.open();
        moving.await.unwrap();

        world.step(Vec::new());
        assert_eq!(world.unopened(), 0);
        assert_eq!(world.put(again, &["new"]).await, 0);
        assert_eq!(world.values(again, 0).await, ["new"]);
        let found: Vec<_> = world.broker.store.partitions().into_iter().map(|found| found.topic_id).collect();
        assert_eq!(found, [Some(again.topic_id)]);
        let left = [logs(&disks, "/a"), logs(&disks, "/b")].concat();
        let is_doomed = |name: &&String| name.ends_with("-delete");
        assert_eq!(left.iter().filter(|name| !is_doomed(name)).collect::<Vec<_>>(), ["orders-0"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stops_waits_for_a_log_that_changes_places() {
    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    let gate = disks.stop_at(takes_the_name);
    let moving = tokio::spawn(move_all(Arc::clone(&world.broker)));
    gate.reached();
    let closing = Arc::clone(&world.broker);
    let closed = tokio::task::spawn_blocking(move || closing.close_all());
    gate.open();
    moving.await.unwrap();
    assert!(closed.await.unwrap(), "cleanly");
    assert_eq!(hosted(&world, id).directory(), directory(&world, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_followed_while_a_closed_log_waits_for_its_disk() {
    for goes in [false, true] {
        let disks = TwoDisks::new();
        let mut world = World::over(Arc::new(disks.clone()), &[PathBuf::from("/data")]);
        let id = tp(world.create("orders", 1), 0);
        world.put(id, &["a", "b"]).await;
        fail_half_way(&world, &disks.b, id).await;
        let gate = disks.stop_at(|operation, path| operation == Operation::List && path == Path::new("/data/orders-0"));
        let looking = Arc::clone(&world.broker);
        let looked = tokio::task::spawn_blocking(move || looking.look_after_directories(&mut Unopened::new()));
        gate.reached();
        assert!(world.broker.hosting.try_lock().is_some(), "the reconciler would wait for that disk");
        if goes {
            world.delete(id.topic_id);
        } else {
            world.assign(id, led_by(Some(BROKER), 5, &[BROKER]));
        }
        gate.open();
        looked.await.unwrap();
        if goes {
            assert!(world.broker.partitions.get(&id).is_none());
            let again = tp(world.create("orders", 1), 0);
            assert_eq!((world.unopened(), world.put(again, &["new"]).await), (0, 0));
        } else {
            is_whole(&world, id, directory(&world, 0)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_closed_while_it_is_about_to_move_is_opened_anew_first() {
    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    let gate = disks.stop_at(|operation, path| operation == Operation::Write && path.starts_with("/a/orders-0"));
    let appending = world.broker.produce(one(id, batch(&["c"]), Acks::Leader));
    gate.reached();
    let mut mover = Mover::new(Arc::clone(&world.broker));
    let moving = tokio::spawn(async move {
        // It copies; then it asks the actor to let go.
        while mover.pass().await {}
        mover
    });
    let replica = hosted(&world, id);
    while !world.broker.transits.contains(replica.name()) {
        tokio::task::yield_now().await;
    }
    world.broker.replication.closed_logs.add(&replica);
    gate.open();
    moving.await.unwrap();
    drop(appending.await);
    assert_eq!((replica.health(), replica.directory()), (Health::Closed, directory(&world, 0)));

    look_after_directories(&world);
    assert_eq!(hosted(&world, id).health(), Health::Good);
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
    move_all(Arc::clone(&world.broker)).await;
    assert_eq!(hosted(&world, id).directory(), directory(&world, 1));
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn moves_that_cannot_go_on_let_others_pass() {
    let disks = TwoDisks::new();
    let mut world = world_over(&disks);
    let topic = world.create("orders", 20);
    let (from, to) = (directory(&world, 0), directory(&world, 1));
    let mut ids: Vec<_> = (0..20).map(|partition| tp(topic, partition)).collect();
    ids.retain(|id| hosted(&world, *id).directory() == from);
    assert_eq!(ids.len(), 10);
    for id in &ids {
        world.put(*id, &["a", "b"]).await;
        world.broker.moves.want(*id, to);
    }
    // All but the last wait for their logs to be opened anew.
    let last = ids.pop().unwrap();
    ids.iter().for_each(|id| hosted(&world, *id).turn(Health::Closed));
    let mut mover = Mover::new(Arc::clone(&world.broker));
    for _ in 0..TURNS {
        mover.pass().await;
    }
    is_whole(&world, last, to).await;
    assert_eq!(world.broker.moves.all().len(), 9);
}

#[tokio::test]
async fn a_copy_that_could_not_be_written_is_taken_up_again() {
    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    let mut mover = Mover::new(Arc::clone(&world.broker));
    assert!(mover.pass().await, "it is begun");
    world.put(id, &["c"]).await;
    // Of the next record a part finds space, and cannot be taken back.
    let space = disks.b.space(Path::new("/b")).unwrap();
    disks.b.set_capacity(space.total - space.available + 10);
    disks.b.fill_at(disks.b.operations() + 3);
    assert!(!mover.pass().await);
    disks.b.set_capacity(u64::MAX);
    world.broker.store.probe(crate::clock::now_ms() + 60_000);
    for _ in 0..TURNS {
        mover.pass().await;
    }
    assert_eq!((hosted(&world, id).directory(), world.broker.moves.all().len()), (directory(&world, 1), 0));
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_move_out_of_a_directory_that_has_failed_is_over() {
    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    let mut mover = Mover::new(Arc::clone(&world.broker));
    assert!(mover.pass().await, "it is begun");
    assert!(logs(&disks, "/b")[0].ends_with("-future"));
    disks.a.set_broken(true);
    assert_eq!(code(&world.produce(id, batch(&["lost"])).await), ErrorCode::KafkaStorageError);
    look_after_directories(&world);
    mover.pass().await;
    assert!(world.broker.moves.all().is_empty());
    assert!(logs(&disks, "/b").iter().all(|name| name.ends_with("-delete")));
}

#[tokio::test]
async fn a_defect_in_a_move_leaves_the_replica_where_it_was() {
    let disks = TwoDisks::new();
    let (mut world, id) = about_to_move(&disks).await;
    // What is not committed is copied when nobody writes the log any more.
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    world.put(id, &["c"]).await;
    let replica = hosted(&world, id);
    disks.once(
        move |_, path| replica.health() == Health::Moving && path.starts_with("/b"),
        || panic!("a defect while the rest is copied"),
    );
    move_all(Arc::clone(&world.broker)).await;
    look_after_directories(&world);
    assert_eq!((hosted(&world, id).health(), hosted(&world, id).directory()), (Health::Good, directory(&world, 0)));
    assert!(logs(&disks, "/b").iter().all(|name| name.ends_with("-delete")));
    world.assign(id, led_by(Some(BROKER), 2, &[BROKER]));
    world.broker.parts_taken().await;
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
    // Asked for again, it goes well.
    world.broker.moves.want(id, directory(&world, 1));
    move_all(Arc::clone(&world.broker)).await;
    assert_eq!(hosted(&world, id).directory(), directory(&world, 1));
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_defect_after_a_move_leaves_the_replica_in_its_new_place() {
    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    disks.once(is_opened_there, || panic!("a defect while the log is opened"));
    move_all(Arc::clone(&world.broker)).await;
    assert_eq!(hosted(&world, id).health(), Health::Closed);
    look_after_directories(&world);
    is_whole(&world, id, directory(&world, 1)).await;
}

#[tokio::test]
async fn where_nobody_can_tell_which_log_a_crash_leaves_the_directory_is_given_up() {
    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    disks.once(takes_the_name, || panic!("a defect between two renames"));
    move_all(Arc::clone(&world.broker)).await;
    assert_eq!((hosted(&world, id).health(), state(&world, 0)), (Health::Failed, DirectoryState::Offline));
    assert_eq!(state(&world, 1), DirectoryState::Online);

    let disks = TwoDisks::new();
    let (world, id) = about_to_move(&disks).await;
    let failing = disks.b.clone();
    let replica = hosted(&world, id);
    disks.once(
        move |operation, path| {
            replica.health() == Health::Moving
                && operation == Operation::SyncDir
                && path == Path::new("/b")
                && logs_now(&failing).contains(&"orders-0".to_owned())
        },
        {
            let failing = disks.b.clone();
            move || failing.set_broken(true)
        },
    );
    move_all(Arc::clone(&world.broker)).await;
    assert_eq!(hosted(&world, id).health(), Health::Failed);
    assert_eq!((state(&world, 0), state(&world, 1)), (DirectoryState::Offline, DirectoryState::Offline));
}

/// The names in `/b`, seen without meeting anybody.
fn logs_now(disk: &impl Disk) -> Vec<String> {
    disk.list(Path::new("/b")).unwrap().into_iter().map(|entry| entry.name).collect()
}
