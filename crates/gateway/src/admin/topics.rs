//! Topics: created, listed, described, deleted, given more partitions.

use std::collections::BTreeSet;

use levada_broker::api::PartitionError;
use levada_metadata::{Command, Image, ManualAssignment, MorePartitions, NewTopic, Response, Topic, TopicRef};
use levada_proto::v1;
use levada_types::{BrokerId, ErrorCode, TopicName};

use super::cluster::of_registration;
use super::{AdminService, unexpected};
use crate::gateway::Gateway;
use crate::refusal::{invalid, of_item};
use crate::topics::Wanted;

/// Topics on a page unless the client says otherwise.
const DEFAULT_PAGE_SIZE: usize = 1_000;

pub(super) async fn create(
    admin: &AdminService,
    request: v1::CreateTopicRequest,
) -> Result<v1::CreateTopicResponse, PartitionError> {
    let validate_only = request.validate_only;
    let command = Command::CreateTopics { topics: vec![new_topic(request)?], validate_only };
    let Response::CreateTopics(topics) = admin.decide(command).await? else { return Err(unexpected()) };
    let created = topics.into_iter().next().ok_or_else(unexpected)?.result.map_err(of_item)?;
    Ok(v1::CreateTopicResponse {
        topic_id: if validate_only { String::new() } else { created.id.to_string() },
        partition_count: created.partitions,
        replication_factor: created.replication_factor.into(),
    })
}

fn new_topic(request: v1::CreateTopicRequest) -> Result<NewTopic, PartitionError> {
    if !request.assignments.is_empty() && (request.partition_count.is_some() || request.replication_factor.is_some()) {
        return Err(invalid("give either assignments, or a partition count and a replication factor"));
    }
    let factor = request.replication_factor.map(|factor| {
        let refused = |_| PartitionError::new(ErrorCode::InvalidReplicationFactor, format!("no factor: {factor}"));
        i16::try_from(factor).map_err(refused)
    });
    let mut configs: Vec<(String, String)> = request.configs.into_iter().collect();
    configs.sort_unstable();
    let assignment = |assignment: v1::ReplicaAssignment| ManualAssignment {
        partition: assignment.partition,
        brokers: assignment.broker_ids.into_iter().map(BrokerId).collect(),
    };
    Ok(NewTopic {
        name: request.name,
        partitions: request.partition_count,
        replication_factor: factor.transpose()?,
        assignments: request.assignments.into_iter().map(assignment).collect(),
        configs,
    })
}

/// A page of topics; the token of a page is the last name of the page before.
pub(super) fn list(image: &Image, request: &v1::ListTopicsRequest, limit: usize) -> v1::ListTopicsResponse {
    let page_size = match request.page_size as usize {
        0 => DEFAULT_PAGE_SIZE,
        asked => asked,
    };
    let page_size = page_size.min(limit).max(1);
    // A token is a name that was listed, so anything else begins at the beginning.
    let after = TopicName::new(&request.page_token).ok();
    let wanted = |topic: &&Topic| request.include_internal || !topic.is_internal();
    let beyond = |topic: &&Topic| after.as_ref().is_none_or(|after| topic.name() > after);
    let mut topics: Vec<v1::TopicSummary> = match &after {
        Some(after) => {
            image.topics_from(after).filter(beyond).filter(wanted).take(page_size + 1).map(summary).collect()
        }
        None => image.topics().filter(wanted).take(page_size + 1).map(summary).collect(),
    };
    let has_more = topics.len() > page_size;
    topics.truncate(page_size);
    let next_page_token = topics.last().filter(|_| has_more).map(|topic| topic.name.clone()).unwrap_or_default();
    v1::ListTopicsResponse { topics, next_page_token }
}

fn summary(topic: &Topic) -> v1::TopicSummary {
    let replicas = topic.partition(0).map_or(0, |partition| partition.replicas.len());
    v1::TopicSummary {
        name: topic.name().to_string(),
        topic_id: topic.id().to_string(),
        partition_count: topic.partition_count(),
        replication_factor: i32::try_from(replicas).unwrap_or(i32::MAX),
        internal: topic.is_internal(),
    }
}

