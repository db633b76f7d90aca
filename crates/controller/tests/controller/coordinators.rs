//! Coordinators' sessions, and the shards that depend on them.

use levada_controller::ControllerOptions;
use levada_metadata::{
    Command, CoordinatorKind, CreatedTopic, Image, LevelRange, NewCoordinator, NewShards, Response, shards::invariants,
};
use levada_peers::{Controllers, CoordinatorSession};
use levada_service::net::{Address, Network};
use levada_types::{CoordinatorEpoch, LeaderEpoch};
use uuid::Uuid;

use crate::node::{Node, PATIENCE, Watch, controllers, live_broker, options, submit};

const GROUP: CoordinatorKind = CoordinatorKind::Group;
const SHARDS: i32 = 4;

fn coordinator(name: &str) -> NewCoordinator {
    NewCoordinator {
        kind: GROUP,
        incarnation: Uuid::new_v4(),
        name: name.to_owned(),
        internal_address: format!("memory:{name}"),
        levels: LevelRange::SUPPORTED,
    }
}

async fn create_shards(controllers: &Controllers, replication_factor: i16) -> CreatedTopic {
    let new = NewShards { kind: GROUP, partitions: SHARDS, replication_factor, configs: Vec::new() };
    match submit(controllers, Command::CreateShards(new)).await.0 {
        Response::CreateShards(created) => created.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A coordinator that has its session, and the address that it listens at.
struct Running {
    session: CoordinatorSession,
    epoch: CoordinatorEpoch,
    listener: levada_service::net::Listener,
}

async fn run(network: &Network, controllers: &Controllers, watcher: &Watch, new: &NewCoordinator) -> Running {
    let address: Address = new.internal_address.parse().unwrap();
    let listener = network.bind(&address).await.unwrap();
    let session = CoordinatorSession::open(controllers.clone(), new, watcher.watch.clone());
    let epoch = tokio::time::timeout(PATIENCE, session.registered()).await.expect("in time").unwrap();
    Running { session, epoch, listener }
}

fn owned(image: &Image, epoch: CoordinatorEpoch) -> usize {
    image.shards_of(epoch).count()
}

fn leader_epochs(image: &Image) -> Vec<LeaderEpoch> {
    image.shard_topic(GROUP).unwrap().partitions().map(|(_, partition)| partition.leader_epoch).collect()
}

/// A controller that waits for nobody whose end is not known, so that whatever is removed was seen to be gone.
fn patient(dir: &std::path::Path) -> ControllerOptions {
    const NEVER_MS: u64 = 3_600_000;
    ControllerOptions {
        broker_session_timeout_ms: NEVER_MS,
        broker_session_grace_ms: NEVER_MS,
        broker_reconnect_timeout_ms: NEVER_MS,
        ..options(1, dir)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_follow_the_coordinators_that_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    live_broker(&to_controller, 7).await;
    let first = run(&network, &to_controller, &watcher, &coordinator("g-1")).await;
    let created = create_shards(&to_controller, 3).await;
    assert_eq!((created.partitions, created.replication_factor), (SHARDS, 1));
    watcher.until(|image| owned(image, first.epoch) == 4).await;
    let second = run(&network, &to_controller, &watcher, &coordinator("g-2")).await;
    watcher.until(|image| owned(image, first.epoch) == 2 && owned(image, second.epoch) == 2).await;
    let before = leader_epochs(&watcher.watch.image());

    // A process dies: its stream breaks and nobody listens where it was.
    drop((first.session, first.listener));
    watcher.until(|image| owned(image, second.epoch) == 4).await;
    let image = watcher.watch.image();
    assert_eq!((image.coordinators(GROUP).count(), image.coordinator(first.epoch)), (1, None));
    let raised = before.iter().zip(leader_epochs(&image)).filter(|(was, is)| is > *was).count();
    assert_eq!(raised, 2, "what it had is fenced, and nothing else");

    // Another one stops in good order: all is moved before it goes.
    let third = run(&network, &to_controller, &watcher, &coordinator("g-3")).await;
    let lease = second.session.lease();
    let mut state = second.session.state();
    state.wait_for(|state| !state.fenced).await.unwrap();
    assert!(lease.is_current());
    let moved = second.session.stop(PATIENCE).await.expect("it may stop");
    assert!(!lease.is_current());
    watcher.until(|image| image.offset() >= moved).await;
    let image = watcher.watch.image();
    assert_eq!((owned(&image, third.epoch), image.coordinator(second.epoch)), (4, None));
    invariants::check(image.state()).unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_nobody_listens_for_any_more_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(patient(dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let first = run(&network, &to_controller, &watcher, &coordinator("g-1")).await;
    drop((first.session, first.listener));
    watcher.until(|image| image.all_coordinators().next().is_none()).await;

    // The same when it dies with the active controller.
    let second = run(&network, &to_controller, &watcher, &coordinator("g-1")).await;
    node.stop().await;
    drop((second.session, second.listener));
    let node = Node::active(patient(dir.path()), &network).await;
    watcher.until(|image| image.offset().0 > 0 && image.all_coordinators().next().is_none()).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_keeps_its_epoch_and_its_shards_over_a_restart_of_the_controller() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    live_broker(&to_controller, 7).await;
    let first = run(&network, &to_controller, &watcher, &coordinator("g-1")).await;
    create_shards(&to_controller, 1).await;
    watcher.until(|image| owned(image, first.epoch) == 4).await;
    let before = leader_epochs(&watcher.watch.image());
    node.stop().await;

    let node = Node::active(options(1, dir.path()), &network).await;
    // Only one that has come to the new active controller is let go.
    assert!(first.session.stop(PATIENCE).await.is_some());
    let image = node.running.image();
    assert_eq!(image.last_coordinator_epoch(), first.epoch.0, "it never became another one");
    assert!(before.iter().zip(leader_epochs(&image)).all(|(was, is)| is == was.next()), "moved once, to nobody");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_counted_out_comes_back_as_another_without_a_lease_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    live_broker(&to_controller, 7).await;
    create_shards(&to_controller, 1).await;
    let coordinator = run(&network, &to_controller, &watcher, &coordinator("g-1")).await;
    let mut state = coordinator.session.state();
    state.wait_for(|state| !state.fenced).await.unwrap();
    let (removed, _) = submit(&to_controller, Command::RemoveCoordinator { epoch: coordinator.epoch }).await;
    assert_eq!(removed, Response::RemoveCoordinator(Ok(())));
    let other = |epoch: Option<CoordinatorEpoch>| epoch.is_some_and(|epoch| epoch != coordinator.epoch);
    let again = tokio::time::timeout(PATIENCE, state.wait_for(|state| other(state.epoch))).await.expect("in time");
    let epoch = again.unwrap().epoch.unwrap();
    assert_eq!(coordinator.session.epoch(), Some(epoch));
    watcher.until(|image| owned(image, epoch) == 4).await;
    tokio::time::timeout(PATIENCE, state.wait_for(|state| !state.fenced)).await.expect("in time").unwrap();
    assert!(coordinator.session.lease().is_current());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_that_claim_one_address_the_one_that_is_here_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let first = run(&network, &to_controller, &watcher, &coordinator("g-1")).await;
    let rival = CoordinatorSession::open(to_controller.clone(), &coordinator("g-1"), watcher.watch.clone());
    // As long as it takes others to come and go, the rival has asked and been refused.
    for name in ["g-2", "g-3"] {
        let other = run(&network, &to_controller, &watcher, &coordinator(name)).await;
        other.session.stop(PATIENCE).await.expect("it may stop");
    }
    assert_eq!(rival.epoch(), None);
    assert!(node.running.image().coordinator(first.epoch).is_some());
    drop(first.session);
    let epoch = tokio::time::timeout(PATIENCE, rival.registered()).await.expect("let in").unwrap();
    watcher.until(|image| image.coordinator(epoch).is_some() && image.coordinator(first.epoch).is_none()).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topic_of_shards_grows_when_brokers_come() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    live_broker(&to_controller, 1).await;
    create_shards(&to_controller, 3).await;
    for id in [2, 3, 4] {
        live_broker(&to_controller, id).await;
    }
    let replicas = |image: &Image| -> Vec<usize> {
        image.shard_topic(GROUP).unwrap().partitions().map(|(_, partition)| partition.replicas.len()).collect()
    };
    watcher.until(|image| image.shard_topic(GROUP).is_some() && replicas(image) == [3; SHARDS as usize]).await;
    node.stop().await;
}
