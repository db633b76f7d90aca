//! What the coming and going of brokers and directories means for partitions: who leads, and who counts as complete.

use std::sync::Arc;

use levada_types::{BrokerId, DirectoryId, TopicId};

use super::draft::Draft;
use super::transition::{Transition, Withdrawal};
use crate::config::MIN_INSYNC_REPLICAS;
use crate::placement::only_directory;
use crate::{BrokerRegistration, ConfigResource, Delta, ItemError, Partition, State};

/// Takes `broker`, which is not live any more, out of every in-sync set and moves its leaderships to others.
pub(super) fn depart(draft: &mut Draft, broker: BrokerId, withdrawal: Withdrawal) -> Result<(), ItemError> {
    depart_from(draft, broker, |_| withdrawal)
}

/// As [`depart`], where it depends on the directory of each replica what became of it.
pub(super) fn depart_from(
    draft: &mut Draft,
    broker: BrokerId,
    withdrawal: impl Fn(DirectoryId) -> Withdrawal,
) -> Result<(), ItemError> {
    change_replicas(draft, broker, |transition| {
        let directory = transition.after.directory_of(broker).unwrap_or(DirectoryId::UNASSIGNED);
        transition.withdraw(broker, withdrawal(directory));
    })
}

/// Takes `broker`, which is about to stop, out of the in-sync sets of up to `limit` partitions, those that it leads first.
/// Says how many are left.
pub(super) fn hand_over(draft: &mut Draft, broker: BrokerId, limit: usize) -> Result<usize, ItemError> {
    let state = draft.state();
    let held = |p: &Partition| p.leader.is_some() && p.is_in_sync(broker);
    let (led, followed): (Vec<_>, Vec<_>) =
        state.replicas_of(broker).filter(|(_, p)| held(p)).partition(|(_, p)| p.leader == Some(broker));
    let count = led.len() + followed.len();
    let changes = led.into_iter().chain(followed).take(limit).filter_map(|(at, partition)| {
        let mut transition = Transition::new(draft, at.topic_id, partition);
        transition.withdraw(broker, Withdrawal::Intact);
        let partition = Arc::new(transition.settle()?);
        Some(Delta::PartitionSet { topic: at.topic_id, index: at.partition, partition })
    });
    let changes = changes.collect();
    draft.add(changes)?;
    Ok(count.saturating_sub(limit))
}

/// Lets `broker`, which is live again, lead the partitions that have waited for it.
pub(super) fn return_to_duty(draft: &mut Draft, broker: BrokerId) -> Result<(), ItemError> {
    change_replicas(draft, broker, |_| ())
}

/// Looks at the replicas of `broker` that are assigned to directories which are not online.
///
/// While a configured directory cannot be read, they may be behind it and wait. Otherwise their directory is lost: they
/// start afresh in another one.
pub(super) fn settle_directories(
    draft: &mut Draft,
    broker: &BrokerRegistration,
    has_offline_directory: bool,
) -> Result<(), ItemError> {
    change_replicas(draft, broker.id, |transition| {
        let replicas = transition.after.replicas.iter_mut();
        let Some(replica) = replicas.into_iter().find(|r| r.broker == broker.id && !broker.has_online(r.directory))
        else {
            return;
        };
        if has_offline_directory {
            transition.withdraw(broker.id, Withdrawal::Unproven);
        } else {
            replica.directory = only_directory(broker);
            transition.withdraw(broker.id, Withdrawal::Damaged);
        }
    })
}

/// Clears the eligible replicas of partitions that are led: the minimum under which they earned their place has changed.
/// Those of a partition without a leader stay, since nothing was acknowledged after they left. Without `only`, the
/// minimum of all topics that have none of their own has changed.
pub(super) fn clear_eligible(draft: &mut Draft, only: Option<TopicId>) -> Result<(), ItemError> {
    let state = draft.state();
    let has_own = |id| {
        state.overrides(ConfigResource::Topic(id)).is_some_and(|overrides| overrides.contains_key(MIN_INSYNC_REPLICAS))
    };
    let topics: Vec<TopicId> = match only {
        Some(topic) => vec![topic],
        None => state.topics().map(crate::Topic::id).filter(|id| !has_own(*id)).collect(),
    };
    let mut changes = Vec::new();
    for topic in topics.iter().filter_map(|id| state.topic(*id)) {
        for (index, partition) in topic.partitions().filter(|(_, p)| p.leader.is_some() && !p.elr.is_empty()) {
            let partition = Partition {
                elr: Vec::new(),
                partition_epoch: partition.partition_epoch.next(),
                ..(**partition).clone()
            };
            changes.push(Delta::PartitionSet { topic: topic.id(), index, partition: Arc::new(partition) });
        }
    }
    draft.add(changes)
}

/// Takes every partition of which `broker` holds a replica through `change`.
fn change_replicas(
    draft: &mut Draft,
    broker: BrokerId,
    mut change: impl FnMut(&mut Transition<'_>),
) -> Result<(), ItemError> {
    let state: &State = draft.state();
    let changes = state.replicas_of(broker).filter_map(|(at, partition)| {
        let mut transition = Transition::new(draft, at.topic_id, partition);
        change(&mut transition);
        let partition = Arc::new(transition.settle()?);
        Some(Delta::PartitionSet { topic: at.topic_id, index: at.partition, partition })
    });
    let changes = changes.collect();
    draft.add(changes)
}
