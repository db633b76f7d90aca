//! A broker without a controller: images are made by hand and given to it one by one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_log::{Disk, LogStore, RealDisk, RecoveryProgress, Slice, StoreOptions};
use levada_metadata::{
    BrokerRegistration, ConfigResource, Delta, Image, IsrMember, LevelRange, Partition as Assignment, Replica,
};
use levada_peers::{ControllerClient, Controllers};
use levada_records::{BatchBuilder, Batches, Compression, RecordBuffer};
use levada_service::net::Network;
use levada_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, Isolation, LeaderEpoch, MetadataOffset, Offset, PartitionEpoch,
    PartitionIndex, TopicId, TopicIdPartition, TopicName,
};
use uuid::Uuid;

use crate::api::{
    Acks, Fetch, FetchPartition, FetchedPartition, PartitionError, Produce, ProducePartition, Produced, ReadFrom,
};
use crate::reconcile::Unopened;
use crate::{Broker, BrokerOptions};

pub(super) const BROKER: BrokerId = BrokerId(1);
pub(super) const OTHER: BrokerId = BrokerId(2);

/// The registration of the broker, in every image of the world.
const EPOCH: BrokerEpoch = BrokerEpoch(1);

/// Long enough that only a defect lets it pass.
pub(super) const FOR_EVER: Duration = Duration::from_secs(600);

