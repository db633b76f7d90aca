//! Forgetting offsets, and groups.

use levada_broker::api::PartitionError;
use levada_groups::api::{DeleteGroup, DeleteOffsets, DeleteTopic, Request, Response};
use levada_proto::v1;

use super::{ask, check, places, unexpected};
use crate::gateway::Gateway;
use crate::refusal::{invalid, message};

pub(super) async fn offsets(
    gateway: &Gateway,
    request: v1::DeleteOffsetsRequest,
) -> Result<v1::DeleteOffsetsResponse, PartitionError> {
    if request.topics.is_empty() {
        return Err(invalid("the request names no topic"));
    }
    let image = gateway.broker.image();
    let mut topics: Vec<DeleteTopic> = Vec::new();
    for (name, partition) in places::named(&image, request.topics)?.into_keys() {
        match topics.last_mut().filter(|topic| topic.name == name) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(DeleteTopic { name, partitions: vec![partition] }),
        }
    }
    let request = Request::DeleteOffsets(DeleteOffsets { group_id: request.group_id, topics });
    let Response::DeleteOffsets(answer) = ask(gateway, request).await? else { return Err(unexpected()) };
    check(answer.error, None)?;
    let results = answer.topics.into_iter().flat_map(|topic| {
        let image = image.clone();
        topic.partitions.into_iter().map(move |told| v1::CommittedOffset {
            topic: topic.name.clone(),
            partition: told.partition,
            error: (!told.error.is_none()).then(|| message(&image, told.error.into())),
        })
    });
    Ok(v1::DeleteOffsetsResponse { results: results.collect() })
}

pub(super) async fn group(
    gateway: &Gateway,
    request: v1::DeleteGroupRequest,
) -> Result<v1::DeleteGroupResponse, PartitionError> {
    let request = Request::DeleteGroup(DeleteGroup { group_id: request.group_id });
    let Response::DeleteGroup(answer) = ask(gateway, request).await? else { return Err(unexpected()) };
    check(answer.error, None)?;
    Ok(v1::DeleteGroupResponse {})
}
