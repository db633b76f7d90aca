//! Looking at the cluster and changing it.

mod cluster_description;
mod config;
mod delete_records;
mod groups;
mod log_dirs;
mod membership;
mod partitions;
mod reassignments;
mod topic;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_proto::v1;
use levada_proto::v1::admin_client::AdminClient;
use levada_types::{BrokerId, ErrorCode, TopicId};
use tonic::transport::Channel;
use tonic::{Response, Status};

pub use cluster_description::{BrokerDescription, ClusterDescription, ClusterHealth};
pub use config::{ConfigChange, ConfigEntry, ConfigKind, ConfigResource, ConfigSource, ConfigSynonym};
pub use groups::{
    GroupDescription, GroupList, GroupListing, GroupMember, GroupOffset, GroupType, MovedOffset, OffsetToCommit,
    ResetTarget, TopicSelection,
};
pub use log_dirs::{BrokerLogDirs, LogDir, LogDirReplica};
pub use membership::{
    BrokerLoad, Decommission, Feature, FeatureUpdate, NodeLevels, Quorum, QuorumMember, Rebalance, StuckReplica,
};
pub use partitions::PartitionOutcome;
pub use reassignments::{Election, NewReassignment, OngoingReassignment, ReplicaProgress};
pub use topic::{CreatedTopic, NewTopic, PartitionDescription, TopicDescription, TopicListing};

use crate::cluster::{Cluster, admin_on};
use crate::list_offsets::list_offsets;
use crate::{ClientError, ListedOffset, OffsetTarget};

/// Topics per page of a listing; bounds one message, not the listing.
const PAGE_SIZE: u32 = 5_000;

/// The stub that calls are made with.
type Stub = AdminClient<Channel>;

/// Administers a cluster. Cheap to clone. Questions and changes go to any broker and, where no answer comes, to the next,
/// until `request.timeout.ms` has passed; so a change whose answer was lost may be found done already
/// (`TOPIC_ALREADY_EXISTS`, `UNKNOWN_TOPIC_OR_PARTITION`).
#[derive(Debug, Clone)]
pub struct Admin {
    cluster: Arc<Cluster>,
}

