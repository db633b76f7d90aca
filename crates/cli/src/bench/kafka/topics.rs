//! Topics over the Kafka protocol: make one, find its leaders and ends, delete it.

use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, ListOffsetsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use levada_types::ErrorCode;

use super::connection::{Connection, check};
use crate::CliError;
use crate::bench::plan::TopicPlan;

/// The newest versions that name topics rather than identify them.
pub(super) const METADATA: i16 = 12;
const CREATE_TOPICS: i16 = 7;
const DELETE_TOPICS: i16 = 5;
const LIST_OFFSETS: i16 = 7;

/// The timestamp that asks ListOffsets for the end of a partition.
const LATEST: i64 = -1;

/// How long a topic change may take, in milliseconds.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

/// How often and with which pause a new topic's leaders are asked for until there are all.
const LEADER_ATTEMPTS: u32 = 100;
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// A partition and where its leader is reached, as `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bench) struct Leader {
    pub(in crate::bench) partition: i32,
    pub(in crate::bench) address: String,
}

pub(in crate::bench) fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

/// The replication factor that asks for the cluster's default (KIP-464).
const CLUSTER_DEFAULT: i16 = -1;

/// Creates a topic.
pub(in crate::bench) fn create(address: &str, topic: &TopicPlan<'_>) -> Result<(), CliError> {
    let configs = topic
        .settings
        .iter()
        .map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string((*key).to_owned()))
                .with_value(Some(StrBytes::from_string((*value).to_owned())))
        })
        .collect();
    let wanted = CreatableTopic::default()
        .with_name(name(topic.name))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor.unwrap_or(CLUSTER_DEFAULT))
        .with_configs(configs);
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(CHANGE_TIMEOUT_MS);
    let answer = Connection::open(address)?.call(CREATE_TOPICS, &request)?;
    answer.topics.iter().try_for_each(|result| check(format!("creating topic {}", topic.name), result.error_code))
}

/// Deletes a topic.
pub(in crate::bench) fn delete(address: &str, topic: &str) -> Result<(), CliError> {
    let request = DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]).with_timeout_ms(CHANGE_TIMEOUT_MS);
    let answer = Connection::open(address)?.call(DELETE_TOPICS, &request)?;
    answer.responses.iter().try_for_each(|result| check(format!("deleting topic {topic}"), result.error_code))
}

/// The leaders of a topic's partitions, by partition; `None` if there is no such topic. Waits for a new topic's leaders.
pub(in crate::bench) fn leaders(address: &str, topic: &str) -> Result<Option<Vec<Leader>>, CliError> {
    let mut connection = Connection::open(address)?;
    let request = MetadataRequest::default()
        .with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(name(topic)))]))
        .with_allow_auto_topic_creation(false);
    for _ in 0..LEADER_ATTEMPTS {
        let answer = connection.call(METADATA, &request)?;
        let Some(found) = answer.topics.first() else { return Ok(None) };
        match ErrorCode::from_code(found.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::UnknownTopicOrPartition) => return Ok(None),
            Some(ErrorCode::LeaderNotAvailable) => {
                std::thread::sleep(LEADER_PAUSE);
                continue;
            }
            _ => check(format!("metadata of topic {topic}"), found.error_code)?,
        }
        let address_of = |id: BrokerId| {
            let broker = answer.brokers.iter().find(|broker| broker.node_id == id)?;
            Some(format!("{}:{}", broker.host, broker.port))
        };
        let leaders: Option<Vec<Leader>> = found
            .partitions
            .iter()
            .map(|p| address_of(p.leader_id).map(|address| Leader { partition: p.partition_index, address }))
            .collect();
        if let Some(mut leaders) = leaders.filter(|leaders| !leaders.is_empty()) {
            leaders.sort_by_key(|leader| leader.partition);
            return Ok(Some(leaders));
        }
        std::thread::sleep(LEADER_PAUSE);
    }
    Err(CliError::Kafka { what: format!("leaders of topic {topic}"), code: ErrorCode::LeaderNotAvailable })
}

/// The leaders of a topic that must exist.
pub(super) fn known_leaders(address: &str, topic: &str) -> Result<Vec<Leader>, CliError> {
    leaders(address, topic)?.ok_or_else(|| CliError::Failed(format!("there is no topic {topic}")))
}

/// Whether there is a topic of this name.
pub(in crate::bench) fn exists(address: &str, topic: &str) -> Result<bool, CliError> {
    leaders(address, topic).map(|leaders| leaders.is_some())
}

/// Whether no partition of an existing topic has a record.
pub(in crate::bench) fn is_empty(address: &str, topic: &str) -> Result<bool, CliError> {
    let leaders = leaders(address, topic)?.unwrap_or_default();
    Ok(ends(topic, &leaders)?.into_iter().all(|end| end == 0))
}

/// The end offsets of a topic's partitions, in the order of `leaders`.
pub(in crate::bench) fn ends(topic: &str, leaders: &[Leader]) -> Result<Vec<i64>, CliError> {
    leaders
        .iter()
        .map(|leader| {
            let partition =
                ListOffsetsPartition::default().with_partition_index(leader.partition).with_timestamp(LATEST);
            let wanted = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
            let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![wanted]);
            let answer = Connection::open(&leader.address)?.call(LIST_OFFSETS, &request)?;
            let what = format!("the end of {topic}-{}", leader.partition);
            let found = answer.topics.first().and_then(|topic| topic.partitions.first());
            let found =
                found.ok_or_else(|| CliError::Protocol { what: what.clone(), reason: "no answer".to_owned() })?;
            check(what, found.error_code)?;
            Ok(found.offset)
        })
        .collect()
}
