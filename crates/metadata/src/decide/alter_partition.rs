//! Leaders propose who is in sync (KIP-497), each member under its broker epoch (KIP-903).

use std::sync::Arc;

use levada_types::{BrokerEpoch, BrokerId, ErrorCode};

use super::draft::Draft;
use super::too_many;
use super::transition::{Transition, Withdrawal};
use crate::limits::MAX_PARTITIONS_PER_REQUEST;
use crate::{AlteredPartition, Defect, Delta, IsrProposal, ItemError, LeaderRecovery, Partition};

pub(super) fn decide(
    draft: &mut Draft,
    broker: BrokerId,
    epoch: BrokerEpoch,
    proposals: &[IsrProposal],
) -> Result<Vec<Result<AlteredPartition, ItemError>>, ItemError> {
    draft.registration(broker, epoch)?;
    if proposals.len() > MAX_PARTITIONS_PER_REQUEST {
        return Err(too_many("partitions", proposals.len(), MAX_PARTITIONS_PER_REQUEST));
    }
    Ok(proposals.iter().map(|proposal| alter(draft, broker, proposal)).collect())
}

fn alter(draft: &mut Draft, broker: BrokerId, proposal: &IsrProposal) -> Result<AlteredPartition, ItemError> {
    let before = Arc::clone(draft.partition(proposal.topic, proposal.partition)?);
    check_proposer(draft, &before, broker, proposal)?;
    check_members(draft, &before, broker, proposal)?;

    let mut transition = Transition::new(draft, proposal.topic, &before);
    let withdrawal =
        if draft.breaks(Defect::IncompleteStaysEligible) { Withdrawal::Intact } else { Withdrawal::Damaged };
    for &incomplete in &proposal.incomplete {
        transition.withdraw(incomplete, withdrawal);
    }
    let is_proposed = |id: BrokerId| proposal.isr.iter().any(|member| member.broker == id);
    for member in before.isr.iter().filter(|member| !is_proposed(member.broker)) {
        transition.withdraw(member.broker, Withdrawal::Intact);
    }
    transition.after.elr.retain(|id| !is_proposed(*id));
    // In the order of the assignment, so that two leaders that propose the same set make the same state.
    let in_order = before.replicas.iter().filter_map(|r| proposal.isr.iter().find(|m| m.broker == r.broker));
    let after = &mut transition.after;
    if after.isr.len() != proposal.isr.len() || !proposal.isr.iter().all(|member| after.isr.contains(member)) {
        after.isr = in_order.copied().collect();
    }
    after.recovery = proposal.recovery;

    // Being committed raises the partition epoch, though nothing else has changed: whatever else was proposed on the same
    // state and got lost on its way can then never be committed.
    let raised = || Partition { partition_epoch: before.partition_epoch.next(), ..(*before).clone() };
    let changed = transition.settle().unwrap_or_else(raised);
    let answered = answer(&changed);
    let (topic, index) = (proposal.topic, proposal.partition);
    draft.add(vec![Delta::PartitionSet { topic, index, partition: Arc::new(changed) }])?;
    Ok(answered)
}

fn answer(partition: &Partition) -> AlteredPartition {
    AlteredPartition {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        isr: partition.isr.clone(),
        recovery: partition.recovery,
        partition_epoch: partition.partition_epoch,
    }
}

/// Whether the proposal comes from the leader and builds on the partition as it is.
fn check_proposer(
    draft: &Draft,
    before: &Partition,
    broker: BrokerId,
    proposal: &IsrProposal,
) -> Result<(), ItemError> {
    if proposal.leader_epoch > before.leader_epoch || proposal.partition_epoch > before.partition_epoch {
        let message = "the proposal builds on a state that is not known here; ask the active controller";
        return Err(ItemError::new(ErrorCode::NotController, message));
    }
    if proposal.leader_epoch < before.leader_epoch {
        let message = format!("the leader epoch is {}, not {}", before.leader_epoch, proposal.leader_epoch);
        return Err(ItemError::new(ErrorCode::FencedLeaderEpoch, message));
    }
    if before.leader != Some(broker) {
        return Err(ItemError::new(ErrorCode::InvalidRequest, format!("broker {broker} does not lead the partition")));
    }
    if proposal.partition_epoch < before.partition_epoch && !draft.breaks(Defect::ProposalOnOldState) {
        let message = format!("the partition epoch is {}, not {}", before.partition_epoch, proposal.partition_epoch);
        return Err(ItemError::new(ErrorCode::InvalidUpdateVersion, message));
    }
    Ok(())
}

/// Whether the proposed set can be one.
fn check_members(draft: &Draft, before: &Partition, leader: BrokerId, proposal: &IsrProposal) -> Result<(), ItemError> {
    let state = draft.state();
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidRequest, message));
    if !proposal.isr.iter().any(|member| member.broker == leader) {
        return invalid(format!("the leader, broker {leader}, is not in the proposed set"));
    }
    for (i, member) in proposal.isr.iter().enumerate() {
        let id = member.broker;
        if proposal.isr[..i].iter().any(|earlier| earlier.broker == id) || proposal.incomplete.contains(&id) {
            return invalid(format!("broker {id} is named more than once"));
        }
        if !before.has_replica(id) {
            return invalid(format!("broker {id} has no replica of the partition"));
        }
        let registered = state.broker(id).map(|registration| registration.epoch);
        let is_current = registered == Some(member.epoch) || draft.breaks(Defect::EntryWithoutBrokerEpoch);
        // One that is stopping serves until its replica is handed over, and its membership must not keep a dead one in; but
        // nobody comes in any more who is about to go (KIP-841).
        let stays = before.isr.contains(member) && state.can_serve(before, id);
        if !is_current || !(stays || state.can_lead(before, id)) {
            let message = format!(
                "broker {id} of epoch {} cannot be in sync: it is fenced, stopping and not in sync yet, without the replica's directory, or has registered again",
                member.epoch
            );
            return Err(ItemError::new(ErrorCode::IneligibleReplica, message));
        }
    }
    match (before.recovery, proposal.recovery) {
        (LeaderRecovery::Recovered, LeaderRecovery::Recovering) => {
            invalid("a leader that has recovered cannot be recovering".to_owned())
        }
        (_, LeaderRecovery::Recovering) if proposal.isr.len() > 1 => {
            invalid("nobody joins the in-sync set of a leader that is recovering".to_owned())
        }
        _ => Ok(()),
    }
}
