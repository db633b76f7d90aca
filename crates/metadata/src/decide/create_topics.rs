//! Creating topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_types::{BrokerId, ErrorCode, PartitionIndex, TopicId, TopicName};

use super::coordinators::assign;
use super::create_shards::compacted;
use super::draft::Draft;
use super::{Context, too_many};
use crate::config::{check_lags, topic_config, unknown_topic_config};
use crate::limits::{
    MAX_CONFIG_VALUE_BYTES, MAX_CONFIGS_PER_RESOURCE, MAX_PARTITIONS_PER_REQUEST, MAX_PARTITIONS_PER_TOPIC,
    MAX_REPLICATION_FACTOR, MAX_TOPICS_PER_REQUEST,
};
use crate::placement::{Placement, check_manual, new_partition};
use crate::{
    ConfigResource, CoordinatorKind, CreatedTopic, Delta, ItemError, NewTopic, Partition, State, TopicCreation,
};

pub(super) fn decide(
    draft: &mut Draft,
    topics: &[NewTopic],
    validate_only: bool,
    context: &Context<'_>,
) -> Vec<TopicCreation> {
    if topics.len() > MAX_TOPICS_PER_REQUEST {
        let error = too_many("topics", topics.len(), MAX_TOPICS_PER_REQUEST);
        return topics.iter().map(|topic| TopicCreation::refused(&topic.name, error.clone())).collect();
    }
    let mut times_named: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in topics {
        *times_named.entry(&topic.name).or_default() += 1;
    }
    let mut room = MAX_PARTITIONS_PER_REQUEST;
    // With validate_only each topic is still seen by those after it, on a draft that is thrown away.
    let mut trial = validate_only.then(|| Draft::new(draft.state()));
    let mut ids = context.ids.iter();
    topics
        .iter()
        .map(|topic| {
            let id = ids.next().map(|id| TopicId(*id));
            if times_named.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
                let message = format!("the request names topic {:?} more than once", topic.name);
                return TopicCreation::refused(&topic.name, ItemError::new(ErrorCode::InvalidRequest, message));
            }
            let target = trial.as_mut().unwrap_or(&mut *draft);
            let result = create(target, topic, id, &mut room, context)
                .map(|created| CreatedTopic { id: if validate_only { TopicId::ZERO } else { created.id }, ..created });
            TopicCreation { name: topic.name.clone(), result }
        })
        .collect()
}

/// Creates one topic by a command that has one fresh id.
pub(super) fn create_one(
    draft: &mut Draft,
    topic: &NewTopic,
    context: &Context<'_>,
) -> Result<CreatedTopic, ItemError> {
    let id = context.ids.first().map(|id| TopicId(*id));
    create(draft, topic, id, &mut { MAX_PARTITIONS_PER_REQUEST }, context)
}

fn create(
    draft: &mut Draft,
    topic: &NewTopic,
    id: Option<TopicId>,
    room: &mut usize,
    context: &Context<'_>,
) -> Result<CreatedTopic, ItemError> {
    let id = id.ok_or_else(|| ItemError::new(ErrorCode::UnknownServerError, "no fresh topic id was handed in"))?;
    // The same request again, whose first answer was lost with the controller that gave it.
    if let Some(made) = draft.state().topic(id).filter(|made| made.name().as_str() == topic.name) {
        let first = made.partition(0).map_or(0, |p| p.replicas.len() as i16);
        return Ok(CreatedTopic { id, partitions: made.partition_count(), replication_factor: first });
    }
    // The same, and what it created is gone: an identity is never given twice, since brokers may still hold its old logs.
    if draft.state().was_deleted(id) {
        let message = format!(
            "this request has created topic {:?}, which was deleted since; ask again to create another",
            topic.name
        );
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    let name = check_name(draft.state(), &topic.name)?;
    check_configs(draft.state(), &topic.configs)?;
    // A topic of this name is the topic of shards, whoever creates it.
    let kind = CoordinatorKind::of_topic(name.as_str());
    let policy = kind.map(|_| compacted(&topic.configs)).transpose()?.flatten();
    let (placed, wanted) = place(draft.state(), topic, context)?;
    if placed.len() > *room {
        return Err(ItemError::new(
            ErrorCode::InvalidRequest,
            format!("one request creates at most {MAX_PARTITIONS_PER_REQUEST} partitions in all; split it"),
        ));
    }
    *room -= placed.len();
    let created = CreatedTopic {
        id,
        partitions: placed.len() as i32,
        replication_factor: placed.first().map_or(0, |p| p.replicas.len() as i16),
    };
    let partitions = placed.into_iter().enumerate().map(|(index, partition)| Delta::PartitionSet {
        topic: id,
        index: index as PartitionIndex,
        partition: Arc::new(partition),
    });
    let configs = topic.configs.iter().chain(&policy).map(|(name, value)| Delta::ConfigSet {
        resource: ConfigResource::Topic(id),
        name: name.clone(),
        value: Some(value.clone()),
    });
    let mut deltas = vec![Delta::TopicCreated { id, name }];
    deltas.extend(partitions.chain(configs));
    let Some(kind) = kind else { return draft.add(deltas).map(|()| created) };
    deltas.push(Delta::ShardTopicSet { kind, topic: id, replication_factor: wanted });
    draft.add(deltas)?;
    assign(draft, kind)?;
    Ok(created)
}

fn check_name(state: &State, name: &str) -> Result<TopicName, ItemError> {
    let name = TopicName::new(name).map_err(|e| ItemError::new(ErrorCode::InvalidTopicException, e.to_string()))?;
    if state.topic_id(name.as_str()).is_some() {
        return Err(ItemError::new(ErrorCode::TopicAlreadyExists, format!("topic '{name}' already exists")));
    }
    if let Some(existing) = state.colliding_topic(&name) {
        return Err(ItemError::new(
            ErrorCode::InvalidTopicException,
            format!(
                "topic '{name}' collides with the existing topic '{existing}': '.' and '_' count as the same in metric names"
            ),
        ));
    }
    Ok(name)
}

fn check_configs(state: &State, configs: &[(String, String)]) -> Result<(), ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidConfig, message));
    if configs.len() > MAX_CONFIGS_PER_RESOURCE {
        return invalid(format!("a topic bears at most {MAX_CONFIGS_PER_RESOURCE} settings"));
    }
    for (i, (name, value)) in configs.iter().enumerate() {
        let Some(def) = topic_config(name) else { return invalid(unknown_topic_config(name)) };
        if configs[..i].iter().any(|(earlier, _)| earlier == name) {
            return invalid(format!("the request sets {name} more than once"));
        }
        if value.len() > MAX_CONFIG_VALUE_BYTES {
            return invalid(format!("the value of {name} is longer than {MAX_CONFIG_VALUE_BYTES} bytes"));
        }
        if let Err(message) = def.validate(value) {
            return invalid(message);
        }
    }
    let own = |wanted: &str| configs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    check_lags(state, own).or_else(invalid)
}

