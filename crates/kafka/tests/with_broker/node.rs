//! One node of both roles with a Kafka face.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use levada_broker::{BrokerDeps, BrokerOptions, Face, PhaseReporter, RunningBroker, start};
use levada_controller::{ControllerOptions, RunningController};
use levada_kafka::{KafkaFace, KafkaOptions};
use levada_log::RealDisk;
use levada_peers::Controllers;
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_service::options::CommaList;
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
    controller_stop: CancellationToken,
    broker_stop: CancellationToken,
    _dir: TempDir,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(KafkaOptions::default()).await
    }

    pub(crate) async fn with(options: KafkaOptions) -> Self {
        let dir = TempDir::new().unwrap();
        let network = Network::new();
        let readiness = Readiness::new();
        let (controller_stop, broker_stop) = (CancellationToken::new(), CancellationToken::new());
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
            network,
            internal_address,
            disk: Arc::new(RealDisk),
            faces: vec![Box::new(face)],
            phase: PhaseReporter::default(),
            ready: readiness.part("broker"),
        };
        let broker_options = BrokerOptions { node_id: 1, log_dirs: CommaList(log_dirs), ..BrokerOptions::default() };
        let starting = start(broker_options, deps, broker_stop.clone());
        let running = tokio::time::timeout(LIMIT, starting).await.unwrap().unwrap();
        Self { address, controller, running, controller_stop, broker_stop, _dir: dir }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) async fn stop(self) {
        self.broker_stop.cancel();
        tokio::time::timeout(LIMIT, self.running.ended()).await.unwrap().unwrap();
        self.controller_stop.cancel();
        tokio::time::timeout(LIMIT, self.controller.stopped()).await.unwrap().unwrap();
    }
}
