//! Elections by what the logs hold, where nobody who is known to be complete is left.
//!
//! Such a partition waits until everybody who was complete the last time has come back. The replica with the greatest
//! (last epoch, log end) then has at least what each of the others has of the same history, so it leads, and the election
//! is counted as a possible loss. Where unclean elections are allowed or asked for, whoever has answered is enough.

use std::sync::Arc;

use levada_types::{BrokerId, ErrorCode};

use super::draft::Draft;
use super::too_many;
use super::transition::Transition;
use crate::config::{Resolver, StaticConfigs};
use crate::limits::MAX_PARTITIONS_PER_REQUEST;
use crate::{Delta, ItemError, LogElection, Partition, State, Waiver};

pub(super) fn decide(draft: &mut Draft, elections: &[LogElection]) -> Vec<Result<BrokerId, ItemError>> {
    if elections.len() > MAX_PARTITIONS_PER_REQUEST {
        let error = too_many("partitions", elections.len(), MAX_PARTITIONS_PER_REQUEST);
        return elections.iter().map(|_| Err(error.clone())).collect();
    }
    elections.iter().map(|election| elect(draft, election)).collect()
}

fn elect(draft: &mut Draft, election: &LogElection) -> Result<BrokerId, ItemError> {
    let before = Arc::clone(draft.partition(election.topic, election.partition)?);
    let state = draft.state();
    if before.leader.is_some() {
        return Err(ItemError::new(ErrorCode::ElectionNotNeeded, "the partition has a leader"));
    }
    if before.leader_epoch != election.leader_epoch {
        let message = format!("the leader epoch is {}, not {}", before.leader_epoch, election.leader_epoch);
        return Err(ItemError::new(ErrorCode::FencedLeaderEpoch, message));
    }
    let leader = greatest(state, &before, election)?;
    check_waiver(state, &before, election)?;
    let mut transition = Transition::new(draft, election.topic, &before);
    transition.lead_incomplete(leader);
    let Some(changed) = transition.settle() else { return Ok(leader) };
    let (topic, index) = (election.topic, election.partition);
    draft.add(vec![Delta::PartitionSet { topic, index, partition: Arc::new(changed) }])?;
    Ok(leader)
}

/// Those whose answers count: live replicas that have answered under their present registration.
fn is_counted(state: &State, partition: &Partition, election: &LogElection, id: BrokerId) -> bool {
    let epoch = state.broker(id).map(|registration| registration.epoch);
    state.can_lead(partition, id) && election.ends.iter().any(|end| end.broker == id && Some(end.broker_epoch) == epoch)
}

fn greatest(state: &State, partition: &Partition, election: &LogElection) -> Result<BrokerId, ItemError> {
    let counted = election.ends.iter().filter(|end| is_counted(state, partition, election, end.broker));
    // Of equals, the first of the assignment.
    let place = |id: BrokerId| partition.replicas.iter().position(|replica| replica.broker == id);
    let greatest = counted.max_by_key(|end| (end.last_epoch, end.log_end, std::cmp::Reverse(place(end.broker))));
    greatest.map(|end| end.broker).ok_or_else(|| {
        let message = "no live replica has told what its log holds under its present registration";
        ItemError::new(ErrorCode::EligibleLeadersNotAvailable, message)
    })
}

fn check_waiver(state: &State, partition: &Partition, election: &LogElection) -> Result<(), ItemError> {
    match election.waiver {
        Waiver::UncleanByHand => Ok(()),
        Waiver::UncleanByConfig => {
            let statics = StaticConfigs::default();
            if Resolver::new(state, None, &statics).unclean_election(election.topic) {
                return Ok(());
            }
            let message = "the topic's unclean.leader.election.enable is false";
            Err(ItemError::new(ErrorCode::EligibleLeadersNotAvailable, message))
        }
        Waiver::AllReturned => {
            let missing = |id: &&BrokerId| !is_counted(state, partition, election, **id);
            if partition.has_complete() {
                let message = "a replica that may be complete has not come back; the partition waits for it";
                return Err(ItemError::new(ErrorCode::EligibleLeadersNotAvailable, message));
            }
            if let Some(id) = partition.last_complete.iter().find(missing) {
                let message = format!("broker {id} was complete and has not told what its log holds now");
                return Err(ItemError::new(ErrorCode::EligibleLeadersNotAvailable, message));
            }
            Ok(())
        }
    }
}