/// The partitions, and how many replicas each is to have once there are so many brokers.
fn place(state: &State, topic: &NewTopic, context: &Context<'_>) -> Result<(Vec<Partition>, i16), ItemError> {
    if !topic.assignments.is_empty() {
        let partitions = place_manually(state, topic)?;
        let width = partitions.first().map_or(1, |first| first.replicas.len());
        return Ok((partitions, i16::try_from(width).unwrap_or(MAX_REPLICATION_FACTOR)));
    }
    let internal_limit = topic.name.starts_with("__");
    let count = match topic.partitions {
        Some(count) => i64::from(count),
        None => context.setting(state, "num.partitions").unwrap_or(1),
    };
    if count <= 0 {
        return Err(ItemError::new(
            ErrorCode::InvalidPartitions,
            format!("the number of partitions was {count}; it must be greater than 0, or -1 for the default"),
        ));
    }
    if count > i64::from(MAX_PARTITIONS_PER_TOPIC) {
        return Err(ItemError::new(
            ErrorCode::InvalidPartitions,
            format!("the number of partitions was {count}; a topic has at most {MAX_PARTITIONS_PER_TOPIC}"),
        ));
    }
    let factor = match topic.replication_factor {
        Some(factor) => i64::from(factor),
        None => context.setting(state, "default.replication.factor").unwrap_or(1),
    };
    if factor <= 0 || factor > i64::from(MAX_REPLICATION_FACTOR) {
        return Err(ItemError::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "the replication factor was {factor}; it must be from 1 to {MAX_REPLICATION_FACTOR}, or -1 for the default"
            ),
        ));
    }
    let mut placement = Placement::new(state);
    // Coordinators' topics come up with the brokers that are there and grow when more come (design of the house);
    // a user's topic gets what was asked for or is refused.
    let is_internal = internal_limit && TopicName::new(&topic.name).is_ok_and(|name| name.is_internal());
    let now = if is_internal { factor.min(placement.broker_count().max(1) as i64) } else { factor };
    let partitions = (0..count).map(|_| placement.place(now as usize)).collect::<Result<_, _>>()?;
    Ok((partitions, factor as i16))
}

fn place_manually(state: &State, topic: &NewTopic) -> Result<Vec<Partition>, ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    if topic.assignments.len() > MAX_PARTITIONS_PER_TOPIC as usize {
        return invalid(format!("a topic has at most {MAX_PARTITIONS_PER_TOPIC} partitions"));
    }
    let mut by_partition: BTreeMap<PartitionIndex, &[BrokerId]> = BTreeMap::new();
    for assignment in &topic.assignments {
        if by_partition.insert(assignment.partition, &assignment.brokers).is_some() {
            return invalid(format!("partition {} is assigned more than once", assignment.partition));
        }
    }
    let width = topic.assignments.first().map_or(0, |a| a.brokers.len());
    let mut partitions = Vec::with_capacity(by_partition.len());
    for (expected, (partition, brokers)) in (0..).zip(by_partition) {
        if partition != expected {
            return invalid(format!("partitions must be numbered from 0 without a gap, and {expected} is missing"));
        }
        if brokers.len() != width {
            return invalid("all partitions must have the same number of replicas".to_owned());
        }
        check_manual(state, partition, brokers)?;
        partitions.push(new_partition(state, brokers)?);
    }
    Ok(partitions)
}
