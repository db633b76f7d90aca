//! Brokers' sessions: registered, unfenced, fenced, stopped in good order.

use levada_controller::ControllerOptions;
use levada_metadata::{Image, NewBroker};
use levada_peers::{BrokerSession, Controllers, MetadataWatch};
use levada_service::net::{Address, Network};
use levada_types::{BrokerId, ClusterId, ErrorCode};

use crate::node::{Node, PATIENCE, Watch, broker, controllers, create, options};

const BROKER: BrokerId = BrokerId(7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_leads_while_its_session_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let new = broker(7);
    let session = BrokerSession::open(to_controller.clone(), &new, watcher.watch.clone(), watcher.watch.clone());
    let epoch = session.registered().await.unwrap();
    assert!(node.running.image().broker(BROKER).is_some_and(|b| b.fenced && b.epoch == epoch));
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    create(&to_controller, "orders", 2).await;
    let leader = |partition| {
        let image = node.running.image();
        let topic = image.topic_by_name("orders").cloned().unwrap();
        topic.partition(partition).unwrap().leader
    };
    assert_eq!([leader(0), leader(1)], [Some(BROKER); 2]);

    // The process dies: its stream breaks, and after the grace period it leads nothing.
    drop(session);
    watcher.until(|image| image.broker(BROKER).is_some_and(|b| b.fenced)).await;
    watcher.until(|image| image.offset() >= node.running.image().offset()).await;
    assert_eq!([leader(0), leader(1)], [None; 2]);

    // It comes back as a new process, with what its only replica has.
    let again = BrokerSession::open(to_controller.clone(), &broker(7), watcher.watch.clone(), watcher.watch.clone());
    assert!(again.registered().await.unwrap() > epoch);
    again.set_ready();
    tokio::time::timeout(PATIENCE, again.unfenced()).await.expect("unfenced in time");
    assert_eq!([leader(0), leader(1)], [Some(BROKER); 2]);

    assert!(again.stop(PATIENCE).await.is_some(), "the controller lets it stop");
    assert!(node.running.image().broker(BROKER).is_some_and(|b| b.fenced && b.stopping));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_of_another_cluster_is_passed_over() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let network = Network::new();
    let node = Node::active(options(1, dir.path()), &network).await;
    // Somebody has given this one the directory of another cluster, and it is asked first.
    let foreign = Node::active(options(2, elsewhere.path()), &network).await;
    let before = foreign.running.image();
    let own = node.running.image().cluster_id().unwrap();
    assert_ne!(before.cluster_id(), Some(own));
    let to_controllers = controllers(&network, [2, 1]);
    to_controllers.belong_to(own);

    let watcher = Watch::start(&to_controllers);
    watcher.until(|image| image.cluster_id().is_some()).await;
    assert_eq!(watcher.watch.image().cluster_id(), Some(own));
    let session = BrokerSession::open(to_controllers.clone(), &broker(7), watcher.watch.clone(), watcher.watch.clone());
    tokio::time::timeout(PATIENCE, session.registered()).await.expect("in time").unwrap();
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    create(&to_controllers, "orders", 1).await;
    assert!(node.running.image().topic_by_name("orders").is_some());
    assert_eq!(foreign.running.image().state(), before.state(), "nothing was asked of it");
    node.stop().await;
    foreign.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_nobody_listens_for_any_more_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    // Far beyond any patience.
    let (grace, reconnect) = (3_600_000, 3_600_000);
    let patient = || ControllerOptions {
        broker_session_grace_ms: grace,
        broker_reconnect_timeout_ms: reconnect,
        ..options(1, dir.path())
    };
    let node = Node::active(patient(), &network).await;
    let watcher = Watch::start(&to_controller);
    let listening = NewBroker { internal_address: "memory:b-7".to_owned(), ..broker(7) };
    let listener = network.bind(&Address::memory("b-7")).await.unwrap();
    let session = BrokerSession::open(to_controller.clone(), &listening, watcher.watch.clone(), watcher.watch.clone());
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    drop((session, listener));
    watcher.until(|image| image.broker(BROKER).is_some_and(|b| b.fenced)).await;

    // The same when it dies with the active controller.
    let listener = network.bind(&Address::memory("b-7")).await.unwrap();
    let again = NewBroker { incarnation: uuid::Uuid::new_v4(), ..listening };
    let session = BrokerSession::open(to_controller.clone(), &again, watcher.watch.clone(), watcher.watch.clone());
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    node.stop().await;
    drop((session, listener));
    let node = Node::active(patient(), &network).await;
    watcher.until(|image| image.broker(BROKER).is_some_and(|b| b.fenced)).await;
    node.stop().await;
}

