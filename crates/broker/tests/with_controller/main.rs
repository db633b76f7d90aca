//! Brokers with a real controller in one process, started, used, stopped and started again as `levada dev` does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod damage;
mod moves;
mod nearest;
mod replication;
mod shards;
mod throttles;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_broker::api::{Acks, Fetch, FetchPartition, Produce, ProducePartition, ReadFrom};
use levada_broker::{Broker, BrokerDeps, BrokerOptions, Face, FaceError, Phase, PhaseReporter, RunningBroker, start};
use levada_controller::{ControllerOptions, RunningController};
use levada_log::RealDisk;
use levada_metadata::{Command, Endpoint, EndpointProtocol, Image, NewTopic, Response, TopicRef};
use levada_peers::Controllers;
use levada_records::{BatchBuilder, Batches, Compression, RecordBuffer};
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_types::{BrokerId, ErrorCode, Isolation, Offset, TopicIdPartition};
use tokio_util::sync::CancellationToken;

/// Long enough that only a defect lets it pass.
const LIMIT: Duration = Duration::from_secs(120);

/// A face that has clients of its own.
struct TestFace;

impl Face for TestFace {
    fn name(&self) -> &'static str {
        "test"
    }

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 19_092))
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let listener = "PLAINTEXT".to_owned();
        vec![Endpoint { listener, host: "broker-1".to_owned(), port: 19_092, protocol: EndpointProtocol::Plaintext }]
    }

    fn serve(
        self: Box<Self>,
        _broker: Arc<Broker>,
        shutdown: CancellationToken,
    ) -> Pin<Box<dyn Future<Output = Result<(), FaceError>> + Send>> {
        Box::pin(async move {
            shutdown.cancelled().await;
            Ok(())
        })
    }
}

/// One node of both roles.
struct Node {
    controller: RunningController,
    running: RunningBroker,
    readiness: Readiness,
    phase: PhaseReporter,
    controller_stop: CancellationToken,
    broker_stop: CancellationToken,
}

impl Node {
    async fn start(dir: &Path) -> Self {
        let network = Network::new();
        let readiness = Readiness::new();
        let (controller_stop, broker_stop) = (CancellationToken::new(), CancellationToken::new());
        let options = ControllerOptions {
            node_id: 1,
            dir: dir.join("metadata"),
            listener: "memory:controller".to_owned(),
            ..ControllerOptions::default()
        };
        let ready = readiness.part("controller");
        let controller =
            levada_controller::start(options, network.clone(), ready, controller_stop.clone()).await.unwrap();

        let log_dirs = [dir.join("a"), dir.join("b")].iter().map(|dir| dir.to_str().unwrap().to_owned()).collect();
        let options = BrokerOptions { node_id: 1, log_dirs, full_probe_interval_ms: 20, ..BrokerOptions::default() };
        let phase = PhaseReporter::default();
        let deps = BrokerDeps {
            controllers: Controllers::new(network.clone(), vec![Address::memory("controller")]),
            internal: network.bind(&Address::memory("broker-1")).await.unwrap(),
            network,
            internal_address: Address::memory("broker-1"),
            disk: Arc::new(RealDisk),
            faces: vec![Box::new(TestFace)],
            phase: phase.clone(),
            ready: readiness.part("broker"),
        };
        let running = tokio::time::timeout(LIMIT, start(options, deps, broker_stop.clone())).await.unwrap().unwrap();
        Self { controller, running, readiness, phase, controller_stop, broker_stop }
    }

    fn broker(&self) -> &Arc<Broker> {
        self.running.broker()
    }

    /// Resolves once the metadata says of every replica in which directory it lies.
    async fn placed(&self) {
        loop {
            let image = self.broker().image();
            let known = &image.broker(BrokerId(1)).unwrap().directories;
            let mut replicas = image.replicas_of(BrokerId(1));
            if replicas.all(|(_, partition)| partition.directory_of(BrokerId(1)).is_some_and(|id| known.contains(&id)))
            {
                return;
            }
            drop(replicas);
            self.broker().image_changed(image.offset()).await;
        }
    }

