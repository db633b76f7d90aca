//! Who belongs to the cluster: brokers that are emptied or forgotten, controllers and who of them votes.

use std::collections::BTreeSet;
use std::sync::Arc;

use levada_types::{BrokerId, ErrorCode, TopicIdPartition};

use super::brokers::check_level;
use super::draft::Draft;
use super::reassign::cancel;
use crate::config::{replicas_throttled, replication_rates};
use crate::limits::{MAX_CONTROLLERS, MAX_REGISTRATION_STRING_BYTES};
use crate::{ConfigResource, ControllerId, ControllerRegistration, Delta, ItemError, Rebalance, State, Voter};

pub(super) fn drain(draft: &mut Draft, id: BrokerId, drain: bool) -> Result<(), ItemError> {
    let known = draft.state().broker(id).ok_or_else(|| not_registered(id))?;
    if known.draining == drain {
        return Ok(());
    }
    draft.add(vec![Delta::BrokerDraining { id, draining: drain }])?;
    if !drain {
        let state = draft.state();
        let leaves =
            |at: TopicIdPartition| state.partition(at.topic_id, at.partition).is_some_and(|p| p.removing.contains(&id));
        let moving: Vec<_> = state.reassigning().filter(|at| leaves(*at)).collect();
        for at in moving {
            // One that can no longer be cancelled goes on: what is in sync there is in sync nowhere else.
            let _ = cancel(draft, at);
        }
    }
    Ok(())
}

pub(super) fn set_rebalance(draft: &mut Draft, rebalance: Option<Rebalance>) -> Result<(), ItemError> {
    if rebalance.is_some_and(|limits| limits.throttle == Some(0)) {
        let message = "a throttle of 0 bytes per second would never let a replica arrive";
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    let before = draft.state().rebalance();
    if before == rebalance {
        return Ok(());
    }
    let mut deltas = vec![Delta::RebalanceSet { rebalance }];
    let throttle = |limits: Option<Rebalance>| limits.and_then(|limits| limits.throttle);
    match (throttle(before), throttle(rebalance)) {
        (None, None) => {}
        (_, Some(rate)) => deltas.extend(rates(Some(rate))),
        (Some(_), None) => {
            deltas.extend(rates(None));
            deltas.extend(throttled_replicas(draft.state()));
        }
    }
    draft.add(deltas)
}

/// Sets the rates of throttled replicas for all brokers, or takes them away.
fn rates(rate: Option<u64>) -> impl Iterator<Item = Delta> {
    let rate = rate.map(|rate| rate.min(i64::MAX as u64).to_string());
    replication_rates().into_iter().map(move |name| Delta::ConfigSet {
        resource: ConfigResource::DefaultBroker,
        name: name.to_owned(),
        value: rate.clone(),
    })
}

/// Takes the names of throttled replicas away, wherever there are any: a rebalance with a throttle has these settings to
/// itself.
fn throttled_replicas(state: &State) -> Vec<Delta> {
    let of_topics = state.config_resources().filter(|(resource, _)| matches!(resource, ConfigResource::Topic(_)));
    let set = of_topics.flat_map(|(resource, overrides)| {
        let names = replicas_throttled().into_iter().filter(|name| overrides.contains_key(*name));
        names.map(move |name| Delta::ConfigSet { resource, name: name.to_owned(), value: None })
    });
    set.collect()
}

pub(super) fn unregister(draft: &mut Draft, id: BrokerId) -> Result<(), ItemError> {
    let known = draft.state().broker(id).ok_or_else(|| not_registered(id))?;
    if !known.fenced {
        let message = format!("broker {id} is running; stop it first, and it can be forgotten");
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    let epoch = known.epoch;
    draft.add(vec![Delta::BrokerUnregistered { id, epoch }])
}

fn not_registered(id: BrokerId) -> ItemError {
    ItemError::new(ErrorCode::BrokerIdNotRegistered, format!("broker {id} is not registered"))
}

pub(super) fn register_controller(draft: &mut Draft, new: &ControllerRegistration) -> Result<(), ItemError> {
    check_level(draft.state(), new.levels)?;
    if new.internal_address.len() > MAX_REGISTRATION_STRING_BYTES {
        let message = format!("the address is longer than {MAX_REGISTRATION_STRING_BYTES} bytes");
        return Err(ItemError::new(ErrorCode::InvalidRegistration, message));
    }
    let known = draft.state().controller(new.id);
    if known.is_some_and(|known| **known == *new) {
        return Ok(());
    }
    if known.is_none() && draft.state().controllers().count() >= MAX_CONTROLLERS {
        let message = format!("at most {MAX_CONTROLLERS} controllers can be registered");
        return Err(ItemError::new(ErrorCode::InvalidRegistration, message));
    }
    draft.add(vec![Delta::ControllerRegistered { controller: Arc::new(new.clone()) }])
}

pub(super) fn unregister_controller(draft: &mut Draft, id: ControllerId) -> Result<(), ItemError> {
    if draft.state().controller(id).is_none() {
        return Err(ItemError::new(ErrorCode::VoterNotFound, format!("controller {id} is not registered")));
    }
    if draft.state().voters().any(|voter| voter.id == id) {
        let message = format!("controller {id} is a voter; take its vote first");
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    draft.add(vec![Delta::ControllerUnregistered { id }])
}

pub(super) fn set_voters(draft: &mut Draft, voters: &[Voter]) -> Result<(), ItemError> {
    let set: BTreeSet<Voter> = voters.iter().copied().collect();
    if set.is_empty() || set.len() != voters.len() || set.len() > MAX_CONTROLLERS {
        let message = format!("from 1 to {MAX_CONTROLLERS} controllers vote, each of them once");
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    if draft.state().voters().eq(set.iter().copied()) {
        return Ok(());
    }
    draft.add(vec![Delta::VotersChanged { voters: set.into_iter().collect() }])
}
