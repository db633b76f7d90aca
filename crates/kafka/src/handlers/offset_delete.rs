//! OffsetDelete: forgets how far a group has come (KIP-496).

use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName as WireName};
use levada_groups::api::{DeleteOffsets, DeleteOffsetsAnswer, DeleteTopic, Request, Response};
use levada_types::ErrorCode;

use super::group_call::{PROMPT, ask, failure};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let topics = request.topics.into_iter().map(|topic| DeleteTopic {
        name: topic.name.to_string(),
        partitions: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
    });
    let asked = DeleteOffsets { group_id: request.group_id.to_string(), topics: topics.collect() };
    match ask(handlers, Request::DeleteOffsets(asked), PROMPT).await {
        Response::DeleteOffsets(answer) => deleted(head, answer),
        other => OffsetDeleteResponse::default().with_error_code(code_of(head, failure(&other))),
    }
}

fn deleted(head: Head, answer: DeleteOffsetsAnswer) -> OffsetDeleteResponse {
    let response = OffsetDeleteResponse::default().with_error_code(code_of(head, answer.error));
    if answer.error != ErrorCode::None {
        return response;
    }
    let topics = answer.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition)
                .with_error_code(code_of(head, partition.error))
        });
        OffsetDeleteResponseTopic::default().with_name(WireName(text(topic.name))).with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect())
}
