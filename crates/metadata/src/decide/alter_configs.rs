//! Changing settings, in full or by increments (KIP-339).

use std::collections::BTreeMap;

use levada_types::ErrorCode;

use super::create_shards::check_policy;
use super::draft::Draft;
use super::elections::clear_eligible;
use super::too_many;
use crate::config::{
    CLEANUP_POLICY, ConfigDef, ConfigKind, MIN_INSYNC_REPLICAS, Resolver, Scope, StaticConfigs, broker_config,
    check_lags, split_list, topic_config, unknown_broker_config, unknown_topic_config,
};
use crate::limits::{MAX_CONFIG_VALUE_BYTES, MAX_CONFIGS_PER_RESOURCE, MAX_RESOURCES_PER_REQUEST};
use crate::state::ConfigOverrides;
use crate::{
    AlterConfigsMode, AlteredConfig, ConfigAlteration, ConfigChange, ConfigResource, ConfigTarget, Defect, Delta,
    ItemError, State,
};

pub(super) fn decide(
    draft: &mut Draft,
    resources: &[ConfigAlteration],
    mode: AlterConfigsMode,
    validate_only: bool,
) -> Vec<AlteredConfig> {
    let refused =
        |alteration: &ConfigAlteration, error| AlteredConfig { target: alteration.target.clone(), result: Err(error) };
    if resources.len() > MAX_RESOURCES_PER_REQUEST {
        let error = too_many("resources", resources.len(), MAX_RESOURCES_PER_REQUEST);
        return resources.iter().map(|alteration| refused(alteration, error.clone())).collect();
    }
    let mut times_named: BTreeMap<&ConfigTarget, u32> = BTreeMap::new();
    for alteration in resources {
        *times_named.entry(&alteration.target).or_default() += 1;
    }
    let mut trial = validate_only.then(|| Draft::new(draft.state()));
    resources
        .iter()
        .map(|alteration| {
            if times_named.get(&alteration.target).is_some_and(|times| *times > 1) {
                let message = "the request names this resource more than once";
                return refused(alteration, ItemError::new(ErrorCode::InvalidRequest, message));
            }
            let target = trial.as_mut().unwrap_or(&mut *draft);
            AlteredConfig { target: alteration.target.clone(), result: alter(target, alteration, mode) }
        })
        .collect()
}

fn alter(draft: &mut Draft, alteration: &ConfigAlteration, mode: AlterConfigsMode) -> Result<(), ItemError> {
    let resource = find(draft.state(), &alteration.target)?;
    let before = draft.state().overrides(resource).map(|o| (**o).clone()).unwrap_or_default();
    let after = changed(draft.state(), resource, &before, alteration, mode)?;
    if after.len() > MAX_CONFIGS_PER_RESOURCE {
        return Err(invalid(format!("a resource bears at most {MAX_CONFIGS_PER_RESOURCE} settings")));
    }
    if let ConfigResource::Topic(id) = resource {
        check_lags(draft.state(), |name| after.get(name).map(String::as_str)).map_err(invalid)?;
        if draft.state().shard_kind(id).is_some() {
            check_policy(after.get(CLEANUP_POLICY).map_or("", String::as_str))?;
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name, None));
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(*value)).map(|(n, v)| (n, Some(v.clone())));
    let deltas: Vec<Delta> =
        gone.chain(set).map(|(name, value)| Delta::ConfigSet { resource, name: name.clone(), value }).collect();
    draft.add(deltas)?;
    let is_other_minimum = before.get(MIN_INSYNC_REPLICAS) != after.get(MIN_INSYNC_REPLICAS);
    if is_other_minimum && !draft.breaks(Defect::EligibleOverNewMinimum) {
        match resource {
            ConfigResource::Topic(id) => clear_eligible(draft, Some(id))?,
            ConfigResource::DefaultBroker => clear_eligible(draft, None)?,
            // The minimum never comes from one broker.
            ConfigResource::Broker(_) => {}
        }
    }
    Ok(())
}

