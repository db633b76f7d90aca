//! What always holds of shards, as predicates: for tests and for the simulator, which asks after every step.

use levada_types::{CoordinatorEpoch, PartitionIndex};
use thiserror::Error;

use crate::{CoordinatorKind, State};

/// A rule of shards that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Broken {
    /// A shard belongs to somebody who is not a live coordinator of its kind.
    #[error("{0} shard {1} is owned by {2}, who is gone")]
    OwnerNotLive(CoordinatorKind, PartitionIndex, CoordinatorEpoch),
    /// A shard belongs to nobody although there is a live coordinator of its kind.
    #[error("{0} shard {1} is owned by nobody")]
    Ownerless(CoordinatorKind, PartitionIndex),
    /// One coordinator owns at least two shards more than another: the least and the most.
    #[error("{0} coordinators own from {1} to {2} shards")]
    Uneven(CoordinatorKind, usize, usize),
    /// The topic of shards is gone, or has another number of partitions than there are shards.
    #[error("the {0} shards and the partitions of their topic differ")]
    NoTopic(CoordinatorKind),
    /// A shard has changed its owner, and the leader epoch of its partition has not grown.
    #[error("{0} shard {1} passed to another owner under the same leader epoch")]
    NotFenced(CoordinatorKind, PartitionIndex),
    /// A coordinator epoch was given to two, or is not above those given before.
    #[error("coordinator epoch {0} was given before")]
    EpochNotNew(CoordinatorEpoch),
}

/// What holds in every state: a shard has one owner, who is live, as soon as anybody is; shards are spread evenly.
///
/// # Errors
/// The first rule that does not hold.
pub fn check(state: &State) -> Result<(), Broken> {
    for (kind, shards) in state.shard_topics() {
        let live: Vec<CoordinatorEpoch> = state.coordinators(kind).map(|coordinator| coordinator.epoch).collect();
        if state.topic(shards.topic()).is_none_or(|topic| topic.partitions().len() != shards.owners().len()) {
            return Err(Broken::NoTopic(kind));
        }
        for (shard, owner) in (0..).zip(shards.owners()) {
            match owner {
                Some(owner) if !live.contains(&owner) => return Err(Broken::OwnerNotLive(kind, shard, owner)),
                None if !live.is_empty() => return Err(Broken::Ownerless(kind, shard)),
                _ => {}
            }
        }
        let counts = live.iter().map(|epoch| shards.owners().filter(|owner| *owner == Some(*epoch)).count());
        let (least, most) = counts.fold((usize::MAX, 0), |(least, most), n| (least.min(n), most.max(n)));
        if most > least.saturating_add(1) {
            return Err(Broken::Uneven(kind, least, most));
        }
    }
    Ok(())
}

/// What holds of every change: a shard that passes to another owner, or to nobody, is fenced by a greater leader epoch, and
/// no coordinator epoch is given twice.
///
/// # Errors
/// The first rule that does not hold.
pub fn check_step(before: &State, after: &State) -> Result<(), Broken> {
    for (kind, then) in before.shard_topics() {
        let Some(now) = after.shards(kind).filter(|now| now.topic() == then.topic()) else { continue };
        for ((shard, was), is) in (0..).zip(then.owners()).zip(now.owners()) {
            let epoch = |state: &State| state.partition(then.topic(), shard).map(|partition| partition.leader_epoch);
            if was != is && epoch(after) <= epoch(before) {
                return Err(Broken::NotFenced(kind, shard));
            }
        }
    }
    for coordinator in after.all_coordinators() {
        let known = before.coordinator(coordinator.epoch);
        let is_new = known.is_none() && coordinator.epoch.0 > before.last_coordinator_epoch();
        if !is_new && known.is_none_or(|known| known.incarnation != coordinator.incarnation) {
            return Err(Broken::EpochNotNew(coordinator.epoch));
        }
    }
    Ok(())
}
