//! Elections by hand, and leaderships that go back to the preferred leaders.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_types::{BrokerId, ErrorCode, TopicIdPartition};

use super::draft::Draft;
use super::too_many;
use super::transition::Transition;
use crate::limits::{MAX_ELECTIONS_PER_BALANCE, MAX_PARTITIONS_PER_REQUEST};
use crate::{BalancedLeaders, Delta, ElectedLeader, Election, ItemError, NamedPartition, Partition, State};

pub(super) fn decide(
    draft: &mut Draft,
    election: Election,
    partitions: Option<&[NamedPartition]>,
) -> Vec<ElectedLeader> {
    let Some(named) = partitions else { return elect_all(draft, election) };
    let refused =
        |partition: &NamedPartition, error| ElectedLeader { partition: partition.clone(), result: Err(error) };
    if named.len() > MAX_PARTITIONS_PER_REQUEST {
        let error = too_many("partitions", named.len(), MAX_PARTITIONS_PER_REQUEST);
        return named.iter().map(|partition| refused(partition, error.clone())).collect();
    }
    let elected = |partition: &NamedPartition| {
        let topic = draft.state().topic_id(&partition.topic);
        let at = topic.map(|topic_id| TopicIdPartition { topic_id, partition: partition.partition });
        let result = at.ok_or_else(|| unknown(partition)).and_then(|at| elect(draft, election, at));
        ElectedLeader { partition: partition.clone(), result }
    };
    named.iter().map(elected).collect()
}

/// Holds the election wherever it is needed, and tells of those partitions alone.
fn elect_all(draft: &mut Draft, election: Election) -> Vec<ElectedLeader> {
    let state = draft.state().clone();
    let needed: Vec<TopicIdPartition> = match election {
        Election::Unclean => state.leaderless().collect(),
        Election::Preferred => displaced(&state).map(|(at, _)| at).collect(),
    };
    let elected = needed.into_iter().take(MAX_PARTITIONS_PER_REQUEST).filter_map(|at| {
        let topic = state.topic(at.topic_id)?.name().to_string();
        let partition = NamedPartition { topic, partition: at.partition };
        Some(ElectedLeader { partition, result: elect(draft, election, at) })
    });
    elected.collect()
}

fn elect(draft: &mut Draft, election: Election, at: TopicIdPartition) -> Result<BrokerId, ItemError> {
    let before = Arc::clone(draft.partition(at.topic_id, at.partition)?);
    let mut transition = Transition::new(draft, at.topic_id, &before);
    let leader = match election {
        Election::Preferred => {
            let preferred = preferred(draft.state(), &before)?;
            transition.after.leader = Some(preferred);
            preferred
        }
        Election::Unclean => {
            let anybody = anybody(draft.state(), &before)?;
            transition.lead_incomplete(anybody);
            anybody
        }
    };
    if let Some(changed) = transition.settle() {
        let partition = Arc::new(changed);
        draft.add(vec![Delta::PartitionSet { topic: at.topic_id, index: at.partition, partition }])?;
    }
    Ok(leader)
}

/// The preferred leader, if it should lead and does not.
fn preferred(state: &State, partition: &Partition) -> Result<BrokerId, ItemError> {
    let preferred =
        partition.preferred_leader().ok_or_else(|| ItemError::of(ErrorCode::PreferredLeaderNotAvailable))?;
    if partition.leader == Some(preferred) {
        return Err(ItemError::new(ErrorCode::ElectionNotNeeded, "the preferred leader leads"));
    }
    if !may_take_over(state, partition, preferred) {
        let message = format!("the preferred leader, broker {preferred}, is not in sync, not live or being emptied");
        return Err(ItemError::new(ErrorCode::PreferredLeaderNotAvailable, message));
    }
    Ok(preferred)
}

/// Somebody who can lead a partition that nobody leads. Those who were complete once come first; of what the logs hold,
/// nothing is known here, see [`crate::Command::ElectFromLogs`].
fn anybody(state: &State, partition: &Partition) -> Result<BrokerId, ItemError> {
    if partition.leader.is_some() {
        return Err(ItemError::new(ErrorCode::ElectionNotNeeded, "the partition has a leader"));
    }
    let was_complete = |id: &BrokerId| partition.last_complete.contains(id);
    state
        .live_replicas(partition)
        .min_by_key(|id| !was_complete(id))
        .ok_or_else(|| ItemError::new(ErrorCode::EligibleLeadersNotAvailable, "no broker that holds a replica is live"))
}

fn unknown(partition: &NamedPartition) -> ItemError {
    ItemError::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {:?}", partition.topic))
}

fn may_take_over(state: &State, partition: &Partition, broker: BrokerId) -> bool {
    partition.is_in_sync(broker)
        && state.can_lead(partition, broker)
        && state.broker(broker).is_some_and(|registration| !registration.draining)
}

/// The partitions that are led by another than their preferred leader.
fn displaced(state: &State) -> impl Iterator<Item = (TopicIdPartition, &Arc<Partition>)> {
    state.topics().flat_map(|topic| {
        let displaced = topic.partitions().filter(|(_, p)| p.leader.is_some() && p.leader != p.preferred_leader());
        displaced.map(|(partition, p)| (TopicIdPartition { topic_id: topic.id(), partition }, p))
    })
}

/// Gives the brokers that lead too few of the partitions they should lead those back that they can take.
pub(super) fn balance(draft: &mut Draft, allowed_percentage: u8) -> BalancedLeaders {
    let state = draft.state().clone();
    let mut away: BTreeMap<BrokerId, u64> = BTreeMap::new();
    for (_, partition) in displaced(&state) {
        *away.entry(partition.replicas[0].broker).or_default() += 1;
    }
    let mut preferred: BTreeMap<BrokerId, u64> = BTreeMap::new();
    for (_, partition) in state.topics().flat_map(crate::Topic::partitions) {
        *preferred.entry(partition.replicas[0].broker).or_default() += 1;
    }
    let is_unbalanced = |broker: BrokerId| {
        let count = |of: &BTreeMap<BrokerId, u64>| of.get(&broker).copied().unwrap_or(0);
        count(&away) * 100 > count(&preferred) * u64::from(allowed_percentage)
    };
    let mut balanced = BalancedLeaders::default();
    for (at, partition) in displaced(&state) {
        let broker = partition.replicas[0].broker;
        if !is_unbalanced(broker) || !may_take_over(&state, partition, broker) {
            continue;
        }
        if balanced.moved as usize >= MAX_ELECTIONS_PER_BALANCE {
            balanced.left += 1;
        } else if elect(draft, Election::Preferred, at).is_ok() {
            balanced.moved += 1;
        }
    }
    balanced
}
