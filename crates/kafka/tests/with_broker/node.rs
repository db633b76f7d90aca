//! One node of all roles with a Kafka face.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use levada_broker::{BrokerDeps, BrokerOptions, Face, PhaseReporter, RunningBroker, start};
use levada_controller::{ControllerOptions, RunningController};
use levada_group_coordinator::{GroupCoordinatorDeps, GroupCoordinatorOptions, RunningGroupCoordinator};
use levada_kafka::{KafkaFace, KafkaOptions};
use levada_log::RealDisk;
use levada_metadata::config::StaticConfigs;
use levada_peers::Controllers;
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_service::options::CommaList;
use levada_service::telemetry::MetricsPage;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// Long enough that only a defect lets it pass.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A node on a directory of its own.
pub(crate) struct Node {
    address: SocketAddr,
    controller: RunningController,
    running: RunningBroker,
    coordinator: RunningGroupCoordinator,
    controller_stop: CancellationToken,
    broker_stop: CancellationToken,
    coordinator_stop: CancellationToken,
    _dir: TempDir,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(KafkaOptions::default()).await
    }

    /// A node with these options of the face, whose groups do not wait for members that might come.
    pub(crate) async fn with(options: KafkaOptions) -> Self {
        Self::with_delay(options, 0).await
    }

    /// A node whose new groups wait so many milliseconds for more members.
    pub(crate) async fn with_delay(options: KafkaOptions, initial_rebalance_delay_ms: u32) -> Self {
        let dir = TempDir::new().unwrap();
        let network = Network::new();
        let readiness = Readiness::new();
        let [controller_stop, broker_stop, coordinator_stop] = [(); 3].map(|()| CancellationToken::new());
        let controller_options = ControllerOptions {
            node_id: 1,
            dir: dir.path().join("metadata"),
            listener: "memory:controller".to_owned(),
            ..ControllerOptions::default()
        };
        let ready = readiness.part("controller");
        let controller = levada_controller::start(controller_options, network.clone(), ready, controller_stop.clone())
            .await
            .unwrap();
        let face = KafkaFace::bind(KafkaOptions { listeners: "127.0.0.1:0".to_owned(), ..options }).await.unwrap();
        let address = face.local_addr();
        let log_dirs = vec![dir.path().join("logs").to_str().unwrap().to_owned()];
        let internal_address = Address::memory("broker-1");
        let deps = BrokerDeps {
            controllers: Controllers::new(network.clone(), vec![Address::memory("controller")]),
            internal: network.bind(&internal_address).await.unwrap(),
            network: network.clone(),
            internal_address,
            disk: Arc::new(RealDisk),
            faces: vec![Box::new(face)],
            phase: PhaseReporter::default(),
            ready: readiness.part("broker"),
        };
        let broker_options = BrokerOptions {
            node_id: 1,
            log_dirs: CommaList(log_dirs),
            statics: settings(&[("offsets.topic.num.partitions", "4")]),
            ..BrokerOptions::default()
        };
        let starting = start(broker_options, deps, broker_stop.clone());
        let running = tokio::time::timeout(LIMIT, starting).await.unwrap().unwrap();
        let internal_address = Address::memory("group-coordinator");
        let deps = GroupCoordinatorDeps {
            controllers: Controllers::new(network.clone(), vec![Address::memory("controller")]),
            internal: network.bind(&internal_address).await.unwrap(),
            network,
            internal_address,
            page: MetricsPage::default(),
            ready: readiness.part("group-coordinator"),
        };
        let delay = initial_rebalance_delay_ms.to_string();
        let statics = settings(&[("group.initial.rebalance.delay.ms", &delay)]);
        let options = GroupCoordinatorOptions { statics, ..GroupCoordinatorOptions::default() };
        let starting = levada_group_coordinator::start(options, deps, coordinator_stop.clone());
        let coordinator = tokio::time::timeout(LIMIT, starting).await.unwrap().unwrap();
        Self { address, controller, running, coordinator, controller_stop, broker_stop, coordinator_stop, _dir: dir }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) async fn stop(self) {
        self.coordinator_stop.cancel();
        tokio::time::timeout(LIMIT, self.coordinator.ended()).await.unwrap().unwrap();
        self.broker_stop.cancel();
        tokio::time::timeout(LIMIT, self.running.ended()).await.unwrap().unwrap();
        self.controller_stop.cancel();
        tokio::time::timeout(LIMIT, self.controller.stopped()).await.unwrap().unwrap();
    }
}

fn settings(given: &[(&str, &str)]) -> StaticConfigs {
    StaticConfigs::new(given.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}