pub(super) struct World {
    pub(super) broker: Arc<Broker>,
    deltas: Vec<Delta>,
    offset: u64,
    unopened: Unopened,
    /// Partitions that the last step has looked at.
    looked_at: usize,
    disk: Arc<dyn Disk>,
    options: BrokerOptions,
    dir: Option<tempfile::TempDir>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log_dir = dir.path().join("data");
        Self { dir: Some(dir), ..Self::over(Arc::new(RealDisk), &[log_dir]) }
    }

    /// A broker whose data directories are on `disk`.
    pub(super) fn over(disk: Arc<dyn Disk>, log_dirs: &[PathBuf]) -> Self {
        let log_dirs = log_dirs.iter().map(|dir| dir.to_str().unwrap()).collect();
        let options = BrokerOptions { node_id: BROKER.0, log_dirs, io_threads: 2, ..BrokerOptions::default() };
        let broker = assemble(&options, &disk);
        let deltas = vec![registered(BROKER, EPOCH.0)];
        Self { broker, deltas, offset: 0, unopened: Unopened::new(), looked_at: 0, disk, options, dir: None }
    }

    /// Stops the broker as a clean shutdown would, and starts it again with the same metadata.
    pub(super) fn restart(self) -> Self {
        self.restart_without(TopicId::ZERO)
    }

    /// The same, but the metadata has never heard of this topic.
    pub(super) fn restart_without(mut self, forgotten: TopicId) -> Self {
        self.stop();
        self.deltas.retain(|delta| match delta {
            Delta::TopicCreated { id, .. } => *id != forgotten,
            Delta::PartitionSet { topic, .. } => *topic != forgotten,
            _ => true,
        });
        self.again(|| ())
    }

    /// Ends the broker without closing anything; `meanwhile` may do something to the disk before it starts again.
    pub(super) fn crash(self, meanwhile: impl FnOnce()) -> Self {
        self.broker.threads.stop();
        self.again(meanwhile)
    }

    /// Stops the broker cleanly and starts it again without any metadata.
    pub(super) fn restart_unaware(self) -> Self {
        self.stop();
        self.afresh(|| ())
    }

    /// Starts the broker, which has ended, again; `meanwhile` may do something to the disk before.
    pub(super) fn again(self, meanwhile: impl FnOnce()) -> Self {
        let mut world = self.afresh(meanwhile);
        world.step(Vec::new());
        world
    }

    fn afresh(self, meanwhile: impl FnOnce()) -> Self {
        let Self { broker, deltas, offset, disk, options, dir, .. } = self;
        // The data directories are locked until the last of it is gone.
        drop(broker);
        meanwhile();
        let broker = assemble(&options, &disk);
        Self { broker, deltas, offset, unopened: Unopened::new(), looked_at: 0, disk, options, dir }
    }

    /// An image of these deltas, followed by those of the world if `complete`.
    pub(super) fn image_with(&self, deltas: &[Delta], offset: u64, complete: bool) -> Image {
        let mut all = deltas.to_vec();
        let is_registration = |delta: &&Delta| matches!(delta, Delta::BrokerRegistered { .. });
        all.extend(self.deltas.iter().filter(|delta| complete && !is_registration(delta)).cloned());
        Image::restore(MetadataOffset(offset), None, &all).unwrap()
    }

    pub(super) fn stop(&self) {
        assert!(self.broker.close_all());
        self.broker.threads.stop();
        let partitions = self.broker.partitions.all();
        let high_watermarks: HashMap<_, _> =
            partitions.iter().map(|partition| (partition.name().clone(), partition.high_watermark())).collect();
        self.broker.store.close(&high_watermarks, 7).unwrap();
    }

    /// Changes the metadata and has the broker act upon it.
    pub(super) fn step(&mut self, deltas: Vec<Delta>) {
        self.deltas.extend(deltas);
        self.offset += 1;
        let image = Image::restore(MetadataOffset(self.offset), None, &self.deltas).unwrap();
        let old = self.broker.image();
        let mut acted_upon = self.broker.hosting.lock();
        let outcome = self.broker.reconcile(&old, &image, &self.unopened, &RecoveryProgress::default());
        *acted_upon = Some(Arc::new(image.clone()));
        (self.unopened, self.looked_at) = (outcome.unopened, outcome.looked_at);
        self.broker.metadata.publish(&image);
    }

    /// Partitions that could not be opened.
    pub(super) fn unopened(&self) -> usize {
        self.unopened.len()
    }

    /// How many partitions the last step has looked at.
    pub(super) fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Creates a topic whose partitions this broker alone holds and leads.
    pub(super) fn create(&mut self, name: &str, partitions: PartitionIndex) -> TopicId {
        let id = TopicId(Uuid::new_v4());
        let mut deltas = vec![Delta::TopicCreated { id, name: TopicName::new(name).unwrap() }];
        deltas.extend((0..partitions).map(|index| assign(id, index, led_by(Some(BROKER), 0, &[BROKER]))));
        self.step(deltas);
        id
    }

    pub(super) fn assign(&mut self, id: TopicIdPartition, assignment: Assignment) {
        self.step(vec![assign(id.topic_id, id.partition, assignment)]);
    }

    pub(super) fn delete(&mut self, id: TopicId) {
        self.step(vec![Delta::TopicDeleted { id }]);
    }

    pub(super) fn configure(&mut self, id: TopicId, name: &str, value: &str) {
        let resource = ConfigResource::Topic(id);
        self.step(vec![Delta::ConfigSet { resource, name: name.to_owned(), value: Some(value.to_owned()) }]);
    }

    pub(super) async fn produce(&self, id: TopicIdPartition, records: Bytes) -> Result<Produced, PartitionError> {
        self.broker.produce(one(id, records, Acks::Leader)).await.pop().unwrap()
    }

    /// Produces one batch of these values and returns its base offset.
    pub(super) async fn put(&self, id: TopicIdPartition, values: &[&str]) -> Offset {
        self.produce(id, batch(values)).await.unwrap().base_offset
    }

    /// Fetches from one partition without waiting.
    pub(super) async fn get(&self, id: TopicIdPartition, offset: Offset) -> FetchedPartition {
        self.broker.fetch(&fetch(&[(id, offset)])).await.pop().unwrap()
    }

    /// The values that a consumer finds from `offset` on.
    pub(super) async fn values(&self, id: TopicIdPartition, offset: Offset) -> Vec<String> {
        let fetched = self.get(id, offset).await;
        assert_eq!(fetched.error, ErrorCode::None);
        fetched.records.iter().flat_map(values_in).collect()
    }
}

