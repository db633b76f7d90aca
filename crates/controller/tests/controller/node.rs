//! A controller under test, and what a broker would use to talk to it.

use std::path::Path;
use std::time::Duration;

use levada_controller::{ControllerOptions, RunningController, start};
use levada_metadata::{Command, LevelRange, NewBroker, NewTopic, Response};
use levada_peers::{ControllerClient, Controllers, MetadataWatch};
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_types::{BrokerId, DirectoryId, MetadataOffset};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough that only a defect lets it pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Node {
    pub(crate) running: RunningController,
    stop: CancellationToken,
}

pub(crate) fn options(id: u64, dir: &Path) -> ControllerOptions {
    ControllerOptions {
        node_id: i64::try_from(id).unwrap(),
        dir: dir.to_owned(),
        listener: format!("memory:c-{id}"),
        ..ControllerOptions::default()
    }
}

impl Node {
    pub(crate) async fn start(options: ControllerOptions, network: &Network) -> Self {
        let stop = CancellationToken::new();
        let ready = Readiness::new().part("controller");
        let running = start(options, network.clone(), ready, stop.clone()).await.unwrap();
        Self { running, stop }
    }

    /// Starts it and waits until it is active.
    pub(crate) async fn active(options: ControllerOptions, network: &Network) -> Self {
        let node = Self::start(options, network).await;
        tokio::time::timeout(PATIENCE, node.running.active()).await.expect("active in time");
        // What it says of itself comes right after it has become active.
        let known = async {
            while node.running.image().voters().next().is_none() || node.running.image().controllers().next().is_none()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, known).await.expect("known in time");
        node
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running.stopped()).await.expect("stops in time").unwrap();
    }
}

pub(crate) fn controllers(network: &Network, ids: impl IntoIterator<Item = u64>) -> Controllers {
    let addresses = ids.into_iter().map(|id| Address::memory(format!("c-{id}"))).collect();
    Controllers::new(network.clone(), addresses)
}

pub(crate) async fn submit(controllers: &Controllers, command: Command) -> (Response, MetadataOffset) {
    ControllerClient::new(controllers.clone()).submit(&command, PATIENCE).await.unwrap()
}

/// Watches the metadata until it is dropped.
pub(crate) struct Watch {
    pub(crate) watch: MetadataWatch,
    stop: CancellationToken,
}

impl Watch {
    pub(crate) fn start(controllers: &Controllers) -> Self {
        let stop = CancellationToken::new();
        let (watch, _) = MetadataWatch::start(controllers.clone(), stop.clone());
        Self { watch, stop }
    }

    /// Waits until the image at the watcher satisfies `holds`.
    pub(crate) async fn until(&self, holds: impl Fn(&levada_metadata::Image) -> bool) {
        let waiting = async {
            let mut seen = self.watch.image();
            while !holds(&seen) {
                seen = self.watch.changed(seen.offset()).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the image comes to it in time");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn broker(id: i32) -> NewBroker {
    NewBroker {
        id: BrokerId(id),
        incarnation: Uuid::new_v4(),
        replaces: None,
        boot_id: Some("boot".to_owned()),
        clean_shutdown_epoch: None,
        closed_directories: Vec::new(),
        directories: vec![DirectoryId(Uuid::from_u128(0xd000 + u128::try_from(id).unwrap()))],
        endpoints: Vec::new(),
        // None that anybody could dial, so that nothing can be learned from nobody's listening there.
        internal_address: String::new(),
        rack: None,
        cluster_id: None,
        has_offline_directory: false,
        has_lost_bytes: false,
        levels: LevelRange::SUPPORTED,
    }
}

/// Registers and unfences a broker without a session, which the controller then awaits in vain.
pub(crate) async fn live_broker(controllers: &Controllers, id: i32) {
    let (response, _) = submit(controllers, Command::RegisterBroker(broker(id))).await;
    let Response::RegisterBroker(Ok(epoch)) = response else { panic!("{response:?}") };
    let (response, _) = submit(controllers, Command::UnfenceBroker { id: BrokerId(id), epoch }).await;
    assert_eq!(response, Response::UnfenceBroker(Ok(())));
}

pub(crate) fn topic(name: &str, partitions: i32) -> Command {
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    Command::CreateTopics { topics: vec![topic], validate_only: false }
}

pub(crate) async fn create(controllers: &Controllers, name: &str, partitions: i32) -> MetadataOffset {
    let (response, offset) = submit(controllers, topic(name, partitions)).await;
    let Response::CreateTopics(created) = response else { panic!("{response:?}") };
    assert!(created.iter().all(|topic| topic.result.is_ok()), "{created:?}");
    offset
}