fn find(state: &State, target: &ConfigTarget) -> Result<ConfigResource, ItemError> {
    match target {
        ConfigTarget::Topic(name) => match state.topic_id(name) {
            Some(id) => Ok(ConfigResource::Topic(id)),
            None => Err(ItemError::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name:?}"))),
        },
        ConfigTarget::Broker(id) if state.broker(*id).is_some() => Ok(ConfigResource::Broker(*id)),
        ConfigTarget::Broker(id) => {
            Err(ItemError::new(ErrorCode::BrokerIdNotRegistered, format!("broker {id} is not registered")))
        }
        ConfigTarget::DefaultBroker => Ok(ConfigResource::DefaultBroker),
    }
}

fn changed(
    state: &State,
    resource: ConfigResource,
    before: &ConfigOverrides,
    alteration: &ConfigAlteration,
    mode: AlterConfigsMode,
) -> Result<ConfigOverrides, ItemError> {
    let request = |message: String| ItemError::new(ErrorCode::InvalidRequest, message);
    let mut after = match mode {
        AlterConfigsMode::Incremental => before.clone(),
        AlterConfigsMode::Full => ConfigOverrides::new(),
    };
    for (i, (name, change)) in alteration.changes.iter().enumerate() {
        if alteration.changes[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(request(format!("the request changes {name} more than once")));
        }
        let def = define(resource, name)?;
        let value = match change {
            ConfigChange::Set(value) => value.clone(),
            _ if mode == AlterConfigsMode::Full => {
                return Err(request(format!("a full alteration can only set values, and {name} is not set")));
            }
            ConfigChange::Delete => {
                after.remove(name);
                continue;
            }
            ConfigChange::Append(values) => append(&list_before(state, resource, before, def)?, values),
            ConfigChange::Subtract(values) => subtract(&list_before(state, resource, before, def)?, values),
        };
        if value.len() > MAX_CONFIG_VALUE_BYTES {
            return Err(invalid(format!("the value of {name} is longer than {MAX_CONFIG_VALUE_BYTES} bytes")));
        }
        def.validate(&value).map_err(invalid)?;
        after.insert(name.clone(), value);
    }
    Ok(after)
}

fn define(resource: ConfigResource, name: &str) -> Result<&'static ConfigDef, ItemError> {
    if let ConfigResource::Topic(_) = resource {
        return topic_config(name).ok_or_else(|| invalid(unknown_topic_config(name)));
    }
    let def = broker_config(name).ok_or_else(|| invalid(unknown_broker_config(name)))?;
    if def.scope == Scope::ReadOnly {
        let message =
            format!("{name} cannot be changed while brokers run; set it in their configuration and restart them");
        return Err(ItemError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(def)
}

/// The list that an increment starts from: the resource's own, or else the one that counts.
fn list_before(
    state: &State,
    resource: ConfigResource,
    before: &ConfigOverrides,
    def: &'static ConfigDef,
) -> Result<String, ItemError> {
    if def.kind != ConfigKind::List {
        return Err(invalid(format!(
            "{} is not a list, so nothing can be appended to it or subtracted from it",
            def.name
        )));
    }
    if let Some(own) = before.get(def.name) {
        return Ok(own.clone());
    }
    let nothing_static = StaticConfigs::default();
    let effective = match resource {
        ConfigResource::Topic(id) => Resolver::new(state, None, &nothing_static).topic_config(id, def),
        ConfigResource::Broker(id) => Resolver::new(state, Some(id), &nothing_static).broker_config(def),
        ConfigResource::DefaultBroker => Resolver::new(state, None, &nothing_static).broker_config(def),
    };
    Ok(effective.value.unwrap_or_default())
}

fn append(before: &str, values: &str) -> String {
    let mut elements: Vec<&str> = split_list(before).collect();
    for value in split_list(values) {
        if !elements.contains(&value) {
            elements.push(value);
        }
    }
    elements.join(",")
}

fn subtract(before: &str, values: &str) -> String {
    let gone: Vec<&str> = split_list(values).collect();
    split_list(before).filter(|element| !gone.contains(element)).collect::<Vec<_>>().join(",")
}

fn invalid(message: String) -> ItemError {
    ItemError::new(ErrorCode::InvalidConfig, message)
}
