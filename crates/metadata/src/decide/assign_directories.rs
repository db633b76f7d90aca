//! In which of its directories a broker keeps its replicas (KIP-858).

use std::sync::Arc;

use levada_types::{BrokerEpoch, BrokerId, ErrorCode};

use super::draft::Draft;
use super::transition::{Transition, Withdrawal};
use crate::{Delta, ItemError, ReplicaDirectory};

pub(super) fn decide(
    draft: &mut Draft,
    broker: BrokerId,
    epoch: BrokerEpoch,
    assignments: &[ReplicaDirectory],
) -> Result<Vec<Result<(), ItemError>>, ItemError> {
    draft.registration(broker, epoch)?;
    Ok(assignments.iter().map(|assignment| assign(draft, broker, epoch, assignment)).collect())
}

fn assign(
    draft: &mut Draft,
    broker: BrokerId,
    epoch: BrokerEpoch,
    assignment: &ReplicaDirectory,
) -> Result<(), ItemError> {
    let registration = draft.registration(broker, epoch)?;
    if !registration.directories.contains(&assignment.directory) {
        let message = format!("broker {broker} registered without directory {}", assignment.directory);
        return Err(ItemError::new(ErrorCode::LogDirNotFound, message));
    }
    let topic = draft.state().topic(assignment.topic).ok_or_else(|| {
        ItemError::new(ErrorCode::UnknownTopicId, format!("there is no topic with the id {}", assignment.topic))
    })?;
    let partition = topic.partition(assignment.partition).filter(|p| p.has_replica(broker)).ok_or_else(|| {
        let message = format!("broker {broker} has no replica of {}-{}", topic.name(), assignment.partition);
        ItemError::new(ErrorCode::NotLeaderOrFollower, message)
    })?;
    if partition.directory_of(broker) == Some(assignment.directory) {
        return Ok(());
    }
    let starts_afresh = !partition.directory_of(broker).is_none_or(|directory| registration.has_online(directory));
    let mut transition = Transition::new(draft, assignment.topic, partition);
    for replica in transition.after.replicas.iter_mut().filter(|r| r.broker == broker) {
        replica.directory = assignment.directory;
    }
    if starts_afresh {
        transition.withdraw(broker, Withdrawal::Damaged);
        if !transition.after.has_complete() {
            let message = format!(
                "the only complete replica of {}-{} is in a directory of broker {broker} that is offline; bring that back",
                topic.name(),
                assignment.partition
            );
            return Err(ItemError::new(ErrorCode::KafkaStorageError, message));
        }
    }
    let Some(changed) = transition.settle() else { return Ok(()) };
    draft.add(vec![Delta::PartitionSet {
        topic: assignment.topic,
        index: assignment.partition,
        partition: Arc::new(changed),
    }])
}