fn assemble(options: &BrokerOptions, disk: &Arc<dyn Disk>) -> Arc<Broker> {
    let store_options = StoreOptions {
        directories: options.log_dirs.iter().map(PathBuf::from).collect(),
        cluster_id: None,
        node_id: BROKER,
        recovery_threads: 1,
        max_open_files: 64,
    };
    let store = LogStore::open(store_options, Arc::clone(disk), &mut || DirectoryId(Uuid::new_v4())).unwrap();
    let nobody = ControllerClient::new(Controllers::new(Network::new(), Vec::new()));
    let broker = Broker::assemble(options.clone(), store, nobody, Network::new()).unwrap();
    broker.epoch.send_replace(Some(EPOCH));
    Arc::new(broker)
}

/// A registration of a broker under this epoch.
pub(super) fn registered(id: BrokerId, epoch: i64) -> Delta {
    Delta::BrokerRegistered {
        broker: Arc::new(BrokerRegistration {
            id,
            epoch: BrokerEpoch(epoch),
            incarnation: Uuid::nil(),
            boot_id: None,
            directories: Vec::new(),
            endpoints: Vec::new(),
            internal_address: String::new(),
            rack: None,
            levels: LevelRange::SUPPORTED,
            fenced: true,
            stopping: false,
            draining: false,
        }),
    }
}

fn assign(topic: TopicId, index: PartitionIndex, partition: Assignment) -> Delta {
    Delta::PartitionSet { topic, index, partition: Arc::new(partition) }
}

/// A partition that brokers 1 and maybe others hold.
pub(super) fn led_by(leader: Option<BrokerId>, epoch: i32, in_sync: &[BrokerId]) -> Assignment {
    let mut holders = in_sync.to_vec();
    holders.extend(leader.filter(|leader| !in_sync.contains(leader)));
    if !holders.contains(&BROKER) {
        holders.push(BROKER);
    }
    held_by(&holders, leader, epoch, in_sync)
}

pub(super) fn held_by(holders: &[BrokerId], leader: Option<BrokerId>, epoch: i32, in_sync: &[BrokerId]) -> Assignment {
    let replicas = holders.iter().map(|broker| Replica { broker: *broker, directory: DirectoryId::UNASSIGNED });
    let isr = in_sync.iter().map(|broker| IsrMember { broker: *broker, epoch: BrokerEpoch(1) });
    Assignment {
        leader,
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(epoch),
        ..Assignment::new(replicas.collect(), isr.collect(), BROKER)
    }
}

pub(super) fn tp(topic_id: TopicId, partition: PartitionIndex) -> TopicIdPartition {
    TopicIdPartition { topic_id, partition }
}

pub(super) fn builder(values: &[&str]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for (index, value) in (0i64..).zip(values) {
        builder.append(crate::clock::now_ms() + index, None, Some(value.as_bytes()), &[]).unwrap();
    }
    builder
}

pub(super) fn batch(values: &[&str]) -> Bytes {
    builder(values).build(Compression::None, None).unwrap()
}

pub(super) fn one(id: TopicIdPartition, records: Bytes, acks: Acks) -> Produce {
    Produce { acks, timeout: FOR_EVER, partitions: vec![ProducePartition { partition: id, records }] }
}

pub(super) fn fetch(from: &[(TopicIdPartition, Offset)]) -> Fetch {
    let partitions = from
        .iter()
        .map(|(partition, offset)| FetchPartition {
            partition: *partition,
            offset: *offset,
            max_bytes: 1 << 20,
            current_leader_epoch: None,
            last_fetched_epoch: None,
        })
        .collect();
    Fetch {
        max_wait: Duration::ZERO,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation: Isolation::ReadUncommitted,
        read_from: ReadFrom::Leader,
        partitions,
    }
}

pub(super) fn values_in(slice: &Slice) -> Vec<String> {
    let bytes = slice.to_bytes().unwrap();
    let mut values = Vec::new();
    let mut buffer = RecordBuffer::default();
    for batch in Batches::new(&bytes) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        for record in batch.records(&mut buffer).unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

pub(super) fn code<T>(result: &Result<T, PartitionError>) -> ErrorCode {
    result.as_ref().map_or_else(|error| error.code, |_| ErrorCode::None)
}