/// A session under its name, with everybody that it takes.
async fn opened(controllers: &Controllers, id: i32) -> (BrokerSession, Watch) {
    let watcher = Watch::start(controllers);
    let session = BrokerSession::open(controllers.clone(), &broker(id), watcher.watch.clone(), watcher.watch.clone());
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    (session, watcher)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_stops_once_the_others_know_who_leads_now() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    // Nobody hears of anything by chance: heartbeats come when they are asked for.
    let (broker_heartbeat_ms, broker_reconnect_timeout_ms) = (3_600_000, 3 * 3_600_000);
    let quiet = ControllerOptions { broker_heartbeat_ms, broker_reconnect_timeout_ms, ..options(1, dir.path()) };
    let node = Node::active(quiet, &network).await;
    let (stopping, _watcher) = opened(&to_controller, 7).await;
    let (_other, other) = opened(&to_controller, 8).await;
    let moved = stopping.stop(PATIENCE).await.expect("it may stop");
    assert!(other.watch.image().offset() >= moved, "the other broker had it first");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_has_yet_to_hear_of_its_forerunner_is_let_in_when_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let (first, watcher) = opened(&to_controller, 7).await;
    let epoch = first.registered().await.unwrap();
    drop(first);
    watcher.until(|image| image.broker(BROKER).is_some_and(|b| b.fenced)).await;

    let behind = MetadataWatch::holding(Image::new());
    let again = BrokerSession::open(to_controller.clone(), &broker(7), behind.clone(), behind.clone());
    behind.publish(&watcher.watch.image());
    let registered = tokio::time::timeout(PATIENCE, again.registered()).await.expect("let in");
    assert!(registered.unwrap() > epoch);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_of_another_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let stranger = NewBroker { cluster_id: Some(ClusterId(uuid::Uuid::from_u128(77))), ..broker(7) };
    let session = BrokerSession::open(to_controller.clone(), &stranger, watcher.watch.clone(), watcher.watch.clone());
    let refused = tokio::time::timeout(PATIENCE, session.registered()).await.expect("answered").unwrap_err();
    assert_eq!(refused.code, ErrorCode::InconsistentClusterId);
    assert!(node.running.image().broker(BROKER).is_none());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_active_controller_waits_for_a_broker_and_then_fences_it() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let session = BrokerSession::open(to_controller.clone(), &broker(7), watcher.watch.clone(), watcher.watch.clone());
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    node.stop().await;
    drop(session);

    let soon = ControllerOptions { broker_reconnect_timeout_ms: 300, ..options(1, dir.path()) };
    let node = Node::active(soon, &network).await;
    watcher.until(|image| image.broker(BROKER).is_some_and(|b| b.fenced)).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_keeps_its_epoch_over_a_restart_of_the_controller() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let session = BrokerSession::open(to_controller.clone(), &broker(7), watcher.watch.clone(), watcher.watch.clone());
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    let epoch = session.registered().await.unwrap();
    node.stop().await;

    let node = Node::active(options(1, dir.path()), &network).await;
    create(&to_controller, "orders", 1).await;
    assert_eq!(session.registered().await.unwrap(), epoch);
    assert!(session.stop(PATIENCE).await.is_some());
    assert!(node.running.image().broker(BROKER).is_some_and(|b| b.epoch == epoch && b.stopping));
    node.stop().await;
}
