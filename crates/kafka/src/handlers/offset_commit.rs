//! OffsetCommit: keeps how far a group has come.

use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use levada_groups::api::{CommitPartition, CommitTopic, OffsetCommit, Request, Response};
use levada_types::{ErrorCode, LeaderEpoch};

use super::group_call::{PROMPT, ask, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;

/// Stands for the time that the settings of the group's coordinator say.
const DEFAULT_RETENTION: i64 = -1;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let (topics, known) = split(handlers, &request);
    let count = known.iter().filter(|known| **known).count();
    let codes = if count == 0 {
        Vec::new()
    } else {
        let asked = OffsetCommit {
            group_id: request.group_id.to_string(),
            generation_id_or_member_epoch: request.generation_id_or_member_epoch,
            member_id: request.member_id.to_string(),
            group_instance_id: owned(request.group_instance_id),
            retention_time_ms: Some(request.retention_time_ms).filter(|time| *time != DEFAULT_RETENTION),
            topics,
            stream_number: None,
        };
        match ask(handlers, Request::OffsetCommit(asked), PROMPT).await {
            Response::OffsetCommit(answer) => {
                answer.topics.into_iter().flat_map(|topic| topic.partitions).map(|partition| partition.error).collect()
            }
            other => vec![failure(&other); count],
        }
    };
    let (mut known, mut codes) = (known.into_iter(), codes.into_iter());
    let mut code = || match known.next() {
        Some(false) => ErrorCode::UnknownTopicOrPartition,
        _ => codes.next().unwrap_or(ErrorCode::UnknownServerError),
    };
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_of(head, code()))
        });
        OffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// What the group is asked to keep; and of each partition of the request, in its order, whether it exists.
fn split(handlers: &Handlers, request: &OffsetCommitRequest) -> (Vec<CommitTopic>, Vec<bool>) {
    let image = handlers.broker.image();
    let (mut topics, mut known) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        let topic_id = image.topic_id(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let exists = topic_id.is_some_and(|id| image.partition(id, partition.partition_index).is_some());
            known.push(exists);
            if exists {
                partitions.push(commit(partition));
            }
        }
        if !partitions.is_empty() {
            topics.push(CommitTopic { name: topic.name.to_string(), topic_id, partitions });
        }
    }
    (topics, known)
}

fn commit(partition: &OffsetCommitRequestPartition) -> CommitPartition {
    CommitPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0).map(LeaderEpoch),
        metadata: owned(partition.committed_metadata.clone()),
    }
}
