//! What was answered is there after a restart, from the log alone and from a snapshot and what follows it.

use std::path::Path;

use levada_controller::{ControllerOptions, StartError, StorageError, start};
use levada_service::http::Readiness;
use levada_service::net::Network;
use tokio_util::sync::CancellationToken;

use crate::node::{Node, Watch, controllers, create, live_broker, options};

/// One that was being written when the controller stopped is left under another name.
fn complete_snapshots(dir: &Path) -> usize {
    let files = std::fs::read_dir(dir.join("snapshots")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "snapshot")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metadata_survives_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    live_broker(&to_controller, 7).await;
    create(&to_controller, "before", 3).await;
    let before = node.running.image();
    let cluster = before.cluster_id().expect("a cluster id");
    node.stop().await;

    let node = Node::active(options(1, dir.path()), &network).await;
    let after = node.running.image();
    assert_eq!(after.state(), before.state());
    assert!(after.offset() > before.offset(), "the new run has a barrier of its own");
    create(&to_controller, "after", 1).await;
    node.stop().await;

    let node = Node::active(options(1, dir.path()), &network).await;
    let image = node.running.image();
    assert_eq!(image.cluster_id(), Some(cluster));
    assert_eq!(image.topics().map(|t| t.name().to_string()).collect::<Vec<_>>(), ["after", "before"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_takes_the_place_of_the_log_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let few = || ControllerOptions { snapshot_entries: 20, ..options(1, dir.path()) };
    let node = Node::active(few(), &network).await;
    live_broker(&to_controller, 7).await;
    for n in 0..100 {
        create(&to_controller, &format!("topic-{n}"), 2).await;
    }
    let before = node.running.image();
    node.stop().await;
    assert_eq!(complete_snapshots(dir.path()), 1, "a snapshot was written, and only the newest is kept");

    let node = Node::active(few(), &network).await;
    assert_eq!(node.running.image().state(), before.state());
    create(&to_controller, "one-more", 1).await;
    // A watcher that begins from nothing cannot be served from the log any more.
    let watcher = Watch::start(&to_controller);
    watcher.until(|image| image.topic_by_name("one-more").is_some()).await;
    assert_eq!(watcher.watch.image().state(), node.running.image().state());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_large_entries_make_a_snapshot_too() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let small = || ControllerOptions { snapshot_bytes: 50_000, ..options(1, dir.path()) };
    let node = Node::active(small(), &network).await;
    live_broker(&to_controller, 7).await;
    for n in 0..20 {
        create(&to_controller, &format!("topic-{n}"), 200).await;
    }
    let before = node.running.image();
    node.stop().await;
    assert_eq!(complete_snapshots(dir.path()), 1);
    let node = Node::active(small(), &network).await;
    assert_eq!(node.running.image().state(), before.state());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_comes_back_gets_what_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    live_broker(&to_controller, 7).await;
    create(&to_controller, "one", 1).await;
    let watcher = Watch::start(&to_controller);
    watcher.until(|image| image.topic_by_name("one").is_some()).await;
    node.stop().await;
    let node = Node::active(options(1, dir.path()), &network).await;
    create(&to_controller, "two", 1).await;
    watcher.until(|image| image.topic_by_name("two").is_some()).await;
    assert_eq!(watcher.watch.image().state(), node.running.image().state());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_of_another_controller_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    Node::active(options(1, dir.path()), &network).await.stop().await;
    let ready = Readiness::new().part("controller");
    let refused = start(options(2, dir.path()), network, ready, CancellationToken::new()).await;
    let error = refused.err().expect("it is refused");
    assert!(matches!(error, StartError::Storage(StorageError::OtherNode { found: 1, expected: 2, .. })), "{error}");
}
