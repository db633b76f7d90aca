//! Topics, as an administrator sees them.

use levada_proto::v1;
use levada_types::{BrokerId, LeaderEpoch, TopicId};

use crate::ClientError;

/// A topic to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTopic {
    request: v1::CreateTopicRequest,
}

impl NewTopic {
    /// A topic of this name, otherwise with the cluster's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { request: v1::CreateTopicRequest { name: name.into(), ..v1::CreateTopicRequest::default() } }
    }

    /// How many partitions it gets.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        self.request.partition_count = Some(count);
        self
    }

    /// How many replicas each partition gets.
    #[must_use]
    pub fn replication_factor(mut self, factor: i32) -> Self {
        self.request.replication_factor = Some(factor);
        self
    }

    /// The brokers of the next partition (the first call is for partition 0), the preferred leader first. Instead of
    /// [`Self::partitions`] and [`Self::replication_factor`].
    #[must_use]
    pub fn assign(mut self, brokers: &[BrokerId]) -> Self {
        let partition = i32::try_from(self.request.assignments.len()).unwrap_or(i32::MAX);
        let broker_ids = brokers.iter().map(|broker| broker.0).collect();
        self.request.assignments.push(v1::ReplicaAssignment { partition, broker_ids });
        self
    }

    /// One setting by Kafka's name, such as `retention.ms`.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.configs.insert(name.into(), value.into());
        self
    }

    /// Check everything and create nothing.
    #[must_use]
    pub fn validate_only(mut self, validate_only: bool) -> Self {
        self.request.validate_only = validate_only;
        self
    }

    pub(super) fn into_message(self) -> v1::CreateTopicRequest {
        self.request
    }
}

/// A topic that was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity; [`TopicId::ZERO`] with `validate_only`.
    pub id: TopicId,
    /// How many partitions it has.
    pub partition_count: i32,
    /// How many replicas each partition has.
    pub replication_factor: i32,
}

impl CreatedTopic {
    pub(super) fn read(address: &str, answer: &v1::CreateTopicResponse) -> Result<Self, ClientError> {
        let id = if answer.topic_id.is_empty() { TopicId::ZERO } else { read_id(address, &answer.topic_id)? };
        Ok(Self { id, partition_count: answer.partition_count, replication_factor: answer.replication_factor })
    }
}

/// A topic at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: TopicId,
    /// How many partitions it has.
    pub partition_count: i32,
    /// How many replicas its first partition has.
    pub replication_factor: i32,
    /// Whether coordinators keep their state in it.
    pub internal: bool,
}

impl TopicListing {
    pub(super) fn read(address: &str, topic: v1::TopicSummary) -> Result<Self, ClientError> {
        Ok(Self {
            id: read_id(address, &topic.topic_id)?,
            name: topic.name,
            partition_count: topic.partition_count,
            replication_factor: topic.replication_factor,
            internal: topic.internal,
        })
    }
}

/// A topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: TopicId,
    /// Whether coordinators keep their state in it.
    pub internal: bool,
    /// Its partitions, from 0.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<BrokerId>,
    /// Counts its leaders.
    pub leader_epoch: LeaderEpoch,
    /// The brokers that hold it, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas that are in sync. Without a leader: those that were so last and may come back complete.
    pub isr: Vec<BrokerId>,
    /// Replicas that are not in sync and still hold everything that was acknowledged (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Replicas whose broker or whose directory is down.
    pub offline: Vec<BrokerId>,
    /// Replicas that a reassignment brings in.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment takes out.
    pub removing: Vec<BrokerId>,
    /// Replicas that must be in sync for `acks=all`.
    pub min_isr: u32,
    /// Elections after which acknowledged records may be missing.
    pub possible_losses: u32,
}

impl TopicDescription {
    pub(super) fn read(address: &str, topic: v1::DescribeTopicResponse) -> Result<Self, ClientError> {
        let ids = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect();
        let partition = |partition: v1::PartitionDescription| PartitionDescription {
            partition: partition.partition,
            leader: partition.leader_id.map(BrokerId),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            replicas: ids(partition.replica_ids),
            isr: ids(partition.isr_ids),
            elr: ids(partition.elr_ids),
            offline: ids(partition.offline_ids),
            adding: ids(partition.adding_ids),
            removing: ids(partition.removing_ids),
            min_isr: partition.min_isr,
            possible_losses: partition.possible_losses,
        };
        Ok(Self {
            id: read_id(address, &topic.topic_id)?,
            name: topic.name,
            internal: topic.internal,
            partitions: topic.partitions.into_iter().map(partition).collect(),
        })
    }
}

pub(super) fn read_id(address: &str, text: &str) -> Result<TopicId, ClientError> {
    TopicId::parse(text).ok_or_else(|| ClientError::Protocol {
        address: address.to_owned(),
        reason: format!("{text:?} is not a topic id"),
    })
}
