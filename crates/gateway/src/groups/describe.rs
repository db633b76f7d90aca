//! Describing a group: its members, what they own, what is committed, and the lag.

use std::collections::BTreeMap;

use levada_broker::api::PartitionError;
use levada_groups::api::{
    ConsumerGroupDescribe, ConsumerGroupDescribeAnswer, DescribeGroup, DescribeGroupAnswer, GroupKind,
    NamedTopicPartitions, Request, Response,
};
use levada_groups::read_assignment;
use levada_metadata::Image;
use levada_peers::{Place, ReaderLag};
use levada_proto::v1;
use levada_types::{ErrorCode, TopicId, TopicIdPartition};

use super::places::{Committed, NamedPartition, committed};
use super::{ask, check, lag, list, unexpected};
use crate::gateway::Gateway;
use crate::refusal::message;

/// The protocol type of groups of consumers.
const CONSUMER: &str = "consumer";

pub(super) async fn describe(
    gateway: &Gateway,
    request: v1::DescribeGroupRequest,
) -> Result<v1::DescribeGroupResponse, PartitionError> {
    let group_id = request.group_id;
    let mut group = group(gateway, &group_id).await?;
    if !request.without_offsets {
        let committed = committed(gateway, &group_id).await?;
        group.offsets = offsets(gateway, &group.members, committed).await;
    }
    Ok(group)
}

/// The group without its offsets: of whichever protocol it is.
pub(super) async fn group(gateway: &Gateway, group_id: &str) -> Result<v1::DescribeGroupResponse, PartitionError> {
    let consumer = Request::ConsumerGroupDescribe(ConsumerGroupDescribe { group_id: group_id.to_owned() });
    let Response::ConsumerGroupDescribe(answer) = ask(gateway, consumer).await? else { return Err(unexpected()) };
    if answer.error.is_none() {
        return Ok(of_consumer(group_id, answer));
    }
    if answer.error != ErrorCode::GroupIdNotFound {
        check(answer.error, answer.error_message)?;
    }
    let classic = Request::DescribeGroup(DescribeGroup { group_id: group_id.to_owned() });
    let Response::DescribeGroup(answer) = ask(gateway, classic).await? else { return Err(unexpected()) };
    check(answer.error, answer.error_message.clone())?;
    if answer.state == "Dead" {
        return Err(PartitionError::new(ErrorCode::GroupIdNotFound, format!("there is no group {group_id:?}")));
    }
    Ok(of_classic(&gateway.broker.image(), group_id, answer))
}

fn of_consumer(group_id: &str, answer: ConsumerGroupDescribeAnswer) -> v1::DescribeGroupResponse {
    let members = answer.members.into_iter().map(|member| {
        let (assigned, target) = (named(member.assignment), named(member.target_assignment));
        v1::GroupMember {
            member_id: member.member_id,
            instance_id: member.instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            epoch: member.member_epoch,
            target: if target == assigned { Vec::new() } else { target },
            assigned,
        }
    });
    v1::DescribeGroupResponse {
        group: Some(v1::GroupListing {
            group_id: group_id.to_owned(),
            state: answer.state,
            r#type: list::group_type(GroupKind::Consumer).into(),
            protocol_type: CONSUMER.to_owned(),
        }),
        assignor: answer.assignor,
        epoch: answer.group_epoch,
        members: members.collect(),
        offsets: Vec::new(),
    }
}

fn of_classic(image: &Image, group_id: &str, answer: DescribeGroupAnswer) -> v1::DescribeGroupResponse {
    let is_of_consumers = answer.protocol_type == CONSUMER;
    let members = answer.members.into_iter().map(|member| {
        // What members of other kinds of groups are told is theirs alone to read, and one that cannot be read is told as none.
        let topics = if is_of_consumers { read_assignment(&member.assignment).unwrap_or_default() } else { Vec::new() };
        let topics = topics.into_iter().map(|(topic, mut partitions)| {
            partitions.sort_unstable();
            let topic_id = image.topic_by_name(&topic).map(|topic| topic.id().to_string()).unwrap_or_default();
            v1::TopicPartitions { topic, topic_id, partitions }
        });
        v1::GroupMember {
            member_id: member.member_id,
            instance_id: member.group_instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            epoch: -1,
            assigned: topics.collect(),
            target: Vec::new(),
        }
    });
    v1::DescribeGroupResponse {
        group: Some(v1::GroupListing {
            group_id: group_id.to_owned(),
            state: answer.state,
            r#type: list::group_type(GroupKind::Classic).into(),
            protocol_type: answer.protocol_type,
        }),
        assignor: answer.protocol,
        epoch: -1,
        members: members.collect(),
        offsets: Vec::new(),
    }
}

