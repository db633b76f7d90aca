//! Adding partitions to topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_types::{ErrorCode, PartitionIndex};

use super::create_shards::why_kept;
use super::draft::Draft;
use super::too_many;
use crate::limits::{MAX_PARTITIONS_PER_REQUEST, MAX_PARTITIONS_PER_TOPIC, MAX_TOPICS_PER_REQUEST};
use crate::placement::{Placement, check_manual, new_partition};
use crate::{CreatedPartitions, Delta, ItemError, MorePartitions, Partition, State, Topic};

pub(super) fn decide(draft: &mut Draft, topics: &[MorePartitions], validate_only: bool) -> Vec<CreatedPartitions> {
    let refused =
        |topic: &MorePartitions, error: ItemError| CreatedPartitions { name: topic.name.clone(), result: Err(error) };
    if topics.len() > MAX_TOPICS_PER_REQUEST {
        let error = too_many("topics", topics.len(), MAX_TOPICS_PER_REQUEST);
        return topics.iter().map(|topic| refused(topic, error.clone())).collect();
    }
    let mut times_named: BTreeMap<&str, u32> = BTreeMap::new();
    for topic in topics {
        *times_named.entry(&topic.name).or_default() += 1;
    }
    let mut room = MAX_PARTITIONS_PER_REQUEST;
    let mut trial = validate_only.then(|| Draft::new(draft.state()));
    topics
        .iter()
        .map(|topic| {
            if times_named.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
                let message = format!("the request names topic {:?} more than once", topic.name);
                return refused(topic, ItemError::new(ErrorCode::InvalidRequest, message));
            }
            let target = trial.as_mut().unwrap_or(&mut *draft);
            CreatedPartitions { name: topic.name.clone(), result: add(target, topic, &mut room) }
        })
        .collect()
}

fn add(draft: &mut Draft, more: &MorePartitions, room: &mut usize) -> Result<(), ItemError> {
    let Some(topic) = draft.state().topic_by_name(&more.name) else {
        let message = format!("there is no topic {:?}", more.name);
        return Err(ItemError::new(ErrorCode::UnknownTopicOrPartition, message));
    };
    if let Some(why) = why_kept(draft.state(), topic) {
        let message = format!("{why}; with more partitions they would be looked for elsewhere");
        return Err(ItemError::new(ErrorCode::InvalidTopicException, message));
    }
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidPartitions, message));
    let have = topic.partition_count();
    if more.count <= have {
        let than = if more.count == have { "the same number as" } else { "fewer than" };
        return invalid(format!(
            "topic '{}' has {have} partitions, and {} is {than} that; partitions can only be added",
            topic.name(),
            more.count
        ));
    }
    if more.count > MAX_PARTITIONS_PER_TOPIC {
        return invalid(format!("a topic has at most {MAX_PARTITIONS_PER_TOPIC} partitions"));
    }
    let adding = (more.count - have) as usize;
    if adding > *room {
        return invalid(format!(
            "one request creates at most {MAX_PARTITIONS_PER_REQUEST} partitions in all; split it"
        ));
    }
    let partitions = place(draft.state(), topic, more, adding)?;
    *room -= adding;
    let id = topic.id();
    let deltas = partitions.into_iter().zip(have..).map(|(partition, index)| Delta::PartitionSet {
        topic: id,
        index,
        partition: Arc::new(partition),
    });
    let deltas = deltas.collect();
    draft.add(deltas)
}

fn place(state: &State, topic: &Topic, more: &MorePartitions, adding: usize) -> Result<Vec<Partition>, ItemError> {
    let factor = topic.partition(0).map_or(1, |p| p.replication_factor());
    if more.assignments.is_empty() {
        let mut placement = Placement::new(state);
        topic.partitions().for_each(|(_, partition)| placement.count(partition));
        return (0..adding).map(|_| placement.place(factor)).collect();
    }
    if more.assignments.len() != adding {
        let message = format!("{adding} partitions are added, but {} are assigned to brokers", more.assignments.len());
        return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let first: PartitionIndex = topic.partition_count();
    (first..)
        .zip(&more.assignments)
        .map(|(index, brokers)| {
            if brokers.len() != factor {
                let message = format!("the topic's partitions have {factor} replicas, partition {index} would not");
                return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
            }
            check_manual(state, index, brokers)?;
            new_partition(state, brokers)
        })
        .collect()
}
