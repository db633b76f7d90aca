//! Partitions that move to other brokers (KIP-455).
//!
//! A reassignment brings its new replicas in at once and takes the old ones out when every new one is in sync and enough of
//! those that stay are: [`Transition::settle`] finishes it with whatever change makes that true.

use std::sync::Arc;

use levada_types::{BrokerId, ErrorCode, TopicIdPartition};

use super::draft::Draft;
use super::too_many;
use super::transition::Transition;
use crate::limits::{MAX_PARTITIONS_PER_REQUEST, MAX_REPLICATION_FACTOR};
use crate::placement::{check_manual, only_directory};
use crate::{Delta, ItemError, Partition, Reassigned, Reassignment, Replica, State, TopicRef};

pub(super) fn decide(draft: &mut Draft, reassignments: &[Reassignment], allow_factor_change: bool) -> Vec<Reassigned> {
    let answer = |r: &Reassignment, result| Reassigned { topic: r.topic.clone(), partition: r.partition, result };
    if reassignments.len() > MAX_PARTITIONS_PER_REQUEST {
        let error = too_many("partitions", reassignments.len(), MAX_PARTITIONS_PER_REQUEST);
        return reassignments.iter().map(|r| answer(r, Err(error.clone()))).collect();
    }
    reassignments.iter().map(|r| answer(r, alter(draft, r, allow_factor_change))).collect()
}

fn alter(draft: &mut Draft, reassignment: &Reassignment, allow_factor_change: bool) -> Result<(), ItemError> {
    let at = find(draft.state(), reassignment)?;
    let before = Arc::clone(draft.partition(at.topic_id, at.partition)?);
    let Some(targets) = &reassignment.replicas else { return cancel(draft, at) };
    check_targets(draft.state(), &before, at, targets, allow_factor_change)?;
    change(draft, at, targets)?;
    shrink_shards(draft, at, before.replication_factor(), targets.len())
}

/// Who takes replicas of a coordinator's topic away wants fewer of them: without this it would grow to its old number again.
fn shrink_shards(draft: &mut Draft, at: TopicIdPartition, before: usize, after: usize) -> Result<(), ItemError> {
    let topic = at.topic_id;
    let Some((kind, shards)) = draft.state().shard_topics().find(|(_, shards)| shards.topic() == topic) else {
        return Ok(());
    };
    let fewer = i16::try_from(after).unwrap_or(i16::MAX);
    if after >= before || fewer >= shards.replication_factor() {
        return Ok(());
    }
    draft.add(vec![Delta::ShardTopicSet { kind, topic, replication_factor: fewer }])
}

fn find(state: &State, reassignment: &Reassignment) -> Result<TopicIdPartition, ItemError> {
    let found = match &reassignment.topic {
        TopicRef::Name(name) => state.topic_by_name(name),
        TopicRef::Id(id) => state.topic(*id),
    };
    let topic = found.filter(|topic| topic.partition(reassignment.partition).is_some());
    topic.map(|topic| TopicIdPartition { topic_id: topic.id(), partition: reassignment.partition }).ok_or_else(|| {
        let what = match &reassignment.topic {
            TopicRef::Name(name) => name.clone(),
            TopicRef::Id(id) => id.to_string(),
        };
        let message = format!("there is no partition {} of topic {what}", reassignment.partition);
        ItemError::new(ErrorCode::UnknownTopicOrPartition, message)
    })
}

fn check_targets(
    state: &State,
    before: &Partition,
    at: TopicIdPartition,
    targets: &[BrokerId],
    allow_factor_change: bool,
) -> Result<(), ItemError> {
    if targets.len() > MAX_REPLICATION_FACTOR as usize {
        let message = format!("a partition has at most {MAX_REPLICATION_FACTOR} replicas");
        return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    check_manual(state, at.partition, targets)?;
    let factor = before.replication_factor();
    if !allow_factor_change && targets.len() != factor {
        let message = format!("the partition has {factor} replicas, and would have {}", targets.len());
        return Err(ItemError::new(ErrorCode::InvalidReplicationFactor, message));
    }
    let is_draining = |id: &&BrokerId| state.broker(**id).is_some_and(|b| b.draining) && !before.has_replica(**id);
    if let Some(id) = targets.iter().find(is_draining) {
        let message = format!("broker {id} is being emptied; choose another, or cancel its decommissioning");
        return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    Ok(())
}

/// Stops a reassignment: the partition is again held by those who held it before.
pub(super) fn cancel(draft: &mut Draft, at: TopicIdPartition) -> Result<(), ItemError> {
    let before = draft.partition(at.topic_id, at.partition)?;
    if !before.is_reassigning() {
        return Err(ItemError::of(ErrorCode::NoReassignmentInProgress));
    }
    let kept = before.replicas.iter().map(|r| r.broker).filter(|id| !before.adding.contains(id)).collect::<Vec<_>>();
    change(draft, at, &kept)
}

/// Sets out for `targets`, from whatever reassignment is in progress. Those who held the partition before it began stay
/// until the new ones are in sync; those whom only that reassignment brought in go at once.
fn change(draft: &mut Draft, at: TopicIdPartition, targets: &[BrokerId]) -> Result<(), ItemError> {
    let before = Arc::clone(draft.partition(at.topic_id, at.partition)?);
    let state = draft.state();
    let original = |id: BrokerId| before.has_replica(id) && !before.adding.contains(&id);
    let mut transition = Transition::new(draft, at.topic_id, &before);
    let dropped = before.adding.iter().copied().filter(|id| !targets.contains(id)).collect::<Vec<_>>();
    transition.drop_replicas(&dropped);
    let after = &mut transition.after;
    let leaving = after.replicas.iter().filter(|replica| !targets.contains(&replica.broker)).copied();
    let target = |id: &BrokerId| {
        let known = before.replicas.iter().find(|replica| replica.broker == *id).copied();
        known.or_else(|| state.broker(*id).map(|b| Replica { broker: b.id, directory: only_directory(b) }))
    };
    after.replicas = targets.iter().filter_map(target).chain(leaving.collect::<Vec<_>>()).collect();
    after.adding = targets.iter().copied().filter(|id| !original(*id)).collect();
    after.removing = after.replicas.iter().map(|r| r.broker).filter(|id| !targets.contains(id)).collect();

    let Some(changed) = transition.settle() else { return Ok(()) };
    // A single replica that is left would lead with whatever it has, and logs would be compared without the one that goes.
    let complete_go =
        before.has_complete() && !changed.replicas.iter().any(|replica| before.is_complete(replica.broker));
    if complete_go
        || (before.leader.is_some() && changed.leader.is_none())
        || (changed.leader.is_none() && changed.last_complete.is_empty())
    {
        let message = "only a replica that would go is in sync; wait until another one is, or keep it";
        return Err(ItemError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    draft.add(vec![Delta::PartitionSet { topic: at.topic_id, index: at.partition, partition: Arc::new(changed) }])
}
