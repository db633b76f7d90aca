//! What was answered is there after a restart, from the log alone and from a snapshot and what follows it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use levada_controller::{ControllerOptions, StartError, StorageError, start};
use levada_service::http::Readiness;
use levada_service::net::Network;
use tokio_util::sync::CancellationToken;

use crate::node::{Node, PATIENCE, Watch, controllers, create, live_broker, options};

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

/// Every file below `dir` with what is in it.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// A controller that has stopped after it wrote a snapshot and entries after it.
async fn stopped(dir: &Path) {
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let few = ControllerOptions { snapshot_entries: 20, ..options(1, dir) };
    let node = Node::active(few, &network).await;
    live_broker(&to_controller, 7).await;
    for n in 0..50 {
        create(&to_controller, &format!("topic-{n}"), 20).await;
    }
    node.stop().await;
}

async fn refusal(dir: &Path) -> StartError {
    let ready = Readiness::new().part("controller");
    let started = start(options(1, dir), Network::new(), ready, CancellationToken::new()).await;
    match started {
        Err(refused) => refused,
        // What is wrong may be met when the log is replayed.
        Ok(running) => tokio::time::timeout(PATIENCE, running.stopped()).await.expect("it stops").unwrap_err(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    stopped(dir.path()).await;
    let files = contents(&dir.path().join("snapshots"));
    let (path, mut bytes) =
        files.into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "snapshot")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&path, &bytes).unwrap();
    let refused = refusal(dir.path()).await.to_string();
    assert!(refused.contains("damaged") && refused.contains(path.to_str().unwrap()), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is written over it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    stopped(dir.path()).await;
    let path = dir.path().join("log").join("db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().step_by(64) {
        *byte ^= 0xff;
    }
    std::fs::write(&path, &bytes).unwrap();
    let refused = refusal(dir.path()).await.to_string();
    assert!(refused.contains(dir.path().to_str().unwrap()), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is written over it");
}

/// What a controller leaves that is killed now: its files as they are at one moment.
fn left_by_a_kill(dir: &Path) -> tempfile::TempDir {
    let mut files = contents(dir);
    loop {
        let again = contents(dir);
        if again == files {
            break;
        }
        files = again;
    }
    let killed = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let copy = killed.path().join(path.strip_prefix(dir).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(copy, bytes).unwrap();
    }
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_damaged_after_a_kill_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controller = controllers(&network, [1]);
    let node = Node::active(options(1, dir.path()), &network).await;
    live_broker(&to_controller, 7).await;
    for n in 0..50 {
        create(&to_controller, &format!("topic-{n}"), 20).await;
    }
    let (sound, damaged) = (left_by_a_kill(dir.path()), left_by_a_kill(dir.path()));
    let before = node.running.image();
    node.stop().await;

    let node = Node::active(options(1, sound.path()), &Network::new()).await;
    assert_eq!(node.running.image().state(), before.state());
    node.stop().await;

    let path = damaged.path().join("log").join("db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&path, &bytes).unwrap();
    for _ in 0..2 {
        let refused = refusal(damaged.path()).await.to_string();
        assert!(refused.contains("damaged") && refused.contains(damaged.path().to_str().unwrap()), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is written over it");
    }
}
