//! The cluster's finalised features (KIP-584): the metadata level, and what comes with it.

use levada_types::ErrorCode;

use super::draft::Draft;
use crate::{
    Delta, FeatureChange, FeatureUpdate, GROUP_FEATURE, ItemError, METADATA_FEATURE, MetadataLevel, State,
    UpdatedFeature,
};

pub(super) fn update(draft: &mut Draft, updates: &[FeatureUpdate], validate_only: bool) -> Vec<UpdatedFeature> {
    let mut results: Vec<UpdatedFeature> = Vec::with_capacity(updates.len());
    let mut level = None;
    for update in updates {
        let result = if results.iter().any(|earlier| earlier.name == update.name) {
            Err(ItemError::new(ErrorCode::InvalidRequest, "the request names this feature more than once"))
        } else {
            check(draft.state(), update)
        };
        level = level.or(result.as_ref().ok().copied().flatten());
        results.push(UpdatedFeature { name: update.name.clone(), result: result.map(|_| ()) });
    }
    let level = level.filter(|level| Some(*level) != draft.state().level());
    if results.iter().any(|updated| updated.result.is_err()) {
        let error = ItemError::new(ErrorCode::FeatureUpdateFailed, "another feature of the request was refused");
        results.iter_mut().filter(|updated| updated.result.is_ok()).for_each(|u| u.result = Err(error.clone()));
    } else if let (Some(level), false) = (level, validate_only)
        && let Err(error) = draft.add(vec![Delta::LevelFinalized { level }])
    {
        results.iter_mut().for_each(|updated| updated.result = Err(error.clone()));
    }
    results
}

/// The metadata level that is asked for, if the update asks for one.
fn check(state: &State, update: &FeatureUpdate) -> Result<Option<MetadataLevel>, ItemError> {
    match update.name.as_str() {
        METADATA_FEATURE => check_level(state, update).map(Some),
        GROUP_FEATURE => check_group(state, update).map(|()| None),
        other => {
            let message =
                format!("there is no feature {other:?}; there is {METADATA_FEATURE}, and {GROUP_FEATURE} with it");
            Err(ItemError::new(ErrorCode::InvalidUpdateVersion, message))
        }
    }
}

/// It is where the metadata level has it, and goes nowhere else.
fn check_group(state: &State, update: &FeatureUpdate) -> Result<(), ItemError> {
    let current = state.level().and_then(MetadataLevel::group_level).unwrap_or(0);
    if u16::try_from(update.level) == Ok(current) {
        return Ok(());
    }
    let message = format!("{GROUP_FEATURE} is at {current}; it changes with {METADATA_FEATURE} alone");
    Err(ItemError::new(ErrorCode::InvalidUpdateVersion, message))
}

fn check_level(state: &State, update: &FeatureUpdate) -> Result<MetadataLevel, ItemError> {
    let invalid = |message: String| Err(ItemError::new(ErrorCode::InvalidUpdateVersion, message));
    let current = state.level().unwrap_or(MetadataLevel::FIRST);
    let Ok(level) = u16::try_from(update.level).map(MetadataLevel) else {
        return invalid(format!("{} is no level of {METADATA_FEATURE}", update.level));
    };
    if level < current {
        let how = match update.change {
            FeatureChange::Upgrade => "the request asks for an upgrade",
            FeatureChange::SafeDowngrade | FeatureChange::UnsafeDowngrade => "it never goes back",
        };
        return invalid(format!("{METADATA_FEATURE} is at {current} and cannot go to {level}: {how}"));
    }
    if level > MetadataLevel::LATEST {
        return invalid(format!("the active controller supports {METADATA_FEATURE} up to {}", MetadataLevel::LATEST));
    }
    if let Some(broker) = state.brokers().find(|broker| !broker.levels.contains(level)) {
        return invalid(format!(
            "broker {} supports {METADATA_FEATURE} {}; upgrade it first",
            broker.id, broker.levels
        ));
    }
    if let Some(controller) = state.controllers().find(|controller| !controller.levels.contains(level)) {
        let (id, levels) = (controller.id, controller.levels);
        return invalid(format!("controller {id} supports {METADATA_FEATURE} {levels}; upgrade it first"));
    }
    if let Some(coordinator) = state.all_coordinators().find(|coordinator| !coordinator.levels.contains(level)) {
        let (kind, name, levels) = (coordinator.kind, &coordinator.name, coordinator.levels);
        return invalid(format!("{kind} coordinator {name:?} supports {METADATA_FEATURE} {levels}; upgrade it first"));
    }
    Ok(level)
}
