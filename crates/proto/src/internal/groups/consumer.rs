//! Of the next-generation protocol.

use levada_groups::api;

use super::pb;
use super::{ConversionError, all, code, id_bytes, number, topic_id, try_all};

fn list(topics: Vec<api::TopicPartitions>) -> pb::TopicPartitionsList {
    pb::TopicPartitionsList { topics: all(topics) }
}

fn topics(list: pb::TopicPartitionsList) -> Result<Vec<api::TopicPartitions>, ConversionError> {
    try_all(list.topics)
}

impl From<api::ConsumerGroupHeartbeat> for pb::ConsumerGroupHeartbeat {
    fn from(value: api::ConsumerGroupHeartbeat) -> Self {
        Self {
            group_id: value.group_id,
            member_id: value.member_id,
            member_epoch: value.member_epoch,
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            subscribed_topic_names: value.subscribed_topic_names.map(|names| pb::TopicNames { names }),
            subscribed_topic_regex: value.subscribed_topic_regex,
            server_assignor: value.server_assignor,
            topic_partitions: value.topic_partitions.map(list),
            client_id: value.client_id,
            client_host: value.client_host,
            stream_number: value.stream_number,
        }
    }
}

impl TryFrom<pb::ConsumerGroupHeartbeat> for api::ConsumerGroupHeartbeat {
    type Error = ConversionError;

    fn try_from(value: pb::ConsumerGroupHeartbeat) -> Result<Self, ConversionError> {
        Ok(Self {
            group_id: value.group_id,
            member_id: value.member_id,
            member_epoch: value.member_epoch,
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            subscribed_topic_names: value.subscribed_topic_names.map(|topics| topics.names),
            subscribed_topic_regex: value.subscribed_topic_regex,
            server_assignor: value.server_assignor,
            topic_partitions: value.topic_partitions.map(topics).transpose()?,
            client_id: value.client_id,
            client_host: value.client_host,
            stream_number: value.stream_number,
        })
    }
}

impl From<api::TopicPartitions> for pb::TopicPartitions {
    fn from(value: api::TopicPartitions) -> Self {
        Self { topic_id: id_bytes(value.topic_id.0), partitions: value.partitions }
    }
}

impl TryFrom<pb::TopicPartitions> for api::TopicPartitions {
    type Error = ConversionError;

    fn try_from(value: pb::TopicPartitions) -> Result<Self, ConversionError> {
        Ok(Self { topic_id: topic_id(&value.topic_id)?, partitions: value.partitions })
    }
}

impl From<api::ConsumerGroupHeartbeatAnswer> for pb::ConsumerGroupHeartbeatAnswer {
    fn from(value: api::ConsumerGroupHeartbeatAnswer) -> Self {
        Self {
            error: number(value.error),
            error_message: value.error_message,
            member_id: value.member_id,
            member_epoch: value.member_epoch,
            heartbeat_interval_ms: value.heartbeat_interval_ms,
            assignment: value.assignment.map(list),
        }
    }
}

impl TryFrom<pb::ConsumerGroupHeartbeatAnswer> for api::ConsumerGroupHeartbeatAnswer {
    type Error = ConversionError;

    fn try_from(value: pb::ConsumerGroupHeartbeatAnswer) -> Result<Self, ConversionError> {
        Ok(Self {
            error: code(value.error),
            error_message: value.error_message,
            member_id: value.member_id,
            member_epoch: value.member_epoch,
            heartbeat_interval_ms: value.heartbeat_interval_ms,
            assignment: value.assignment.map(topics).transpose()?,
        })
    }
}
