//! A decision in the making: the deltas so far, and the state as they leave it.

use std::sync::Arc;

use levada_types::{BrokerEpoch, BrokerId, ErrorCode, PartitionIndex, TopicId};

use crate::{ApplyError, BrokerRegistration, Defect, Delta, ItemError, MetadataLevel, Partition, Rules, State};

/// Deltas and the state that they make, so that the second item of a command sees what the first one did.
pub(super) struct Draft {
    state: State,
    deltas: Vec<Delta>,
    rules: Rules,
}

impl Draft {
    pub(super) fn new(state: &State) -> Self {
        Self { state: state.clone(), deltas: Vec::new(), rules: Rules::default() }
    }

    /// Decides by these rules.
    pub(super) fn by(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    pub(super) fn breaks(&self, defect: Defect) -> bool {
        self.rules.breaks(defect)
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Adds the deltas of one item, all of them or, should one not fit the state or the cluster's metadata level, none.
    pub(super) fn add(&mut self, deltas: Vec<Delta>) -> Result<(), ItemError> {
        let level = self.state.level().unwrap_or(MetadataLevel::FIRST);
        if let Some(needed) = deltas.iter().map(Delta::level).max().filter(|needed| *needed > level) {
            return Err(ItemError::new(
                ErrorCode::UnsupportedVersion,
                format!("this needs metadata level {needed}, and the cluster is at {level}; raise its level first"),
            ));
        }
        if let [delta] = deltas.as_slice() {
            // A delta that does not fit leaves the state as it is, so there is no need of a copy.
            self.state.apply(delta).map_err(misfit)?;
            self.deltas.extend(deltas);
            return Ok(());
        }
        let mut state = self.state.clone();
        for delta in &deltas {
            state.apply(delta).map_err(misfit)?;
        }
        self.state = state;
        self.deltas.extend(deltas);
        Ok(())
    }

    pub(super) fn into_deltas(self) -> Vec<Delta> {
        self.deltas
    }

    /// The partition, which must be there.
    pub(super) fn partition(&self, topic: TopicId, index: PartitionIndex) -> Result<&Arc<Partition>, ItemError> {
        let found = self.state.topic(topic).ok_or_else(|| {
            ItemError::new(ErrorCode::UnknownTopicId, format!("there is no topic with the id {topic}"))
        })?;
        found.partition(index).ok_or_else(|| {
            let message = format!("topic {} has no partition {index}", found.name());
            ItemError::new(ErrorCode::UnknownTopicOrPartition, message)
        })
    }

    /// The broker's registration, if it is the current one.
    pub(super) fn registration(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<&BrokerRegistration, ItemError> {
        let known = self.state.broker(id).ok_or_else(|| {
            ItemError::new(ErrorCode::BrokerIdNotRegistered, format!("broker {id} is not registered"))
        })?;
        if known.epoch != epoch {
            return Err(ItemError::new(
                ErrorCode::StaleBrokerEpoch,
                format!("broker {id} is registered with epoch {}, not {epoch}; register again", known.epoch),
            ));
        }
        Ok(known)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn misfit(error: ApplyError) -> ItemError {
    ItemError::new(ErrorCode::UnknownServerError, error.to_string())
}
