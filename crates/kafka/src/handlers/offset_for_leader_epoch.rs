//! OffsetForLeaderEpoch: where leader epochs ended (KIP-101, KIP-320).

use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use levada_broker::api::{EpochEnd, EpochEndRequest, PartitionError};
use levada_types::{ErrorCode, LeaderEpoch, TopicIdPartition};

use super::{Handlers, code_of};
use crate::wire::request::Head;

pub(super) fn handle(
    handlers: &Handlers,
    head: Head,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let image = handlers.broker.image();
    let topics = request.topics.into_iter().map(|topic| {
        let id = image.topic_id(&topic.topic);
        let partitions = topic.partitions.iter().map(|partition| {
            let result = match id {
                Some(topic_id) => {
                    let asked = EpochEndRequest {
                        partition: TopicIdPartition { topic_id, partition: partition.partition },
                        current_leader_epoch: (partition.current_leader_epoch >= 0)
                            .then_some(LeaderEpoch(partition.current_leader_epoch)),
                        leader_epoch: LeaderEpoch(partition.leader_epoch),
                    };
                    handlers.broker.epoch_ends(&[asked]).pop().unwrap_or(Ok(None))
                }
                None => Err(ErrorCode::UnknownTopicOrPartition.into()),
            };
            respond(head, partition.partition, result)
        });
        OffsetForLeaderTopicResult::default().with_partitions(partitions.collect()).with_topic(topic.topic)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn respond(head: Head, partition: i32, result: Result<Option<EpochEnd>, PartitionError>) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(partition).with_leader_epoch(-1).with_end_offset(-1);
    match result {
        Ok(Some(end)) => response.with_leader_epoch(end.epoch.0).with_end_offset(end.end_offset),
        Ok(None) => response,
        Err(error) => response.with_error_code(code_of(head, error.code)),
    }
}
