//! DescribeTopicPartitions (KIP-966): partitions of topics, a page at a time.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName as WireName,
};
use levada_metadata::{Image, Partition, Topic};
use levada_types::{BrokerId, ErrorCode, PartitionIndex, TopicName};

use super::metadata::offline_replicas;
use super::{Handlers, code_of};
use crate::wire::endpoints::wire_id;
use crate::wire::operations;
use crate::wire::request::Head;
use crate::wire::text::{text, wire_name};

pub(super) fn handle(
    handlers: &Handlers,
    head: Head,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = handlers.broker.image();
    let most = handlers.options.max_request_partition_size_limit;
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, most.max(1));
    let (from, from_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index.max(0)),
        None => (String::new(), 0),
    };
    // Pages go through the topics by name, whatever the order they are asked in.
    let names: BTreeSet<String> = if request.topics.is_empty() {
        image.topics().map(|topic| topic.name().to_string()).filter(|name| *name >= from).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.to_string()).filter(|name| *name >= from).collect()
    };
    let mut page = Page { head, image: &image, left: limit, topics: Vec::new(), next: None };
    for name in names {
        let start = if name == from { from_partition } else { 0 };
        if !page.add(&name, start) {
            break;
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(page.topics).with_next_cursor(page.next)
}

struct Page<'a> {
    head: Head,
    image: &'a Image,
    left: usize,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
    next: Option<Cursor>,
}

impl Page<'_> {
    /// Adds a topic from a partition on; false once the page is full.
    fn add(&mut self, name: &str, start: PartitionIndex) -> bool {
        if self.left == 0 {
            self.next = Some(cursor(name, start));
            return false;
        }
        let Some(topic) = self.image.topic_by_name(name) else {
            let code = match TopicName::new(name) {
                Ok(_) => ErrorCode::UnknownTopicOrPartition,
                Err(_) => ErrorCode::InvalidTopicException,
            };
            let failed = DescribeTopicPartitionsResponseTopic::default()
                .with_error_code(code_of(self.head, code))
                .with_name(Some(WireName(text(name))));
            self.topics.push(failed);
            return true;
        };
        self.add_topic(topic, start)
    }

    fn add_topic(&mut self, topic: &Topic, start: PartitionIndex) -> bool {
        let partitions: Vec<_> = topic
            .partitions()
            .skip(usize::try_from(start).unwrap_or(0))
            .take(self.left)
            .map(|(index, partition)| self.partition(index, partition))
            .collect();
        self.left -= partitions.len();
        let next = start.saturating_add(i32::try_from(partitions.len()).unwrap_or(i32::MAX));
        let response = DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(wire_name(topic.name())))
            .with_topic_id(topic.id().0)
            .with_is_internal(topic.is_internal())
            .with_partitions(partitions)
            .with_topic_authorized_operations(operations::TOPIC);
        self.topics.push(response);
        if next < topic.partition_count() {
            self.next = Some(cursor(topic.name().as_str(), next));
            return false;
        }
        true
    }

    fn partition(&self, index: PartitionIndex, partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
        let code = if partition.leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        let ids = |ids: &mut dyn Iterator<Item = BrokerId>| ids.map(|id| wire_id(Some(id))).collect::<Vec<_>>();
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(code_of(self.head, code))
            .with_partition_index(index)
            .with_leader_id(wire_id(partition.leader))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(ids(&mut partition.replicas.iter().map(|replica| replica.broker)))
            .with_isr_nodes(ids(&mut partition.isr.iter().map(|member| member.broker)))
            .with_eligible_leader_replicas(Some(ids(&mut partition.elr.iter().copied())))
            .with_last_known_elr(Some(ids(&mut partition.last_complete.iter().copied())))
            .with_offline_replicas(offline_replicas(self.image, partition))
    }
}

fn cursor(topic: &str, partition: PartitionIndex) -> Cursor {
    Cursor::default().with_topic_name(WireName(text(topic))).with_partition_index(partition)
}