impl Admin {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// The broker's, such as `TOPIC_ALREADY_EXISTS`.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<CreatedTopic, ClientError> {
        let request = topic.into_message();
        let ask = |mut admin: AdminClient<Channel>| {
            let request = request.clone();
            async move { admin.create_topic(request).await }
        };
        let (address, answer) = self.ask(ask).await?;
        CreatedTopic::read(&address, &answer)
    }

    /// Lists all topics by ascending name.
    ///
    /// # Errors
    /// The broker's.
    pub async fn list_topics(&self, include_internal: bool) -> Result<Vec<TopicListing>, ClientError> {
        let mut topics = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListTopicsRequest { page_size: PAGE_SIZE, page_token, include_internal };
            let ask = |mut admin: AdminClient<Channel>| {
                let request = request.clone();
                async move { admin.list_topics(request).await }
            };
            let (address, page) = self.ask(ask).await?;
            for topic in page.topics {
                topics.push(TopicListing::read(&address, topic)?);
            }
            if page.next_page_token.is_empty() {
                return Ok(topics);
            }
            page_token = page.next_page_token;
        }
    }

    /// Describes a topic.
    ///
    /// # Errors
    /// The broker's, such as `UNKNOWN_TOPIC_OR_PARTITION`.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, ClientError> {
        let ask = |mut admin: AdminClient<Channel>| {
            let request = v1::DescribeTopicRequest { topic: Some(by_name(name)), auto_create: false };
            async move { admin.describe_topic(request).await }
        };
        let (address, answer) = self.ask(ask).await?;
        TopicDescription::read(&address, answer)
    }

    /// Deletes a topic and its records, and tells which it was.
    ///
    /// # Errors
    /// The broker's, such as `UNKNOWN_TOPIC_OR_PARTITION`.
    pub async fn delete_topic(&self, name: &str) -> Result<TopicId, ClientError> {
        let ask = |mut admin: AdminClient<Channel>| {
            let request = v1::DeleteTopicRequest { topic: Some(by_name(name)) };
            async move { admin.delete_topic(request).await }
        };
        let (address, answer) = self.ask(ask).await?;
        topic::read_id(&address, &answer.topic_id)
    }

    /// Gives a topic more partitions: `total_count` in all.
    ///
    /// # Errors
    /// The broker's, such as `INVALID_PARTITIONS`.
    pub async fn add_partitions(&self, name: &str, total_count: i32) -> Result<(), ClientError> {
        let ask = |mut admin: AdminClient<Channel>| {
            let topic = Some(by_name(name));
            let request =
                v1::AddPartitionsRequest { topic, total_count, assignments: Vec::new(), validate_only: false };
            async move { admin.add_partitions(request).await }
        };
        self.ask(ask).await.map(|_| ())
    }

    /// Gives a topic as many more partitions as there are `assignments`: each new one is held by these brokers, the preferred
    /// leader first.
    ///
    /// # Errors
    /// The broker's, such as `INVALID_REPLICA_ASSIGNMENT`.
    pub async fn assign_partitions(&self, name: &str, assignments: &[Vec<BrokerId>]) -> Result<i32, ClientError> {
        let topic = self.describe_topic(name).await?;
        let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let total_count = first.saturating_add(i32::try_from(assignments.len()).unwrap_or(i32::MAX));
        let assignment = |(partition, brokers): (i32, &Vec<BrokerId>)| v1::ReplicaAssignment {
            partition,
            broker_ids: brokers.iter().map(|id| id.0).collect(),
        };
        let request = v1::AddPartitionsRequest {
            topic: Some(by_name(name)),
            total_count,
            assignments: (first..).zip(assignments).map(assignment).collect(),
            validate_only: false,
        };
        self.call(request, |mut admin, request| async move { admin.add_partitions(request).await }).await?;
        Ok(total_count)
    }

    /// The settings of a resource by ascending name; all of them, if `names` is empty. A broker's own settings are asked
    /// of that broker.
    ///
    /// # Errors
    /// The broker's.
    pub async fn describe_configs(
        &self,
        resource: &ConfigResource,
        names: &[&str],
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let request = v1::DescribeConfigsRequest {
            resource: Some(resource.to_message()),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let ask = |mut admin: AdminClient<Channel>| {
            let request = request.clone();
            async move { admin.describe_configs(request).await }
        };
        let answer = match resource {
            ConfigResource::Broker(id) => {
                let address = self.address_of(*id).await?;
                self.cluster.ask_at(&address, self.cluster.deadline(), |channel| ask(admin_on(channel))).await?
            }
            ConfigResource::Topic(_) | ConfigResource::AllBrokers => self.ask(ask).await?.1,
        };
        Ok(answer.configs.into_iter().map(ConfigEntry::read).collect())
    }

    /// Changes some settings of a resource, all or none.
    ///
    /// # Errors
    /// The broker's, such as `INVALID_CONFIG`.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let request = v1::AlterConfigsRequest {
            resource: Some(resource.to_message()),
            changes: changes.iter().map(ConfigChange::to_message).collect(),
            validate_only,
        };
        let ask = |mut admin: AdminClient<Channel>| {
            let request = request.clone();
            async move { admin.alter_configs(request).await }
        };
        self.ask(ask).await.map(|_| ())
    }

    /// Describes the cluster.
    ///
    /// # Errors
    /// The broker's.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let ask = |mut admin: AdminClient<Channel>| async move {
            admin.describe_cluster(v1::DescribeClusterRequest {}).await
        };
        Ok(ClusterDescription::read(self.ask(ask).await?.1))
    }

    /// Finds offsets of some partitions of a topic (all, if `partitions` is empty), by ascending partition.
    ///
    /// # Errors
    /// The brokers', of any of the partitions.
    pub async fn list_offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        target: OffsetTarget,
    ) -> Result<Vec<ListedOffset>, ClientError> {
        list_offsets(&self.cluster, topic, partitions, target).await
    }

    /// What has settings; with `configured_only` what somebody has set something of.
    ///
    /// # Errors
    /// The broker's.
    pub async fn list_config_resources(&self, configured_only: bool) -> Result<Vec<ConfigResource>, ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.list_config_resources(request).await };
        let (_, answer) = self.call(v1::ListConfigResourcesRequest { configured_only }, ask).await?;
        Ok(answer.resources.into_iter().filter_map(ConfigResource::read).collect())
    }

    /// Where a broker serves this API.
    async fn address_of(&self, id: BrokerId) -> Result<String, ClientError> {
        let cluster = self.describe_cluster().await?;
        let broker = cluster.brokers.into_iter().find(|broker| broker.id == id);
        let address = broker.map(|broker| broker.grpc_address).filter(|address| !address.is_empty());
        address.ok_or_else(|| ClientError::Broker {
            code: ErrorCode::BrokerNotAvailable,
            message: format!("broker {id} is not registered, or serves no gRPC"),
            leader: None,
            partition: None,
        })
    }

    /// [`Self::ask`] with a request that each attempt sends a copy of.
    async fn call<Q: Clone, T, F>(&self, request: Q, call: impl Fn(Stub, Q) -> F) -> Result<(String, T), ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_within(self.cluster.options().request_timeout, request, call).await
    }

    /// [`Self::call`] with a time limit of its own.
    async fn call_within<Q: Clone, T, F>(
        &self,
        limit: Duration,
        request: Q,
        call: impl Fn(Stub, Q) -> F,
    ) -> Result<(String, T), ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + limit;
        self.cluster.ask_until(deadline, |channel| call(admin_on(channel), request.clone())).await
    }

    async fn ask<T, F>(&self, call: impl Fn(AdminClient<Channel>) -> F) -> Result<(String, T), ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.cluster.ask(|channel| call(admin_on(channel))).await
    }
}

fn by_name(name: &str) -> v1::TopicRef {
    v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(name.to_owned())) }
}
