//! Brokers that come and go: registration, fencing, clean shutdown.

use std::collections::BTreeSet;
use std::sync::Arc;

use levada_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode};

use super::draft::Draft;
use super::elections::{depart, depart_from, hand_over, return_to_duty, settle_directories};
use super::transition::Withdrawal;
use crate::limits::{
    MAX_BROKERS, MAX_DIRECTORIES, MAX_ENDPOINTS, MAX_PARTITIONS_PER_STOP, MAX_REGISTRATION_STRING_BYTES,
};
use crate::{BrokerRegistration, Defect, Delta, ItemError, LevelRange, NewBroker, State};

pub(super) fn register(draft: &mut Draft, new: &NewBroker) -> Result<BrokerEpoch, ItemError> {
    check(draft.state(), new)?;
    let known = draft.state().broker(new.id).cloned();
    if let Some(known) = &known {
        if known.incarnation == new.incarnation {
            return Ok(known.epoch);
        }
        check_newest(known, new)?;
    } else if draft.state().brokers().count() >= MAX_BROKERS {
        let message = format!("at most {MAX_BROKERS} brokers can be registered");
        return Err(ItemError::new(ErrorCode::InvalidRegistration, message));
    }
    let kept = known.as_ref().map(|known| known.epoch).filter(|_| draft.breaks(Defect::RestartKeepsEpoch));
    let epoch = kept.unwrap_or(BrokerEpoch(draft.state().last_broker_epoch() + 1));
    let broker = BrokerRegistration {
        id: new.id,
        epoch,
        incarnation: new.incarnation,
        boot_id: new.boot_id.clone(),
        directories: new.directories.clone(),
        endpoints: new.endpoints.clone(),
        internal_address: new.internal_address.clone(),
        rack: new.rack.clone(),
        levels: new.levels,
        fenced: true,
        stopping: false,
        draining: known.as_ref().is_some_and(|known| known.draining),
    };
    draft.add(vec![Delta::BrokerRegistered { broker: Arc::new(broker.clone()) }])?;
    if draft.state().replica_count(new.id) > 0 {
        let is_unnoticed = draft.breaks(Defect::LossUnnoticed);
        // Of a broker that was forgotten in between, nothing is known.
        depart_from(draft, new.id, |directory| match &known {
            _ if is_unnoticed => Withdrawal::Intact,
            Some(known) => end_of(known, new, directory),
            None => Withdrawal::Damaged,
        })?;
        settle_directories(draft, &broker, new.has_offline_directory)?;
    }
    Ok(epoch)
}

/// Refuses a process that does not know of the one whose place it would take: that one may have been started after it.
fn check_newest(known: &BrokerRegistration, new: &NewBroker) -> Result<(), ItemError> {
    if new.replaces == Some(known.epoch) {
        return Ok(());
    }
    let message = format!(
        "broker {} has registered with epoch {} since this process looked; if no other process runs under this number, it \
         will be let in when it has seen that",
        known.id, known.epoch
    );
    Err(ItemError::new(ErrorCode::DuplicateBrokerRegistration, message))
}

/// What the end of the old incarnation means for a replica in `directory`: bytes that it wrote and did not flush are there if
/// it stopped cleanly, or if its machine has not booted since; but not if they were looked for and not found.
///
/// A broker one of whose directories had failed has stopped cleanly as far as the others go, if all of them were closed: what
/// is in the one that failed is damaged.
fn end_of(known: &BrokerRegistration, new: &NewBroker, directory: DirectoryId) -> Withdrawal {
    let is_closed = |id: &DirectoryId| new.closed_directories.contains(&(*id, known.epoch));
    let closed_here = || is_closed(&directory) && known.directories.iter().all(is_closed);
    let stopped_cleanly = new.clean_shutdown_epoch == Some(known.epoch) || closed_here();
    let same_boot = new.boot_id.is_some() && new.boot_id == known.boot_id;
    if (stopped_cleanly || same_boot) && !new.has_lost_bytes { Withdrawal::Intact } else { Withdrawal::Damaged }
}

