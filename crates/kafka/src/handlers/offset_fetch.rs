//! OffsetFetch: tells how far groups have come.

use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName as WireName};
use levada_groups::api::{FetchOffsets, FetchTopic, FetchedPartition, Request, Response};
use levada_types::ErrorCode;

use super::group_call::{ask_all, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// What goes wrong as a whole is told once from this version on; before, for each partition.
const ERROR_SINCE: i16 = 2;

/// Several groups are asked for at once from this version on (KIP-709).
const GROUPS_SINCE: i16 = 8;

/// The answer where nothing is committed.
const NOTHING: i64 = -1;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let groups = if head.version >= GROUPS_SINCE { request.groups } else { vec![only_group(&request)] };
    let asked: Vec<FetchOffsets> =
        groups.iter().map(|group| question(handlers, group, request.require_stable)).collect();
    let answers = ask_all(handlers, asked.iter().cloned().map(Request::FetchOffsets).collect()).await;
    let mut told = groups.into_iter().zip(asked).zip(answers).map(|((group, asked), answer)| {
        let (code, topics) = match answer {
            Response::FetchOffsets(answer) => (
                answer.error,
                answer.topics.into_iter().map(|topic| (WireName(text(topic.name)), topic.partitions)).collect(),
            ),
            other => (failure(&other), Vec::new()),
        };
        let topics = if code == ErrorCode::None { topics } else { refused(head, &asked, code) };
        Told { group, code, topics }
    });
    if head.version >= GROUPS_SINCE {
        return OffsetFetchResponse::default().with_groups(told.map(|told| told.group(head)).collect());
    }
    match told.next() {
        Some(told) => told.alone(head),
        None => OffsetFetchResponse::default(),
    }
}

/// The one group of an older request.
fn only_group(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| {
            OffsetFetchRequestTopics::default()
                .with_name(topic.name.clone())
                .with_partition_indexes(topic.partition_indexes.clone())
        });
        topics.collect()
    });
    OffsetFetchRequestGroup::default().with_group_id(request.group_id.clone()).with_topics(topics)
}

fn question(handlers: &Handlers, group: &OffsetFetchRequestGroup, require_stable: bool) -> FetchOffsets {
    let image = handlers.broker.image();
    let topic = |topic: &OffsetFetchRequestTopics| FetchTopic {
        name: topic.name.to_string(),
        topic_id: image.topic_id(&topic.name),
        partitions: topic.partition_indexes.clone(),
    };
    FetchOffsets {
        group_id: group.group_id.to_string(),
        member_id: owned(group.member_id.clone()),
        member_epoch: group.member_epoch,
        topics: group.topics.as_ref().map(|topics| topics.iter().map(topic).collect()),
        require_stable,
    }
}

/// What is said of partitions where the group as a whole gives no answer: nothing, but for old clients.
fn refused(head: Head, asked: &FetchOffsets, error: ErrorCode) -> Vec<(WireName, Vec<FetchedPartition>)> {
    if head.version >= ERROR_SINCE {
        return Vec::new();
    }
    let topics = asked.topics.iter().flatten().map(|topic| {
        let partitions = topic.partitions.iter().map(|&partition| FetchedPartition {
            partition,
            offset: None,
            leader_epoch: None,
            metadata: String::new(),
            committed_at: None,
            error,
        });
        (WireName(text(topic.name.clone())), partitions.collect())
    });
    topics.collect()
}

/// What is told of a group.
struct Told {
    group: OffsetFetchRequestGroup,
    code: ErrorCode,
    topics: Vec<(WireName, Vec<FetchedPartition>)>,
}

impl Told {
    fn group(self, head: Head) -> OffsetFetchResponseGroup {
        let topics = self.topics.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|partition| {
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(partition.partition)
                    .with_committed_offset(partition.offset.unwrap_or(NOTHING))
                    .with_committed_leader_epoch(partition.leader_epoch.map_or(-1, |epoch| epoch.0))
                    .with_metadata(Some(text(partition.metadata)))
                    .with_error_code(code_of(head, partition.error))
            });
            OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
        });
        OffsetFetchResponseGroup::default()
            .with_group_id(self.group.group_id)
            .with_topics(topics.collect())
            .with_error_code(code_of(head, self.code))
    }

    fn alone(self, head: Head) -> OffsetFetchResponse {
        let topics = self.topics.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|partition| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(partition.partition)
                    .with_committed_offset(partition.offset.unwrap_or(NOTHING))
                    .with_committed_leader_epoch(partition.leader_epoch.map_or(-1, |epoch| epoch.0))
                    .with_metadata(Some(text(partition.metadata)))
                    .with_error_code(code_of(head, partition.error))
            });
            OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
        });
        let response = OffsetFetchResponse::default().with_topics(topics.collect());
        if head.version < ERROR_SINCE { response } else { response.with_error_code(code_of(head, self.code)) }
    }
}
