//! In which of its directories a broker keeps its replicas (KIP-858).

use std::sync::Arc;

use levada_types::{BrokerEpoch, BrokerId, ErrorCode};

use super::draft::Draft;
use crate::{Delta, ItemError, Partition, Replica, ReplicaDirectory};

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
    if !draft.registration(broker, epoch)?.directories.contains(&assignment.directory) {
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
    let replicas = partition.replicas.iter().map(|r| match r.broker == broker {
        true => Replica { directory: assignment.directory, ..*r },
        false => *r,
    });
    let changed = Partition {
        replicas: replicas.collect(),
        partition_epoch: partition.partition_epoch.next(),
        ..(**partition).clone()
    };
    draft.add(vec![Delta::PartitionSet {
        topic: assignment.topic,
        index: assignment.partition,
        partition: Arc::new(changed),
    }])
}
