//! The broker as its faces see it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use levada_log::LogStore;
use levada_metadata::config::Resolver;
use levada_metadata::{Command, CoordinatorKind, Image, Response};
use levada_peers::{ControllerClient, GroupClient, MetadataWatch, Quorum, QuorumError};
use levada_service::net::Network;
use levada_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, Isolation, MetadataOffset, Offset, ProducerEpoch, ProducerId,
    TopicIdPartition,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::BrokerOptions;
use crate::api::{
    DeleteRecords, DescribedConfig, DescribedLogDir, DescribedProducer, DescribedResource, EpochEnd, EpochEndRequest,
    Fetch, FetchedPartition, FoundOffset, ListOffset, MoveReplica, PartitionError, Produce, Produced,
};
use crate::directories::{Directories, Moves, Placements, Transits};
use crate::mandate::Mandate;
use crate::partition::PartitionTable;
use crate::replication::Replication;
use crate::services::ProducerIds;
use crate::telemetry::BrokerMetrics;
use crate::threads::{Flushers, InFlight, LogThreads};

/// One broker: its partitions, its view of the cluster, and its way to the controller. Shared by all faces.
///
/// Its methods are the services of the `services` rooms, listed here so that a face sees them together.
pub struct Broker {
    pub(crate) options: BrokerOptions,
    /// The newest image that this broker has acted upon: every replica that it assigns is open.
    pub(crate) metadata: MetadataWatch,
    pub(crate) controller: ControllerClient,
    /// Where connections to other roles are made.
    pub(crate) network: Network,
    pub(crate) groups: GroupClient,
    pub(crate) store: Arc<LogStore>,
    pub(crate) directories: Directories,
    pub(crate) placements: Placements,
    pub(crate) moves: Moves,
    /// Locked while replicas come and go: by the reconciler while it opens and closes them, by others only for as long as
    /// it takes to put one in the place of another. The image that was acted upon last, which faces see a moment later.
    pub(crate) hosting: Mutex<Option<Arc<Image>>>,
    /// Logs that are opened anew just now.
    pub(crate) transits: Transits,
    pub(crate) partitions: PartitionTable,
    pub(crate) threads: LogThreads,
    pub(crate) replication: Arc<Replication>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) metrics: Arc<BrokerMetrics>,
    /// Whether it may act on what it leads.
    pub(crate) mandate: Mandate,
    /// The epoch of the current registration, once there is one.
    pub(crate) epoch: watch::Sender<Option<BrokerEpoch>>,
    /// The registration under which replicas have their parts. The reconciler's.
    pub(crate) reconciled_as: Mutex<Option<BrokerEpoch>>,
}

impl Broker {
    /// A broker over an open store that hosts nothing yet.
    pub(crate) fn assemble(
        options: BrokerOptions,
        store: LogStore,
        controller: ControllerClient,
        network: Network,
    ) -> std::io::Result<Self> {
        let metrics = Arc::new(BrokerMetrics::new());
        let directories: Vec<_> = store.directories().iter().filter_map(|directory| directory.id).collect();
        let (mandate, flushers) = (Mandate::default(), Flushers::start(&directories)?);
        let replication = Replication::new(&options, mandate.clone(), flushers);
        let threads = LogThreads::start(&directories, options.io_threads, &replication, &metrics)?;
        let metadata = MetadataWatch::holding(Image::new());
        let (id, statics) = (options.broker_id(), options.statics.clone());
        // The settings are this broker's, as in Kafka.
        let shards = move |image: &Image| {
            Command::create_shards(CoordinatorKind::Group, &Resolver::new(image.state(), Some(id), &statics))
        };
        Ok(Self {
            groups: GroupClient::new(network.clone(), metadata.clone(), controller.clone(), shards),
            metadata,
            controller,
            network,
            directories: Directories::of(&store),
            placements: Placements::default(),
            moves: Moves::default(),
            hosting: Mutex::new(None),
            transits: Transits::default(),
            store: Arc::new(store),
            partitions: PartitionTable::default(),
            threads,
            replication,
            in_flight: InFlight::new(options.queued_bytes()),
            producer_ids: ProducerIds::default(),
            metrics,
            mandate,
            epoch: watch::Sender::new(None),
            reconciled_as: Mutex::new(None),
            options,
        })
    }

    /// This broker's id.
    pub fn id(&self) -> BrokerId {
        self.options.broker_id()
    }

    /// The epoch of this broker's registration; `None` before there is one.
    pub fn epoch(&self) -> Option<BrokerEpoch> {
        *self.epoch.borrow()
    }

    /// The way to the coordinators of groups.
    pub fn groups(&self) -> &GroupClient {
        &self.groups
    }

    /// Where a face makes its connections to other roles.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The cluster as this broker knows it and has acted upon it: what it assigns to this broker is open.
    pub fn image(&self) -> Arc<Image> {
        self.metadata.image()
    }

    /// Resolves when the image has changed from `seen` (compare `image().offset()`).
    pub async fn image_changed(&self, seen: MetadataOffset) {
        self.metadata.changed(seen).await;
    }

