//! A cluster in this process: one controller and several brokers, each with a gRPC face, over real files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_broker::{BrokerDeps, BrokerOptions, Face as _, PhaseReporter, RunningBroker};
use levada_client::{Admin, Client, ClientOptions};
use levada_controller::{ControllerOptions, RunningController};
use levada_gateway::{GatewayFace, GatewayListener, GatewayOptions};
use levada_log::RealDisk;
use levada_peers::Controllers;
use levada_service::grpc::GrpcOptions;
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_service::options::OptionsLoader;
use levada_types::{BrokerId, TopicName, TopicPartition};
use tokio_util::sync::CancellationToken;

/// How long something may take that is waited for; a failure to come is what is tested, not the time.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct World {
    dir: tempfile::TempDir,
    network: Network,
    readiness: Readiness,
    controller: RunningController,
    stop_controller: CancellationToken,
    brokers: BTreeMap<i32, Member>,
}

struct Member {
    address: String,
    broker: RunningBroker,
    stop: CancellationToken,
}

impl World {
    /// Brokers 1 to `count`, all of them live.
    pub(crate) async fn start(count: i32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (network, readiness, stop_controller) = (Network::new(), Readiness::new(), CancellationToken::new());
        let mut options = OptionsLoader::new()
            .set(&[
                "node.id=100".to_owned(),
                format!("metadata.log.dir={}", path(dir.path(), "metadata")),
                "internal.listener=memory:controller".to_owned(),
            ])
            .unwrap();
        let options = ControllerOptions::load(&mut options).unwrap();
        let ready = readiness.part("controller");
        let controller =
            levada_controller::start(options, network.clone(), ready, stop_controller.clone()).await.unwrap();
        let mut world = Self { dir, network, readiness, controller, stop_controller, brokers: BTreeMap::new() };
        for id in 1..=count {
            world.start_broker(id).await;
        }
        let admin = world.client().admin();
        world
            .until(async || {
                admin.describe_cluster().await.unwrap().brokers.iter().filter(|b| !b.fenced).count()
                    == usize::try_from(count).unwrap()
            })
            .await;
        world
    }

    /// Starts a broker, over its files if it has run before.
    pub(crate) async fn start_broker(&mut self, id: i32) {
        let stop = CancellationToken::new();
        let mut options = OptionsLoader::new()
            .set(&[format!("node.id={id}"), format!("log.dirs={}", path(self.dir.path(), &format!("logs-{id}")))])
            .unwrap();
        let options = BrokerOptions::load(&mut options).unwrap();
        let listener = GatewayListener { bind: "127.0.0.1:0".to_owned(), advertised: None };
        let face = GatewayFace::bind(&listener, GatewayOptions::default(), GrpcOptions::default()).await.unwrap();
        let address = face.local_addr().to_string();
        let internal_address = Address::memory(format!("broker-{id}"));
        let deps = BrokerDeps {
            controllers: Controllers::new(self.network.clone(), vec![self.controller.address().clone()]),
            internal: self.network.bind(&internal_address).await.unwrap(),
            network: self.network.clone(),
            internal_address,
            disk: Arc::new(RealDisk),
            faces: vec![Box::new(face)],
            phase: PhaseReporter::default(),
            ready: self.readiness.part("broker"),
        };
        let broker = levada_broker::start(options, deps, stop.clone()).await.unwrap();
        self.brokers.insert(id, Member { address, broker, stop });
    }

    /// Stops a broker as a clean shutdown does.
    pub(crate) async fn stop_broker(&mut self, id: i32) {
        let member = self.brokers.remove(&id).unwrap();
        member.stop.cancel();
        member.broker.ended().await.unwrap();
    }

    /// Options of a client that is told of the first broker alone.
    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions::new(self.brokers.values().next().map(|member| member.address.clone()))
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.options()).unwrap()
    }

    /// An admin for each broker, asking that broker.
    pub(crate) fn admins(&self) -> Vec<Admin> {
        let of = |member: &Member| Client::new(ClientOptions::new([member.address.clone()])).unwrap().admin();
        self.brokers.values().map(of).collect()
    }

    /// Waits until every broker says that `leader` leads the partition.
    pub(crate) async fn until_led_by(&self, at: &TopicPartition, leader: i32) {
        for admin in self.admins() {
            let leads = async || {
                let topic = admin.describe_topic(at.topic.as_str()).await.unwrap();
                topic.partitions[usize::try_from(at.partition).unwrap()].leader == Some(BrokerId(leader))
            };
            self.until(leads).await;
        }
    }

    /// Asks until it is so.
    pub(crate) async fn until(&self, mut is_so: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < LIMIT, "it has not come to be");
        }
    }

    pub(crate) async fn stop(mut self) {
        for id in self.brokers.keys().copied().collect::<Vec<_>>() {
            self.stop_broker(id).await;
        }
        self.stop_controller.cancel();
        self.controller.stopped().await.unwrap();
    }
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

/// The partition of this name and number.
pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition }
}

pub(crate) fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}
