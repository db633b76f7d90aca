//! Coordinators that come and go, and where their shards go then.

use std::sync::Arc;

use levada_types::{CoordinatorEpoch, ErrorCode, TopicId};

use super::brokers::check_level;
use super::draft::Draft;
use super::transition::Transition;
use crate::limits::{MAX_COORDINATORS, MAX_REGISTRATION_STRING_BYTES};
use crate::shards::spread;
use crate::{Coordinator, CoordinatorKind, Defect, Delta, ItemError, NewCoordinator, State};

pub(super) fn register(draft: &mut Draft, new: &NewCoordinator) -> Result<CoordinatorEpoch, ItemError> {
    let state = draft.state();
    check(state, new)?;
    let known = state.coordinators(new.kind).find(|known| known.incarnation == new.incarnation);
    if let Some(known) = known {
        return Ok(known.epoch);
    }
    let epoch = CoordinatorEpoch(state.last_coordinator_epoch() + 1);
    let coordinator = Coordinator {
        epoch,
        kind: new.kind,
        incarnation: new.incarnation,
        name: new.name.clone(),
        internal_address: new.internal_address.clone(),
        levels: new.levels,
    };
    // Of two processes that are reached at one address, the earlier one is gone.
    let is_gone = |other: &&Arc<Coordinator>| other.internal_address == new.internal_address;
    let gone = state.coordinators(new.kind).filter(is_gone).map(|other| other.epoch);
    replace(draft, new.kind, gone.collect(), Some(coordinator))?;
    Ok(epoch)
}

pub(super) fn remove(draft: &mut Draft, epoch: CoordinatorEpoch) -> Result<(), ItemError> {
    match draft.state().coordinator(epoch).map(|known| known.kind) {
        Some(kind) => replace(draft, kind, vec![epoch], None),
        None => Ok(()),
    }
}

/// Spreads the shards of `kind`, all of them, over the coordinators that there are.
pub(super) fn assign(draft: &mut Draft, kind: CoordinatorKind) -> Result<(), ItemError> {
    replace(draft, kind, Vec::new(), None)
}

/// Takes coordinators out, brings one in, and has the shards pass to where they belong then, all in one.
fn replace(
    draft: &mut Draft,
    kind: CoordinatorKind,
    gone: Vec<CoordinatorEpoch>,
    new: Option<Coordinator>,
) -> Result<(), ItemError> {
    let stay = draft.state().coordinators(kind).map(|known| known.epoch).filter(|epoch| !gone.contains(epoch));
    let live: Vec<CoordinatorEpoch> = stay.chain(new.as_ref().map(|new| new.epoch)).collect();
    let passing = pass_shards(draft, kind, live);
    let registered = new.map(|new| Delta::CoordinatorRegistered { coordinator: Arc::new(new) });
    let removed = gone.into_iter().map(|epoch| Delta::CoordinatorRemoved { epoch });
    draft.add(registered.into_iter().chain(passing).chain(removed).collect())
}

/// The changes by which shards pass to whom they belong among `live`. Each raises the leader epoch of the shard's partition,
/// be it led or not: what the former owner still writes is refused from then on.
fn pass_shards(draft: &Draft, kind: CoordinatorKind, live: Vec<CoordinatorEpoch>) -> Vec<Delta> {
    let Some(shards) = draft.state().shards(kind) else { return Vec::new() };
    let topic = shards.topic();
    let passing = spread(shards.owners(), live).into_iter().filter_map(|(shard, owner)| {
        let shard = i32::try_from(shard).ok()?;
        let fenced = fenced(draft, topic, shard);
        Some(fenced.into_iter().chain([Delta::ShardOwned { kind, shard, owner }]))
    });
    passing.flatten().collect()
}

fn fenced(draft: &Draft, topic: TopicId, index: i32) -> Option<Delta> {
    if draft.breaks(Defect::ShardPassedUnfenced) {
        return None;
    }
    let mut transition = Transition::new(draft, topic, draft.partition(topic, index).ok()?);
    transition.raise_leader_epoch();
    Some(Delta::PartitionSet { topic, index, partition: Arc::new(transition.settle()?) })
}

fn check(state: &State, new: &NewCoordinator) -> Result<(), ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidRegistration, message));
    check_level(state, new.levels)?;
    if [&new.name, &new.internal_address].into_iter().any(|text| text.len() > MAX_REGISTRATION_STRING_BYTES) {
        return invalid(format!("a text of the registration is longer than {MAX_REGISTRATION_STRING_BYTES} bytes"));
    }
    if new.internal_address.is_empty() {
        return invalid("a coordinator without an internal address could not be asked for anything".to_owned());
    }
    if state.all_coordinators().count() >= MAX_COORDINATORS {
        return invalid(format!("at most {MAX_COORDINATORS} coordinators can be registered"));
    }
    Ok(())
}
