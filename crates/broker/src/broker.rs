//! The broker as its faces see it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use levada_metadata::{Command, Image, Response};
use levada_types::{BrokerId, ErrorCode, Isolation, Offset, ProducerEpoch, ProducerId, TopicIdPartition};

use crate::api::{
    DeleteRecords, DescribedConfig, DescribedLogDir, DescribedProducer, DescribedResource, EpochEnd, EpochEndRequest, Fetch, FetchedPartition, FoundOffset,
    ListOffset, PartitionError, Produce, Produced,
};

/// One broker: its partitions, its view of the cluster, and its way to the controller. Shared by all faces.
pub struct Broker {}

/// The signatures of the broker's services; each is filled in its own room.
impl Broker {
    /// This broker's id.
    pub fn id(&self) -> BrokerId {
        unimplemented!()
    }

    /// The cluster as this broker knows it now.
    pub fn image(&self) -> Arc<Image> {
        unimplemented!()
    }

    /// Resolves when the image has changed from `seen` (compare `image().offset`).
    pub async fn image_changed(&self, _seen: levada_types::MetadataOffset) {
        unimplemented!()
    }

    /// Has the active controller decide `command`, and waits until this broker's own image has its effect.
    pub async fn submit(&self, _command: Command, _timeout: Duration) -> Result<Response, PartitionError> {
        unimplemented!()
    }

    /// Appends. Everything is queued, in order, before this returns; the future only waits for the outcome. The answers
    /// stand in the order of the request's partitions. Dropping the future cancels nothing.
    pub fn produce(
        &self,
        _request: Produce,
    ) -> impl Future<Output = Vec<Result<Produced, PartitionError>>> + Send + use<> {
        async { unimplemented!() }
    }

    /// Reads. The answers stand in the order of the request's partitions, one for each.
    pub async fn fetch(&self, _request: &Fetch) -> Vec<FetchedPartition> {
        unimplemented!()
    }

    /// Finds offsets; the answers stand in the order of the request.
    pub async fn list_offsets(
        &self,
        _request: Vec<ListOffset>,
        _isolation: Isolation,
    ) -> Vec<Result<FoundOffset, PartitionError>> {
        unimplemented!()
    }

    /// Moves log start offsets up; each answer is the new log start offset ("low watermark").
    pub async fn delete_records(
        &self,
        _request: Vec<DeleteRecords>,
        _timeout: Duration,
    ) -> Vec<Result<Offset, PartitionError>> {
        unimplemented!()
    }

    /// Tells where leader epochs ended; `None` where the log knows none at or below the one asked for.
    pub fn epoch_ends(&self, _request: &[EpochEndRequest]) -> Vec<Result<Option<EpochEnd>, PartitionError>> {
        unimplemented!()
    }

    /// This broker's data directories and what is in them.
    pub async fn describe_log_dirs(&self) -> Vec<DescribedLogDir> {
        unimplemented!()
    }

    /// The producers that a partition remembers.
    pub async fn describe_producers(
        &self,
        _partition: TopicIdPartition,
    ) -> Result<Vec<DescribedProducer>, PartitionError> {
        unimplemented!()
    }

    /// A fresh producer id with epoch 0, from this broker's block.
    pub async fn init_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
        unimplemented!()
    }

    /// All settings of a resource with defaults and sources; every one known if `names` is `None`.
    pub fn describe_configs(
        &self,
        _resource: &DescribedResource,
        _names: Option<&[String]>,
    ) -> Result<Vec<DescribedConfig>, PartitionError> {
        unimplemented!()
    }

    /// Creates a topic that a client asked for by name, if `auto.create.topics.enable`; told apart from other errors:
    /// `TopicAuthorizationFailed`, `InvalidTopicException`, `UnknownTopicOrPartition` (creation is off).
    pub async fn auto_create_topics(&self, _names: &[&str]) -> Vec<Result<(), ErrorCode>> {
        unimplemented!()
    }
}
