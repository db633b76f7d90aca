//! Several brokers and a controller in one process, with streams in memory between them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use levada_broker::api::{
    Acks, Fetch, FetchPartition, FetchedPartition, PartitionError, Produce, ProducePartition, ReadFrom,
};
use levada_broker::{Broker, BrokerDeps, BrokerOptions, PhaseReporter, RunningBroker, start};
use levada_controller::{ControllerOptions, RunningController};
use levada_log::{Disk, RealDisk};
use levada_metadata::config::StaticConfigs;
use levada_metadata::{Command, Image, ManualAssignment, NewTopic, Reassignment, Response, TopicRef};
use levada_peers::Controllers;
use levada_records::{Batches, RecordBuffer};
use levada_service::http::Readiness;
use levada_service::net::{Address, Network};
use levada_types::{BrokerId, ErrorCode, Isolation, Offset, TopicIdPartition};
use tokio_util::sync::CancellationToken;

use super::{LIMIT, TestFace, batch};

pub(super) struct Cluster {
    dir: tempfile::TempDir,
    network: Network,
    controller: RunningController,
    controller_stop: CancellationToken,
    brokers: BTreeMap<i32, Member>,
    settings: Vec<(String, String)>,
    /// Brokers whose files are elsewhere than in `dir`.
    disks: BTreeMap<i32, Arc<dyn Disk>>,
}

struct Member {
    running: RunningBroker,
    stop: CancellationToken,
}

impl Cluster {
    /// A controller and brokers 1 to `brokers`, which have these settings.
    pub(super) async fn start(brokers: i32, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::new();
        let controller_stop = CancellationToken::new();
        let options = ControllerOptions {
            node_id: 1,
            dir: dir.path().join("metadata"),
            listener: "memory:controller".to_owned(),
            ..ControllerOptions::default()
        };
        let ready = Readiness::new().part("controller");
        let controller =
            levada_controller::start(options, network.clone(), ready, controller_stop.clone()).await.unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (brokers_by_id, disks) = (BTreeMap::new(), BTreeMap::new());
        let mut cluster = Self { dir, network, controller, controller_stop, brokers: brokers_by_id, settings, disks };
        for id in 1..=brokers {
            cluster.start_broker(id).await;
        }
        cluster
    }

    /// Where its roles reach each other.
    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// Starts one more broker, whose files are on this disk.
    pub(super) async fn start_broker_on(&mut self, id: i32, disk: Arc<dyn Disk>) {
        self.disks.insert(id, disk);
        self.start_broker(id).await;
    }

    /// Starts a broker for the first time, or again.
    pub(super) async fn start_broker(&mut self, id: i32) {
        let statics = StaticConfigs::new(self.settings.iter().cloned()).unwrap();
        let log_dirs = [self.log_dir(id).to_str().unwrap().to_owned()].into_iter().collect();
        let options = BrokerOptions {
            node_id: id,
            log_dirs,
            statics,
            rack: Some(format!("rack-{id}")),
            full_probe_interval_ms: 20,
            ..BrokerOptions::default()
        };
        let internal_address = Address::memory(format!("broker-{id}"));
        let deps = BrokerDeps {
            controllers: Controllers::new(self.network.clone(), vec![Address::memory("controller")]),
            internal: self.network.bind(&internal_address).await.unwrap(),
            network: self.network.clone(),
            internal_address,
            disk: self.disks.get(&id).map_or_else(|| Arc::new(RealDisk) as Arc<dyn Disk>, Arc::clone),
            faces: vec![Box::new(TestFace)],
            phase: PhaseReporter::default(),
            ready: Readiness::new().part("broker"),
        };
        let stop = CancellationToken::new();
        let running = tokio::time::timeout(LIMIT, start(options, deps, stop.clone())).await.unwrap().unwrap();
        self.brokers.insert(id, Member { running, stop });
    }

    /// Stops a broker cleanly.
    pub(super) async fn stop_broker(&mut self, id: i32) {
        let member = self.brokers.remove(&id).unwrap();
        member.stop.cancel();
        tokio::time::timeout(LIMIT, member.running.ended()).await.unwrap().unwrap();
    }

    pub(super) async fn stop(mut self) {
        for id in self.brokers.keys().copied().collect::<Vec<_>>() {
            self.stop_broker(id).await;
        }
        self.controller_stop.cancel();
        tokio::time::timeout(LIMIT, self.controller.stopped()).await.unwrap().unwrap();
    }

    pub(super) fn log_dir(&self, id: i32) -> PathBuf {
        self.dir.path().join(format!("broker-{id}"))
    }

    pub(super) fn broker(&self, id: i32) -> &Arc<Broker> {
        self.brokers[&id].running.broker()
    }

    /// Any broker that runs.
    pub(super) fn any(&self) -> &Arc<Broker> {
        self.brokers.values().next().unwrap().running.broker()
    }

