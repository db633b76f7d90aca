//! A node in this process: a controller and a broker with the gRPC face, over real files.

use std::path::Path;
use std::sync::Arc;

use levada_broker::{BrokerDeps, BrokerOptions, Face as _, PhaseReporter, RunningBroker};
use levada_client::{Client, ClientOptions};
use levada_controller::{ControllerOptions, RunningController};
use levada_gateway::{GatewayFace, GatewayListener, GatewayOptions};
use levada_log::RealDisk;
use levada_peers::Controllers;
use levada_service::grpc::GrpcOptions;
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_service::options::OptionsLoader;
use tokio_util::sync::CancellationToken;

/// The largest message that the node takes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;

pub(crate) struct Node {
    pub(crate) address: String,
    dir: Arc<tempfile::TempDir>,
    broker: RunningBroker,
    controller: RunningController,
    stop_broker: CancellationToken,
    stop_controller: CancellationToken,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), "127.0.0.1:0").await
    }

    async fn start_in(dir: Arc<tempfile::TempDir>, bind: &str) -> Self {
        let path = |name: &str| -> String { Path::join(dir.path(), name).display().to_string() };
        let network = Network::new();
        let readiness = Readiness::new();
        let (stop_broker, stop_controller) = (CancellationToken::new(), CancellationToken::new());
        let mut options = OptionsLoader::new()
            .set(&[
                "node.id=1".to_owned(),
                format!("metadata.log.dir={}", path("metadata")),
                format!("log.dirs={}", path("logs")),
                "internal.listener=memory:controller".to_owned(),
                "auto.create.topics.enable=true".to_owned(),
                "num.partitions=2".to_owned(),
                "default.replication.factor=1".to_owned(),
            ])
            .unwrap();
        let broker_options = BrokerOptions::load(&mut options).unwrap();
        let controller_options = ControllerOptions::load(&mut options).unwrap();
        let ready = readiness.part("controller");
        let controller = levada_controller::start(controller_options, network.clone(), ready, stop_controller.clone());
        let controller = controller.await.unwrap();
        let listener = GatewayListener { bind: bind.to_owned(), advertised: None };
        let grpc = GrpcOptions { max_message_bytes: MAX_MESSAGE_BYTES, ..GrpcOptions::default() };
        let face = GatewayFace::bind(&listener, GatewayOptions::default(), grpc).await.unwrap();
        let address = face.local_addr().to_string();
        let internal_address = Address::memory("broker");
        let deps = BrokerDeps {
            controllers: Controllers::new(network.clone(), vec![controller.address().clone()]),
            internal: network.bind(&internal_address).await.unwrap(),
            network,
            internal_address,
            disk: Arc::new(RealDisk),
            faces: vec![Box::new(face)],
            phase: PhaseReporter::default(),
            ready: readiness.part("broker"),
        };
        let broker = levada_broker::start(broker_options, deps, stop_broker.clone()).await.unwrap();
        Self { address, dir, broker, controller, stop_broker, stop_controller }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(ClientOptions::new([self.address.clone()])).unwrap()
    }

    /// Stops everything as a clean shutdown does, and keeps the files.
    pub(crate) async fn stop(self) -> Stopped {
        self.stop_broker.cancel();
        self.broker.ended().await.unwrap();
        self.stop_controller.cancel();
        self.controller.stopped().await.unwrap();
        Stopped { address: self.address, dir: self.dir }
    }
}

/// A node that was stopped.
pub(crate) struct Stopped {
    address: String,
    dir: Arc<tempfile::TempDir>,
}

impl Stopped {
    /// Starts it again over the same files, at the same address.
    pub(crate) async fn start(self) -> Node {
        Node::start_in(self.dir, &self.address).await
    }
}
