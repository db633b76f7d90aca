//! Committing offsets for a group without being a member of it.

use std::collections::BTreeMap;

use levada_broker::api::PartitionError;
use levada_groups::api::{CommitPartition, CommitTopic, OffsetCommit, Request, Response};
use levada_proto::v1;
use levada_types::{ErrorCode, LeaderEpoch, PartitionIndex, TopicId};

use super::{ask, unexpected};
use crate::gateway::Gateway;
use crate::refusal::{invalid, message};
use crate::topics::Wanted;

/// The generation, or epoch, of one that is no member.
const NO_MEMBER: i32 = -1;

/// An offset to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewOffset {
    pub(super) topic: String,
    /// `None` if there is no such topic.
    pub(super) topic_id: Option<TopicId>,
    pub(super) offset: CommitPartition,
}

pub(super) async fn commit(
    gateway: &Gateway,
    request: v1::CommitOffsetsRequest,
) -> Result<v1::CommitOffsetsResponse, PartitionError> {
    let image = gateway.broker.image();
    let mut offsets = Vec::with_capacity(request.offsets.len());
    for asked in request.offsets {
        let wanted = Wanted::read(asked.topic)?;
        if asked.offset < 0 || asked.partition < 0 {
            return Err(invalid(format!("there is no offset {} of a partition {}", asked.offset, asked.partition)));
        }
        let topic = wanted.find(&image).ok();
        offsets.push(NewOffset {
            topic: match (topic, wanted) {
                (Some(topic), _) => topic.name().to_string(),
                (None, Wanted::Name(name)) => name,
                (None, Wanted::Id(id)) => id.to_string(),
            },
            topic_id: topic.map(levada_metadata::Topic::id),
            offset: CommitPartition {
                partition: asked.partition,
                offset: asked.offset,
                leader_epoch: asked.leader_epoch.map(LeaderEpoch),
                metadata: Some(asked.metadata).filter(|text| !text.is_empty()),
            },
        });
    }
    let codes = write(gateway, &request.group_id, &offsets).await?;
    let results = offsets.into_iter().zip(codes).map(|(offset, code)| v1::CommittedOffset {
        topic: offset.topic,
        partition: offset.offset.partition,
        error: (!code.is_none()).then(|| message(&image, code.into())),
    });
    Ok(v1::CommitOffsetsResponse { results: results.collect() })
}

/// Commits; what came of each, in their order.
pub(super) async fn write(
    gateway: &Gateway,
    group_id: &str,
    offsets: &[NewOffset],
) -> Result<Vec<ErrorCode>, PartitionError> {
    let request = OffsetCommit {
        group_id: group_id.to_owned(),
        generation_id_or_member_epoch: NO_MEMBER,
        member_id: String::new(),
        group_instance_id: None,
        retention_time_ms: None,
        topics: by_topic(offsets),
        stream_number: None,
    };
    let Response::OffsetCommit(answer) = ask(gateway, Request::OffsetCommit(request)).await? else {
        return Err(unexpected());
    };
    let mut codes: BTreeMap<(&str, PartitionIndex), ErrorCode> = BTreeMap::new();
    for topic in &answer.topics {
        codes.extend(topic.partitions.iter().map(|told| ((topic.name.as_str(), told.partition), told.error)));
    }
    let code = |offset: &NewOffset| codes.get(&(offset.topic.as_str(), offset.offset.partition)).copied();
    Ok(offsets.iter().map(|offset| code(offset).unwrap_or(ErrorCode::UnknownServerError)).collect())
}

fn by_topic(offsets: &[NewOffset]) -> Vec<CommitTopic> {
    let mut topics: BTreeMap<&str, CommitTopic> = BTreeMap::new();
    for offset in offsets {
        let topic = topics.entry(&offset.topic).or_insert_with(|| CommitTopic {
            name: offset.topic.clone(),
            topic_id: offset.topic_id,
            partitions: Vec::new(),
        });
        topic.partitions.push(offset.offset.clone());
    }
    topics.into_values().collect()
}
