//! Three voters over in-memory streams: a new leader after the old one stops, and a lagging one catching up.

use std::path::Path;

use levada_controller::ControllerOptions;
use levada_service::net::Network;
use levada_service::options::CommaList;

use crate::node::{Node, PATIENCE, Watch, controllers, create, live_broker, options};

fn voter(id: u64, dir: &Path) -> ControllerOptions {
    ControllerOptions {
        voters: (1..=3).map(|id| format!("{id}@memory:c-{id}")).collect::<CommaList>(),
        snapshot_entries: 20,
        ..options(id, &dir.join(id.to_string()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quorum_goes_on_without_its_leader() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::new();
    let to_controllers = controllers(&network, 1..=3);
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push((id, Node::start(voter(id, dir.path()), &network).await));
    }
    live_broker(&to_controllers, 7).await;
    create(&to_controllers, "before", 1).await;

    let active = {
        let waits = nodes.iter().enumerate().map(|(i, (_, node))| {
            Box::pin(async move {
                node.running.active().await;
                i
            })
        });
        futures::future::select_all(waits).await.0
    };
    let (stopped, node) = nodes.remove(active);
    node.stop().await;
    // Enough entries for the survivors to drop the log before them, so that the one that comes back needs a snapshot.
    for n in 0..60 {
        create(&to_controllers, &format!("topic-{n}"), 1).await;
    }

    let back = Node::start(voter(stopped, dir.path()), &network).await;
    let watcher = Watch::start(&controllers(&network, [stopped]));
    watcher.until(|image| image.topic_by_name("topic-59").is_some()).await;
    let ours = tokio::time::timeout(PATIENCE, async {
        while back.running.image().state() != nodes[0].1.running.image().state() {
            tokio::task::yield_now().await;
        }
    });
    ours.await.expect("the one that came back holds what the others hold");
    back.stop().await;
    for (_, node) in nodes {
        node.stop().await;
    }
}
