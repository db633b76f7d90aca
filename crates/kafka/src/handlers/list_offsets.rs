//! ListOffsets: offsets by position and by time.

use std::collections::HashSet;

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use levada_broker::api::{FoundOffset, ListOffset, OffsetSpec, PartitionError};
use levada_types::{ErrorCode, Isolation, LeaderEpoch, TopicId, TopicIdPartition};

use super::{Handlers, code_of};
use crate::wire::request::Head;

/// Answers tell the record's leader epoch from this version on (KIP-320).
const EPOCH_SINCE: i16 = 4;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let image = handlers.broker.image();
    let isolation = if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let mut asked = Vec::new();
    let mut refusals = Vec::new();
    let repeated = repeated(&request);
    for topic in &request.topics {
        let id = image.topic_id(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition);
        for partition in &topic.partitions {
            let is_repeated = repeated.contains(&(&*topic.name, partition.partition_index));
            let id = if is_repeated { Err(ErrorCode::InvalidRequest) } else { id };
            match id.and_then(|id| list_offset(head, id, partition)) {
                Ok(offset) => {
                    asked.push(offset);
                    refusals.push(None);
                }
                Err(code) => refusals.push(Some(code)),
            }
        }
    }
    drop(image);
    drop(repeated);
    let mut found = handlers.broker.list_offsets(asked, isolation).await.into_iter();
    let mut refusals = refusals.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let result = match refusals.next().flatten() {
                Some(code) => Err(code.into()),
                None => found.next().unwrap_or_else(|| Err(ErrorCode::UnknownServerError.into())),
            };
            respond(head, partition.partition_index, result)
        });
        ListOffsetsTopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// The partitions that the request names more than once. It may ask for different offsets then, so that no answer would
/// be right; as in Kafka they are refused, and only they.
fn repeated(request: &ListOffsetsRequest) -> HashSet<(&str, i32)> {
    let all = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (&*topic.name.0, partition.partition_index)));
    let mut seen = HashSet::new();
    all.filter(|named| !seen.insert(*named)).collect()
}

fn list_offset(head: Head, topic_id: TopicId, partition: &ListOffsetsPartition) -> Result<ListOffset, ErrorCode> {
    Ok(ListOffset {
        partition: TopicIdPartition { topic_id, partition: partition.partition_index },
        spec: spec(head.version, partition.timestamp).ok_or(ErrorCode::UnsupportedVersion)?,
        current_leader_epoch: (partition.current_leader_epoch >= 0)
            .then_some(LeaderEpoch(partition.current_leader_epoch)),
    })
}

/// What a timestamp stands for, if the version knows it.
fn spec(version: i16, timestamp: i64) -> Option<OffsetSpec> {
    match timestamp {
        0.. => Some(OffsetSpec::Timestamp(timestamp)),
        -1 => Some(OffsetSpec::Latest),
        -2 => Some(OffsetSpec::Earliest),
        -3 if version >= 7 => Some(OffsetSpec::MaxTimestamp),
        -4 if version >= 8 => Some(OffsetSpec::EarliestLocal),
        -5 if version >= 9 => Some(OffsetSpec::LatestTiered),
        _ => None,
    }
}

fn respond(head: Head, index: i32, result: Result<FoundOffset, PartitionError>) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match result {
        Ok(found) => {
            let response = response.with_offset(found.offset).with_timestamp(found.timestamp);
            match found.leader_epoch {
                Some(epoch) if head.version >= EPOCH_SINCE => response.with_leader_epoch(epoch.0),
                _ => response,
            }
        }
        Err(error) => response.with_error_code(code_of(head, error.code)).with_offset(-1).with_timestamp(-1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_belong_to_versions() {
        assert_eq!(spec(1, -1), Some(OffsetSpec::Latest));
        assert_eq!(spec(1, -2), Some(OffsetSpec::Earliest));
        assert_eq!(spec(1, 0), Some(OffsetSpec::Timestamp(0)));
        assert_eq!((spec(6, -3), spec(7, -3)), (None, Some(OffsetSpec::MaxTimestamp)));
        assert_eq!((spec(7, -4), spec(8, -4)), (None, Some(OffsetSpec::EarliestLocal)));
        assert_eq!((spec(8, -5), spec(9, -5)), (None, Some(OffsetSpec::LatestTiered)));
        assert_eq!(spec(10, -6), None);
    }
}