    /// Has the active controller decide `command`, and waits until this broker's own image has its effect.
    ///
    /// # Errors
    /// REQUEST_TIMED_OUT if that took longer than `timeout`, whether or not it was done.
    pub async fn submit(&self, command: Command, timeout: Duration) -> Result<Response, PartitionError> {
        self.decide(&command, timeout).await
    }

    /// How the quorum of the controllers stands.
    ///
    /// # Errors
    /// [`QuorumError`] if no active controller answers within `timeout`.
    pub async fn describe_quorum(&self, timeout: Duration) -> Result<Quorum, QuorumError> {
        self.controller.describe_quorum(timeout).await
    }

    /// Gives a controller that has announced itself a vote (KIP-853).
    ///
    /// # Errors
    /// [`QuorumError`].
    pub async fn add_voter(
        &self,
        id: u64,
        directory: Option<DirectoryId>,
        timeout: Duration,
    ) -> Result<(), QuorumError> {
        self.controller.add_voter(id, directory, timeout).await
    }

    /// Takes the vote of a controller away (KIP-853).
    ///
    /// # Errors
    /// [`QuorumError`].
    pub async fn remove_voter(
        &self,
        id: u64,
        directory: Option<DirectoryId>,
        timeout: Duration,
    ) -> Result<(), QuorumError> {
        self.controller.remove_voter(id, directory, timeout).await
    }

    /// Appends. Everything is queued, in order, before this returns; the future only waits for the outcome. The answers
    /// stand in the order of the request's partitions. Dropping the future cancels nothing.
    pub fn produce(
        &self,
        request: Produce,
    ) -> impl Future<Output = Vec<Result<Produced, PartitionError>>> + Send + use<> {
        self.append(request)
    }

    /// Resolves while fewer bytes than `queued.max.request.bytes` wait to be appended. A face waits for this before it
    /// reads the next produce request of a connection; that is the backpressure on producers.
    pub async fn produce_room(&self) {
        self.in_flight.room().await;
    }

    /// Reads. The answers stand in the order of the request's partitions, one for each.
    pub async fn fetch(&self, request: &Fetch) -> Vec<FetchedPartition> {
        self.read(request).await
    }

    /// Finds offsets; the answers stand in the order of the request.
    pub async fn list_offsets(
        &self,
        request: Vec<ListOffset>,
        isolation: Isolation,
    ) -> Vec<Result<FoundOffset, PartitionError>> {
        self.find_offsets(request, isolation).await
    }

    /// Moves log start offsets up; each answer is the new log start offset ("low watermark").
    pub async fn delete_records(
        &self,
        request: Vec<DeleteRecords>,
        timeout: Duration,
    ) -> Vec<Result<Offset, PartitionError>> {
        self.delete_heads(request, timeout).await
    }

    /// Tells where leader epochs ended; `None` where the log knows none at or below the one asked for.
    pub fn epoch_ends(&self, request: &[EpochEndRequest]) -> Vec<Result<Option<EpochEnd>, PartitionError>> {
        request.iter().map(|asked| self.find_epoch_end(asked)).collect()
    }

    /// This broker's data directories and what is in them.
    pub async fn describe_log_dirs(&self) -> Vec<DescribedLogDir> {
        self.list_log_dirs().await
    }

    /// Begins to move replicas into other data directories of this broker, and calls moves off whose replica is asked to be
    /// where it is. The answers stand in the order of the request; how far the moves are is told by
    /// [`Broker::describe_log_dirs`].
    ///
    /// # Errors
    /// LOG_DIR_NOT_FOUND, REPLICA_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION, or KAFKA_STORAGE_ERROR if one of the two
    /// directories has failed.
    pub async fn move_replicas(&self, request: Vec<MoveReplica>) -> Vec<Result<(), PartitionError>> {
        self.begin_moves(&request)
    }

    /// The producers that a partition remembers.
    ///
    /// # Errors
    /// Those of a partition that is not led here.
    pub async fn describe_producers(
        &self,
        partition: TopicIdPartition,
    ) -> Result<Vec<DescribedProducer>, PartitionError> {
        self.list_producers(partition).await
    }

    /// A fresh producer id with epoch 0, from this broker's block.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE, which clients repeat, while the controller hands out no block.
    pub async fn init_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
        self.next_producer_id().await
    }

    /// All settings of a resource with defaults and sources; every one known if `names` is `None`.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION for a topic that does not exist.
    pub fn describe_configs(
        &self,
        resource: &DescribedResource,
        names: Option<&[String]>,
    ) -> Result<Vec<DescribedConfig>, PartitionError> {
        self.list_configs(resource, names)
    }

    /// Creates the topics of these names that do not exist, if `auto.create.topics.enable`; told apart from other errors:
    /// `InvalidTopicException`, `UnknownTopicOrPartition` (creation is off), `LeaderNotAvailable` (not yet).
    pub async fn auto_create_topics(&self, names: &[&str]) -> Vec<Result<(), ErrorCode>> {
        self.create_missing(names).await
    }
}