pub(super) async fn describe(
    gateway: &Gateway,
    request: v1::DescribeTopicRequest,
) -> Result<v1::DescribeTopicResponse, PartitionError> {
    let wanted = Wanted::read(request.topic)?;
    if let Wanted::Name(name) = &wanted
        && request.auto_create
        && gateway.broker.image().topic_by_name(name).is_none()
    {
        gateway.create_on_demand(name).await?;
    }
    let image = gateway.broker.image();
    Ok(description(&image, wanted.find(&image)?))
}

fn description(image: &Image, topic: &Topic) -> v1::DescribeTopicResponse {
    let mut brokers = BTreeSet::new();
    let partitions = topic
        .partitions()
        .map(|(index, partition)| {
            brokers.extend(partition.replicas.iter().map(|replica| replica.broker));
            v1::PartitionDescription {
                partition: index,
                leader_id: partition.leader.map(|leader| leader.0),
                leader_epoch: partition.leader_epoch.0,
                replica_ids: partition.replicas.iter().map(|replica| replica.broker.0).collect(),
                isr_ids: partition.isr.iter().map(|member| member.broker.0).collect(),
                elr_ids: partition.elr.iter().map(|id| id.0).collect(),
                offline_ids: image.offline_replicas(partition).map(|id| id.0).collect(),
                adding_ids: partition.adding.iter().map(|id| id.0).collect(),
                removing_ids: partition.removing.iter().map(|id| id.0).collect(),
                min_isr: u32::try_from(image.min_isr(topic.id(), partition)).unwrap_or(u32::MAX),
                possible_losses: partition.possible_losses,
            }
        })
        .collect();
    v1::DescribeTopicResponse {
        name: topic.name().to_string(),
        topic_id: topic.id().to_string(),
        internal: topic.is_internal(),
        partitions,
        brokers: brokers.into_iter().filter_map(|id| image.broker(id)).map(|broker| of_registration(broker)).collect(),
    }
}

pub(super) async fn delete(
    admin: &AdminService,
    request: v1::DeleteTopicRequest,
) -> Result<v1::DeleteTopicResponse, PartitionError> {
    let topic = match Wanted::read(request.topic)? {
        Wanted::Name(name) => TopicRef::Name(name),
        Wanted::Id(id) => TopicRef::Id(id),
    };
    let decision = admin.decide(Command::DeleteTopics { topics: vec![topic] }).await?;
    let Response::DeleteTopics(topics) = decision else { return Err(unexpected()) };
    let deleted = topics.into_iter().next().ok_or_else(unexpected)?;
    deleted.result.map_err(of_item)?;
    Ok(v1::DeleteTopicResponse { topic_id: deleted.id.to_string() })
}

pub(super) async fn add_partitions(
    admin: &AdminService,
    request: v1::AddPartitionsRequest,
) -> Result<v1::AddPartitionsResponse, PartitionError> {
    let image = admin.gateway.broker.image();
    let topic = Wanted::read(request.topic)?;
    let topic = topic.find(&image)?;
    let mut assignments = Vec::with_capacity(request.assignments.len());
    for (expected, assignment) in (topic.partition_count()..).zip(request.assignments) {
        if assignment.partition != expected {
            let text = format!("the next new partition is {expected}, not {}", assignment.partition);
            return Err(PartitionError::new(ErrorCode::InvalidReplicaAssignment, text));
        }
        assignments.push(assignment.broker_ids.into_iter().map(BrokerId).collect());
    }
    let more = MorePartitions { name: topic.name().to_string(), count: request.total_count, assignments };
    let command = Command::CreatePartitions { topics: vec![more], validate_only: request.validate_only };
    let Response::CreatePartitions(topics) = admin.decide(command).await? else { return Err(unexpected()) };
    topics.into_iter().next().ok_or_else(unexpected)?.result.map_err(of_item)?;
    Ok(v1::AddPartitionsResponse {})
}

#[cfg(test)]
mod tests;
