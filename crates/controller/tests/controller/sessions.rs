//! Brokers' sessions: registered, unfenced, fenced, stopped in good order.

use levada_controller::ControllerOptions;
use levada_peers::BrokerSession;
use levada_service::net::Network;
use levada_types::BrokerId;

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
    let session = BrokerSession::open(to_controller.clone(), &new, watcher.watch.clone());
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
    let again = BrokerSession::open(to_controller.clone(), &broker(7), watcher.watch.clone());
    assert!(again.registered().await.unwrap() > epoch);
    again.set_ready();
    tokio::time::timeout(PATIENCE, again.unfenced()).await.expect("unfenced in time");
    assert_eq!([leader(0), leader(1)], [Some(BROKER); 2]);

    assert!(again.stop(PATIENCE).await, "the controller lets it stop");
    assert!(node.running.image().broker(BROKER).is_some_and(|b| b.fenced && b.stopping));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_active_controller_waits_for_a_broker_and_then_fences_it() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    let watcher = Watch::start(&to_controller);
    let session = BrokerSession::open(to_controller.clone(), &broker(7), watcher.watch.clone());
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
    let session = BrokerSession::open(to_controller.clone(), &broker(7), watcher.watch.clone());
    session.set_ready();
    tokio::time::timeout(PATIENCE, session.unfenced()).await.expect("unfenced in time");
    let epoch = session.registered().await.unwrap();
    node.stop().await;

    let node = Node::active(options(1, dir.path()), &network).await;
    create(&to_controller, "orders", 1).await;
    assert_eq!(session.registered().await.unwrap(), epoch);
    assert!(session.stop(PATIENCE).await);
    assert!(node.running.image().broker(BROKER).is_some_and(|b| b.epoch == epoch && b.stopping));
    node.stop().await;
}
