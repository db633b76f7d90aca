//! DescribeProducers (KIP-664): the producers that partitions remember.

use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use levada_broker::api::DescribedProducer;
use levada_types::{ErrorCode, TopicIdPartition};

use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let id = handlers.broker.image().topic_id(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition in topic.partition_indexes {
            let result = match id {
                Some(topic_id) => handlers.broker.describe_producers(TopicIdPartition { topic_id, partition }).await,
                None => Err(ErrorCode::UnknownTopicOrPartition.into()),
            };
            let response = PartitionResponse::default().with_partition_index(partition).with_error_message(None);
            partitions.push(match result {
                Ok(producers) => response.with_active_producers(producers.into_iter().map(state).collect()),
                Err(error) => {
                    response.with_error_code(code_of(head, error.code)).with_error_message(error.message.map(text))
                }
            });
        }
        topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn state(producer: DescribedProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(producer.producer_id.into())
        .with_producer_epoch(i32::from(producer.producer_epoch))
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_start_offset.unwrap_or(-1))
}