fn named(topics: Vec<NamedTopicPartitions>) -> Vec<v1::TopicPartitions> {
    let topics = topics.into_iter().map(|mut topic| {
        topic.partitions.sort_unstable();
        let topic_id = topic.topic_id.to_string();
        v1::TopicPartitions { topic: topic.name, topic_id, partitions: topic.partitions }
    });
    topics.collect()
}

/// How the group stands with every partition that it has committed or owns.
async fn offsets(
    gateway: &Gateway,
    members: &[v1::GroupMember],
    committed: BTreeMap<NamedPartition, Committed>,
) -> Vec<v1::GroupOffset> {
    let image = gateway.broker.image();
    let mut rows: BTreeMap<NamedPartition, Row> = committed
        .into_iter()
        .map(|(place, committed)| {
            (place, Row { topic_id: committed.topic_id, committed: Some(committed), owner: None })
        })
        .collect();
    for member in members {
        for topic in &member.assigned {
            for &partition in &topic.partitions {
                let topic_id = image.topic_by_name(&topic.topic).map(levada_metadata::Topic::id);
                let row = rows.entry((topic.topic.clone(), partition)).or_insert(Row {
                    topic_id,
                    committed: None,
                    owner: None,
                });
                row.owner = Some(member.member_id.clone());
            }
        }
    }
    let places = rows.iter().map(|((_, partition), row)| {
        let topic_id = row.topic_id.unwrap_or(TopicId::ZERO);
        let place = row.offset().map_or(Place::Ends, Place::Offset);
        (TopicIdPartition { topic_id, partition: *partition }, place)
    });
    let lags = lag::ask(gateway, places).await;
    let now = lag::now_ms();
    rows.into_iter()
        .zip(lags)
        .map(|(((topic, partition), row), lag)| {
            let told = row.told(topic, partition);
            match lag {
                Ok(lag) => with_lag(told, &lag, now),
                Err(code) => v1::GroupOffset { error: Some(message(&image, code.into())), ..told },
            }
        })
        .collect()
}

/// A partition that a group has committed or owns.
struct Row {
    topic_id: Option<TopicId>,
    committed: Option<Committed>,
    owner: Option<String>,
}

impl Row {
    fn offset(&self) -> Option<i64> {
        self.committed.as_ref().and_then(|committed| committed.fetched.offset)
    }

    /// What is told of it without its leader.
    fn told(self, topic: String, partition: i32) -> v1::GroupOffset {
        let committed_offset = self.offset();
        let fetched = self.committed.map(|committed| committed.fetched);
        v1::GroupOffset {
            topic,
            topic_id: self.topic_id.map(|id| id.to_string()).unwrap_or_default(),
            partition,
            committed_offset,
            leader_epoch: fetched.as_ref().and_then(|fetched| fetched.leader_epoch).map(|epoch| epoch.0),
            metadata: fetched.map(|fetched| fetched.metadata).unwrap_or_default(),
            member_id: self.owner,
            ..v1::GroupOffset::default()
        }
    }
}

fn with_lag(told: v1::GroupOffset, lag: &ReaderLag, now: i64) -> v1::GroupOffset {
    v1::GroupOffset {
        log_start_offset: Some(lag.log_start_offset),
        log_end_offset: Some(lag.high_watermark),
        lag: told.committed_offset.map(|offset| lag.records(offset)),
        lag_ms: told.committed_offset.and_then(|offset| lag.milliseconds(offset, now)),
        ..told
    }
}