    /// Resolves once the image that this broker acts upon satisfies `holds`.
    async fn until(&self, holds: impl Fn(&Image) -> bool) {
        let waiting = async {
            let mut image = self.broker().image();
            while !holds(&image) {
                self.broker().image_changed(image.offset()).await;
                image = self.broker().image();
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap();
    }

    fn leader(&self, id: TopicIdPartition) -> Option<BrokerId> {
        self.broker().image().partition(id.topic_id, id.partition).unwrap().leader
    }

    async fn stop(self) {
        self.broker_stop.cancel();
        tokio::time::timeout(LIMIT, self.running.ended()).await.unwrap().unwrap();
        assert_eq!(*self.phase.watch().borrow(), Phase::Stopping);
        self.controller_stop.cancel();
        tokio::time::timeout(LIMIT, self.controller.stopped()).await.unwrap().unwrap();
    }

    /// Creates a topic and returns its first partition.
    async fn create(&self, name: &str, partitions: i32) -> TopicIdPartition {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
        let answer = self.broker().submit(command, LIMIT).await.unwrap();
        let Response::CreateTopics(created) = answer else { panic!("another answer: {answer:?}") };
        TopicIdPartition { topic_id: created[0].result.as_ref().unwrap().id, partition: 0 }
    }

    async fn put(&self, partition: TopicIdPartition, value: &str) -> Result<Offset, ErrorCode> {
        let partitions = vec![ProducePartition { partition, records: batch(value) }];
        let mut answers = self.broker().produce(Produce { acks: Acks::All, timeout: LIMIT, partitions }).await;
        answers.remove(0).map(|produced| produced.base_offset).map_err(|error| error.code)
    }

    async fn values(&self, partition: TopicIdPartition) -> Vec<String> {
        let asked = FetchPartition {
            partition,
            offset: 0,
            max_bytes: 1 << 20,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        };
        let request = Fetch {
            max_wait: Duration::ZERO,
            min_bytes: 0,
            max_bytes: 1 << 20,
            isolation: Isolation::ReadUncommitted,
            read_from: ReadFrom::Leader,
            partitions: vec![asked],
        };
        let fetched = self.broker().fetch(&request).await.remove(0);
        assert_eq!(fetched.error, ErrorCode::None);
        let bytes = fetched.records.map(|records| records.to_bytes().unwrap()).unwrap_or_default();
        let mut values = Vec::new();
        for batch in Batches::new(&bytes) {
            for record in batch.unwrap().records(&mut RecordBuffer::default()).unwrap() {
                values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
            }
        }
        values
    }
}

fn batch(value: &str) -> Bytes {
    batch_of(&[value])
}

fn batch_of(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append(-1, None, Some(value.as_bytes()), &[]).unwrap();
    }
    builder.build(Compression::None, None).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_keeps_topics_records_and_producer_ids_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    assert_eq!(*node.phase.watch().borrow(), Phase::Serving);
    assert!(node.readiness.missing().is_empty());
    let image = node.broker().image();
    let registered = image.broker(BrokerId(1)).unwrap();
    assert!(registered.is_live());
    assert_eq!(registered.endpoints[0].host, "broker-1");

    // What the controller has decided is there to be used when the answer comes.
    let first = node.create("orders", 3).await;
    assert_eq!(node.put(first, "a").await, Ok(0));
    assert_eq!(node.put(first, "b").await, Ok(1));
    assert_eq!(node.broker().auto_create_topics(&["on-demand", "orders"]).await, [Ok(()), Ok(())]);
    let on_demand = node.broker().image().topic_id("on-demand").unwrap();
    assert_eq!(node.put(TopicIdPartition { topic_id: on_demand, partition: 0 }, "c").await, Ok(0));
    let (producer, epoch) = node.broker().init_producer_id().await.unwrap();
    let (another, _) = node.broker().init_producer_id().await.unwrap();
    assert_ne!(producer, another);
    assert_eq!(epoch, 0);

    // A topic that is deleted is gone when the answer comes.
    let deleted = node.create("deleted", 1).await;
    assert_eq!(node.put(deleted, "x").await, Ok(0));
    let command = Command::DeleteTopics { topics: vec![TopicRef::Name("deleted".to_owned())] };
    node.broker().submit(command, LIMIT).await.unwrap();
    assert_eq!(node.put(deleted, "y").await, Err(ErrorCode::UnknownTopicId));
    node.stop().await;

    let node = Node::start(dir.path()).await;
    assert_eq!(node.values(first).await, ["a", "b"]);
    assert_eq!(node.put(first, "c").await, Ok(2));
    assert!(node.broker().image().topic_id("deleted").is_none());
    let (after, _) = node.broker().init_producer_id().await.unwrap();
    assert!(after > producer.max(another), "a producer id was handed out twice");

    // Both data directories are used, and the controller learns where each replica lies.
    let directories = node.broker().describe_log_dirs().await;
    let replicas: Vec<usize> = directories.iter().map(|directory| directory.replicas.len()).collect();
    assert_eq!(replicas, [2, 2]);
    tokio::time::timeout(LIMIT, node.placed()).await.unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_asked_to_stop_while_it_waits_for_its_controller_does() {
    let dir = tempfile::tempdir().unwrap();
    let options = BrokerOptions {
        node_id: 1,
        log_dirs: [dir.path().join("a").to_str().unwrap().to_owned()].into_iter().collect(),
        ..BrokerOptions::default()
    };
    let shutdown = CancellationToken::new();
    let phase = PhaseReporter::default();
    let network = Network::new();
    let deps = BrokerDeps {
        controllers: Controllers::new(network.clone(), vec![Address::memory("nobody")]),
        internal: network.bind(&Address::memory("broker-1")).await.unwrap(),
        network,
        internal_address: Address::memory("broker-1"),
        disk: Arc::new(RealDisk),
        faces: Vec::new(),
        phase: phase.clone(),
        ready: Readiness::new().part("broker"),
    };
    let starting = tokio::spawn(start(options, deps, shutdown.clone()));
    shutdown.cancel();
    let ended = tokio::time::timeout(LIMIT, starting).await.unwrap().unwrap();
    assert!(ended.is_err());
    assert_eq!(*phase.watch().borrow(), Phase::Starting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_that_fails_is_told_to_the_controller_and_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (a, elsewhere) = (dir.path().join("a"), dir.path().join("elsewhere"));
    let node = Node::start(dir.path()).await;
    let first = node.create("orders", 2).await;
    let ids = [first, TopicIdPartition { partition: 1, ..first }];
    tokio::time::timeout(LIMIT, node.placed()).await.unwrap();
    let directories = node.broker().describe_log_dirs().await;
    let on_a = ids[usize::try_from(directories[0].replicas[0].partition).unwrap()];
    let on_b = ids[usize::try_from(directories[1].replicas[0].partition).unwrap()];
    assert_eq!((node.put(on_a, "a").await, node.put(on_b, "b").await), (Ok(0), Ok(0)));

    // Nobody writes to it; it is missed all the same.
    std::fs::rename(&a, &elsewhere).unwrap();
    std::fs::write(&a, "no directory").unwrap();
    let led_by_nobody = |image: &Image| image.partition(on_a.topic_id, on_a.partition).unwrap().leader.is_none();
    node.until(led_by_nobody).await;
    let image = node.broker().image();
    let offline = |id: TopicIdPartition| {
        image.offline_replicas(image.partition(id.topic_id, id.partition).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((offline(on_a), offline(on_b)), (vec![BrokerId(1)], vec![]));
    assert_eq!(node.put(on_a, "lost").await, Err(ErrorCode::KafkaStorageError));
    let directories = node.broker().describe_log_dirs().await;
    let told: Vec<_> = directories.iter().map(|d| (d.error, d.replicas.len())).collect();
    assert_eq!(told, [(ErrorCode::KafkaStorageError, 0), (ErrorCode::None, 1)]);
    // Others go on, new ones included.
    assert_eq!(node.put(on_b, "b2").await, Ok(1));
    let other = node.create("other", 1).await;
    assert_eq!(node.put(other, "o").await, Ok(0));
    node.stop().await;

    // A start finds it as bad as it was.
    let node = Node::start(dir.path()).await;
    assert_eq!((node.leader(on_a), node.leader(on_b)), (None, Some(BrokerId(1))));
    assert_eq!(node.put(on_a, "lost").await, Err(ErrorCode::KafkaStorageError));
    assert_eq!(node.values(on_b).await, ["b", "b2"]);
    node.stop().await;

    // Repaired, with all that it held.
    std::fs::remove_file(&a).unwrap();
    std::fs::rename(&elsewhere, &a).unwrap();
    let node = Node::start(dir.path()).await;
    assert_eq!(node.values(on_a).await, ["a"]);
    assert_eq!(node.put(on_a, "a2").await, Ok(1));
    node.stop().await;

    // Replaced by an empty one: the only replica starts with what it has, which is nothing, and that is counted.
    std::fs::remove_dir_all(&a).unwrap();
    let node = Node::start(dir.path()).await;
    node.until(|image| image.partition(on_a.topic_id, on_a.partition).unwrap().leader.is_some()).await;
    assert_eq!(node.values(on_a).await, [""; 0]);
    assert_eq!(node.put(on_a, "new").await, Ok(0));
    let losses =
        |id: TopicIdPartition| node.broker().image().partition(id.topic_id, id.partition).unwrap().possible_losses;
    assert_eq!((losses(on_a), losses(on_b)), (1, 0));
    assert_eq!(node.values(on_b).await, ["b", "b2"]);
    node.stop().await;
}
