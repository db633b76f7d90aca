//! DeleteRecords: moves log start offsets up.

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use levada_broker::api::DeleteRecords;
use levada_types::{ErrorCode, TopicId, TopicIdPartition};

use super::{Handlers, code_of, millis};
use crate::wire::request::Head;

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let image = handlers.broker.image();
    let mut asked = Vec::new();
    let mut refusals = Vec::new();
    for topic in &request.topics {
        let id = image.topic_id(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition);
        for partition in &topic.partitions {
            match id.and_then(|id| delete_records(id, partition.partition_index, partition.offset)) {
                Ok(delete) => {
                    asked.push(delete);
                    refusals.push(None);
                }
                Err(code) => refusals.push(Some(code)),
            }
        }
    }
    drop(image);
    let mut results = handlers.broker.delete_records(asked, millis(request.timeout_ms)).await.into_iter();
    let mut refusals = refusals.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let result = match refusals.next().flatten() {
                Some(code) => Err(code),
                None => results.next().map_or(Err(ErrorCode::UnknownServerError), |r| r.map_err(|error| error.code)),
            };
            let response = DeleteRecordsPartitionResult::default().with_partition_index(partition.partition_index);
            match result {
                Ok(low_watermark) => response.with_low_watermark(low_watermark),
                Err(code) => response.with_error_code(code_of(head, code)).with_low_watermark(-1),
            }
        });
        DeleteRecordsTopicResult::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

fn delete_records(topic_id: TopicId, partition: i32, offset: i64) -> Result<DeleteRecords, ErrorCode> {
    let before = match offset {
        HIGH_WATERMARK => None,
        0.. => Some(offset),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    Ok(DeleteRecords { partition: TopicIdPartition { topic_id, partition }, before })
}
