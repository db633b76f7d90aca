//! Metadata: brokers, topics and leaders; creates topics that a client asks for by name, if that is allowed.

use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use levada_metadata::{BrokerRegistration, Image, Partition, Topic};
use levada_types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicName};

use super::{Handlers, code_of};
use crate::wire::endpoints::{endpoint, wire_id};
use crate::wire::operations;
use crate::wire::request::Head;
use crate::wire::text::{text, wire_name};

pub(super) async fn handle(handlers: &Handlers, head: Head, request: MetadataRequest) -> MetadataResponse {
    let asked = match request.topics {
        // Version 0 has no null: an empty list asks for all topics there, for none later.
        Some(topics) if head.version > 0 || !topics.is_empty() => Some(topics),
        _ => None,
    };
    let created = match &asked {
        Some(topics) if request.allow_auto_topic_creation => create_missing(handlers, topics).await,
        _ => Vec::new(),
    };
    let image = handlers.broker.image();
    let authorized = head.version >= 8 && request.include_topic_authorized_operations;
    let describe = Describe { head, image: &image, authorized };
    let topics = match &asked {
        None => image.topics().map(|topic| describe.topic(topic)).collect(),
        Some(topics) => topics.iter().map(|topic| describe.asked(topic, &created)).collect(),
    };
    let response = MetadataResponse::default()
        .with_brokers(brokers(&handlers.recent.list(&image, Instant::now()), &handlers.listener))
        .with_cluster_id(image.cluster_id().map(|id| text(id.to_string())))
        .with_controller_id(wire_id(controller(&image, handlers.broker.id())))
        .with_topics(topics);
    if (8..=10).contains(&head.version) && request.include_cluster_authorized_operations {
        response.with_cluster_authorized_operations(operations::CLUSTER)
    } else {
        response
    }
}

/// The broker that admin clients are sent to. Every broker hands their requests on to the active controller, so this
/// one does as well as any other and saves the client a connection; but one that is about to stop does not.
pub(super) fn controller(image: &Image, this: BrokerId) -> Option<BrokerId> {
    let is_live = image.live_brokers().any(|broker| broker.id == this);
    if is_live { Some(this) } else { image.live_brokers().next().map(|broker| broker.id) }
}

/// Creates the topics that are asked for by a name that no topic has; what came of each that could not be created.
async fn create_missing(handlers: &Handlers, topics: &[MetadataRequestTopic]) -> Vec<(String, ErrorCode)> {
    let image = handlers.broker.image();
    let missing: Vec<&str> = topics
        .iter()
        .filter(|topic| topic.topic_id.is_nil())
        .filter_map(|topic| topic.name.as_ref())
        .map(|name| name.0.as_str())
        .filter(|name| image.topic_by_name(name).is_none() && TopicName::new(name).is_ok())
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let results = handlers.broker.auto_create_topics(&missing).await;
    let failed = missing.iter().zip(results).filter_map(|(name, result)| Some(((*name).to_owned(), result.err()?)));
    failed.collect()
}

fn brokers(listed: &[&Arc<BrokerRegistration>], listener: &str) -> Vec<MetadataResponseBroker> {
    listed
        .iter()
        .filter_map(|broker| {
            let endpoint = endpoint(broker, listener)?;
            Some(
                MetadataResponseBroker::default()
                    .with_node_id(wire_id(Some(broker.id)))
                    .with_host(text(&*endpoint.host))
                    .with_port(i32::from(endpoint.port))
                    .with_rack(broker.rack.clone().map(text)),
            )
        })
        .collect()
}

struct Describe<'a> {
    head: Head,
    image: &'a Image,
    authorized: bool,
}

impl Describe<'_> {
    fn asked(&self, asked: &MetadataRequestTopic, created: &[(String, ErrorCode)]) -> MetadataResponseTopic {
        if !asked.topic_id.is_nil() {
            return match self.image.topic(TopicId(asked.topic_id)) {
                Some(topic) => self.topic(topic),
                None => self.failed(asked, ErrorCode::UnknownTopicId).with_name(None),
            };
        }
        let Some(name) = &asked.name else { return self.failed(asked, ErrorCode::InvalidRequest) };
        if let Some(topic) = self.image.topic_by_name(name) {
            return self.topic(topic);
        }
        if TopicName::new(name).is_err() {
            return self.failed(asked, ErrorCode::InvalidTopicException);
        }
        let failure = created.iter().find(|(failed, _)| failed.as_str() == name.0.as_str()).map(|(_, code)| *code);
        self.failed(asked, failure.unwrap_or(ErrorCode::UnknownTopicOrPartition))
    }

    fn failed(&self, asked: &MetadataRequestTopic, code: ErrorCode) -> MetadataResponseTopic {
        // Before version 12 a name cannot be absent.
        let name = asked.name.clone().or_else(|| (self.head.version < 12).then(Default::default));
        MetadataResponseTopic::default()
            .with_error_code(code_of(self.head, code))
            .with_name(name)
            .with_topic_id(asked.topic_id)
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic {
        let partitions = topic.partitions().map(|(index, partition)| self.partition(index, partition)).collect();
        let response = MetadataResponseTopic::default()
            .with_name(Some(wire_name(topic.name())))
            .with_topic_id(topic.id().0)
            .with_is_internal(topic.is_internal())
            .with_partitions(partitions);
        if self.authorized { response.with_topic_authorized_operations(operations::TOPIC) } else { response }
    }

    fn partition(&self, index: PartitionIndex, partition: &Partition) -> MetadataResponsePartition {
        let code = if partition.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        MetadataResponsePartition::default()
            .with_error_code(code_of(self.head, code))
            .with_partition_index(index)
            .with_leader_id(wire_id(partition.leader))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(partition.replicas.iter().map(|replica| wire_id(Some(replica.broker))).collect())
            .with_isr_nodes(partition.isr.iter().map(|member| wire_id(Some(member.broker))).collect())
            .with_offline_replicas(offline_replicas(self.image, partition))
    }
}

/// The replicas whose broker is not there, or whose data directory is gone.
pub(super) fn offline_replicas(image: &Image, partition: &Partition) -> Vec<kafka_protocol::messages::BrokerId> {
    image.offline_replicas(partition).map(|broker| wire_id(Some(broker))).collect()
}
