//! ListPartitionReassignments (KIP-455): the partitions that are moving.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use levada_metadata::{Image, Partition};
use levada_types::{BrokerId, PartitionIndex, TopicIdPartition, TopicName};

use super::Handlers;
use crate::wire::endpoints::wire_id;
use crate::wire::text::wire_name;

pub(super) fn handle(
    handlers: &Handlers,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let image = handlers.broker.image();
    let mut ongoing = Ongoing { image: &image, topics: BTreeMap::new() };
    match &request.topics {
        None => image.reassigning().for_each(|at| ongoing.add(at)),
        Some(topics) => {
            for topic in topics {
                let Some(topic_id) = image.topic_id(&topic.name) else { continue };
                for &partition in &topic.partition_indexes {
                    ongoing.add(TopicIdPartition { topic_id, partition });
                }
            }
        }
    }
    let topics = ongoing.topics.into_iter().map(|(name, partitions)| {
        OngoingTopicReassignment::default()
            .with_name(wire_name(name))
            .with_partitions(partitions.into_values().collect())
    });
    ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics.collect())
}

/// What is moving, each partition once. One that does not exist, or does not move, is not among them, as in Kafka.
struct Ongoing<'a> {
    image: &'a Image,
    topics: BTreeMap<&'a TopicName, BTreeMap<PartitionIndex, OngoingPartitionReassignment>>,
}

impl Ongoing<'_> {
    fn add(&mut self, at: TopicIdPartition) {
        let Some(topic) = self.image.topic(at.topic_id) else { return };
        if let Some(partition) = topic.partition(at.partition).filter(|partition| partition.is_reassigning()) {
            let told = told(at.partition, partition);
            self.topics.entry(topic.name()).or_default().insert(at.partition, told);
        }
    }
}

fn told(index: PartitionIndex, partition: &Partition) -> OngoingPartitionReassignment {
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| wire_id(Some(*id))).collect();
    OngoingPartitionReassignment::default()
        .with_partition_index(index)
        .with_replicas(partition.replicas.iter().map(|replica| wire_id(Some(replica.broker))).collect())
        .with_adding_replicas(ids(&partition.adding))
        .with_removing_replicas(ids(&partition.removing))
}