fn check(state: &State, new: &NewBroker) -> Result<(), ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidRegistration, message));
    if new.id.0 < 0 {
        return invalid(format!("{} is no broker id; it must not be negative", new.id));
    }
    check_level(state, new.levels)?;
    if let (Some(cluster), Some(own)) = (state.cluster_id(), new.cluster_id)
        && cluster != own
    {
        let message = format!("broker {} belongs to cluster {own}, and this is cluster {cluster}", new.id);
        return Err(ItemError::new(ErrorCode::InconsistentClusterId, message));
    }
    let texts = [Some(&new.internal_address), new.boot_id.as_ref(), new.rack.as_ref()];
    let names = new.endpoints.iter().flat_map(|e| [&e.listener, &e.host]);
    if texts.into_iter().flatten().chain(names).any(|text| text.len() > MAX_REGISTRATION_STRING_BYTES) {
        return invalid(format!("a text of the registration is longer than {MAX_REGISTRATION_STRING_BYTES} bytes"));
    }
    if new.endpoints.len() > MAX_ENDPOINTS {
        return invalid(format!("a broker has at most {MAX_ENDPOINTS} endpoints"));
    }
    let listeners: BTreeSet<&str> = new.endpoints.iter().map(|e| e.listener.as_str()).collect();
    if listeners.len() != new.endpoints.len() {
        return invalid("two endpoints have the same listener name".to_owned());
    }
    if let Some(endpoint) = new.endpoints.iter().find(|e| e.port == 0 || e.host.is_empty()) {
        return invalid(format!("the endpoint of listener {} has no host or no port", endpoint.listener));
    }
    check_directories(state, new.id, &new.directories)
}

/// Whether these may be the online directories of broker `id`.
pub(super) fn check_directories(state: &State, id: BrokerId, online: &[DirectoryId]) -> Result<(), ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidRegistration, message));
    if online.len() > MAX_DIRECTORIES {
        return invalid(format!("a broker has at most {MAX_DIRECTORIES} data directories"));
    }
    let directories: BTreeSet<DirectoryId> = online.iter().copied().collect();
    if directories.len() != online.len() || directories.contains(&DirectoryId::UNASSIGNED) {
        return invalid("the directory ids must be distinct and not all zeros".to_owned());
    }
    let mut others = state.brokers().filter(|b| b.id != id);
    if let Some(other) = others.find(|b| b.directories.iter().any(|d| directories.contains(d))) {
        return invalid(format!(
            "broker {} has registered one of these data directories; a copied directory needs an id of its own",
            other.id
        ));
    }
    Ok(())
}

pub(super) fn check_level(state: &State, levels: LevelRange) -> Result<(), ItemError> {
    match state.level() {
        Some(level) if !levels.contains(level) => Err(ItemError::new(
            ErrorCode::UnsupportedVersion,
            format!("the cluster is at metadata level {level}, and this node supports {levels}; upgrade it"),
        )),
        _ => Ok(()),
    }
}

pub(super) fn unfence(draft: &mut Draft, id: BrokerId, epoch: BrokerEpoch) -> Result<(), ItemError> {
    let broker = draft.registration(id, epoch)?;
    if broker.stopping {
        let message = format!("broker {id} has given notice of its shutdown; it must register again");
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    if !broker.fenced {
        return Ok(());
    }
    draft.add(vec![Delta::BrokerChanged { id, epoch, fenced: false, stopping: false }])?;
    return_to_duty(draft, id)
}

pub(super) fn fence(draft: &mut Draft, id: BrokerId, epoch: BrokerEpoch) -> Result<(), ItemError> {
    let broker = draft.registration(id, epoch)?;
    if broker.fenced {
        return Ok(());
    }
    let stopping = broker.stopping;
    draft.add(vec![Delta::BrokerChanged { id, epoch, fenced: true, stopping }])?;
    depart(draft, id, Withdrawal::Intact)
}

/// Takes one step of a controlled shutdown; says how many partitions are left for further ones. With the last step the
/// broker is fenced, and may stop.
pub(super) fn stop(draft: &mut Draft, id: BrokerId, epoch: BrokerEpoch) -> Result<u32, ItemError> {
    let broker = draft.registration(id, epoch)?;
    let fenced = broker.fenced;
    if broker.stopping && fenced {
        return Ok(0);
    }
    // From now on nobody elects it or takes it into an in-sync set.
    draft.add(vec![Delta::BrokerChanged { id, epoch, fenced, stopping: true }])?;
    let left = hand_over(draft, id, MAX_PARTITIONS_PER_STOP)?;
    if left == 0 && !fenced {
        draft.add(vec![Delta::BrokerChanged { id, epoch, fenced: true, stopping: true }])?;
    }
    Ok(u32::try_from(left).unwrap_or(u32::MAX))
}