    /// Creates a topic of one partition on these brokers, of which the first leads.
    pub(super) async fn create(&self, name: &str, brokers: &[i32], configs: &[(&str, &str)]) -> TopicIdPartition {
        let brokers = brokers.iter().copied().map(BrokerId).collect();
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: None,
            replication_factor: None,
            assignments: vec![ManualAssignment { partition: 0, brokers }],
            configs: configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let command = Command::CreateTopics { topics: vec![topic], validate_only: false };
        let answer = self.any().submit(command, LIMIT).await.unwrap();
        let Response::CreateTopics(created) = answer else { panic!("another answer: {answer:?}") };
        let id = TopicIdPartition { topic_id: created[0].result.as_ref().unwrap().id, partition: 0 };
        self.everywhere(|image| image.topic(id.topic_id).is_some()).await;
        id
    }

    /// Has these brokers hold the partition, from now on or soon.
    pub(super) async fn reassign(&self, id: TopicIdPartition, brokers: &[i32]) {
        let replicas = Some(brokers.iter().copied().map(BrokerId).collect());
        let reassignment = Reassignment { topic: TopicRef::Id(id.topic_id), partition: id.partition, replicas };
        let command =
            Command::AlterPartitionReassignments { reassignments: vec![reassignment], allow_factor_change: true };
        let answer = self.any().submit(command, LIMIT).await.unwrap();
        let Response::AlterPartitionReassignments(items) = answer else { panic!("another answer: {answer:?}") };
        items[0].result.as_ref().unwrap();
    }

    /// Resolves once every broker has acted upon an image that satisfies `holds`.
    pub(super) async fn everywhere(&self, holds: impl Fn(&Image) -> bool) {
        for member in self.brokers.values() {
            let broker = member.running.broker();
            let waiting = async {
                let mut image = broker.image();
                while !holds(&image) {
                    broker.image_changed(image.offset()).await;
                    image = broker.image();
                }
            };
            tokio::time::timeout(LIMIT, waiting).await.unwrap();
        }
    }

    /// Resolves once these brokers are the in-sync set, everywhere.
    pub(super) async fn in_sync(&self, id: TopicIdPartition, brokers: &[i32]) {
        self.everywhere(|image| {
            let mut isr: Vec<i32> =
                image.partition(id.topic_id, id.partition).unwrap().isr.iter().map(|member| member.broker.0).collect();
            isr.sort_unstable();
            isr == brokers
        })
        .await;
    }

    pub(super) fn leader(&self, id: TopicIdPartition) -> i32 {
        self.any().image().partition(id.topic_id, id.partition).unwrap().leader.unwrap().0
    }

    /// Produces one record to this broker.
    pub(super) async fn put(
        &self,
        broker: i32,
        partition: TopicIdPartition,
        acks: Acks,
        value: &str,
    ) -> Result<Offset, PartitionError> {
        let partitions = vec![ProducePartition { partition, records: batch(value) }];
        let mut answers = self.broker(broker).produce(Produce { acks, timeout: LIMIT, partitions }).await;
        answers.remove(0).map(|produced| produced.base_offset)
    }

    /// Produces one record to the leader, whoever that is, with `acks=all`; tries again as a client would.
    pub(super) async fn put_somehow(&self, partition: TopicIdPartition, value: &str) -> Offset {
        let trying = async {
            loop {
                let seen = self.any().image().offset();
                let leader = self.any().image().partition(partition.topic_id, partition.partition).unwrap().leader;
                if let Some(leader) = leader.filter(|leader| self.brokers.contains_key(&leader.0)) {
                    match self.put(leader.0, partition, Acks::All, value).await {
                        Ok(offset) => return offset,
                        Err(error) => assert!(error.code.is_retriable(), "{error}"),
                    }
                    tokio::task::yield_now().await;
                } else {
                    self.any().image_changed(seen).await;
                }
            }
        };
        tokio::time::timeout(LIMIT, trying).await.unwrap()
    }

    /// Fetches from this broker, from the start.
    pub(super) async fn fetch(&self, broker: i32, partition: TopicIdPartition, wait: Duration) -> FetchedPartition {
        let asked = FetchPartition {
            partition,
            offset: 0,
            max_bytes: 1 << 20,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        };
        let request = Fetch {
            max_wait: wait,
            min_bytes: 1,
            max_bytes: 1 << 20,
            isolation: Isolation::ReadUncommitted,
            read_from: ReadFrom::Leader,
            partitions: vec![asked],
        };
        self.broker(broker).fetch(&request).await.remove(0)
    }

    /// What a consumer reads at this broker, from the start.
    pub(super) async fn values(&self, broker: i32, partition: TopicIdPartition) -> Vec<String> {
        let fetched = self.fetch(broker, partition, Duration::ZERO).await;
        assert_eq!(fetched.error, ErrorCode::None);
        values_in(&fetched.records.map(|records| records.to_bytes().unwrap()).unwrap_or_default())
    }

    /// How long the first segment of a replica is by now.
    pub(super) fn segment_len(&self, broker: i32, name: &str) -> usize {
        let path = self.log_dir(broker).join(format!("{name}-0/00000000000000000000.log"));
        std::fs::metadata(path).map_or(0, |found| usize::try_from(found.len()).unwrap())
    }

    /// The bytes of the first segment of a replica, as they are on its disk.
    pub(super) fn segment(&self, broker: i32, name: &str) -> Vec<u8> {
        std::fs::read(self.log_dir(broker).join(format!("{name}-0/00000000000000000000.log"))).unwrap()
    }
}

pub(super) fn values_in(bytes: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        for record in batch.records(&mut RecordBuffer::default()).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}
