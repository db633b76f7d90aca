//! The settings that a process was started with.

use std::collections::BTreeMap;

use thiserror::Error;

use super::broker_config;

/// A setting in the process's own configuration is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StaticConfigError {
    /// No broker setting has this name.
    #[error("{0} is not a broker setting; see the list that `levada config get --broker` prints")]
    Unknown(String),
    /// The setting does not take this value.
    #[error("{reason}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// What it takes instead.
        reason: String,
    },
}

impl StaticConfigError {
    /// The setting that is wrong.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            Self::Invalid { name, .. } => name,
        }
    }
}

/// Broker settings as the process was given them (configuration file, environment, command line), checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaticConfigs {
    values: BTreeMap<&'static str, String>,
}

impl StaticConfigs {
    /// Checks `values` against the table of broker settings.
    ///
    /// # Errors
    /// [`StaticConfigError`] names the first setting that is wrong.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Result<Self, StaticConfigError> {
        let checked = values.into_iter().map(|(name, value)| {
            let def = broker_config(&name).ok_or(StaticConfigError::Unknown(name))?;
            def.validate(&value).map_err(|reason| StaticConfigError::Invalid { name: def.name, reason })?;
            Ok((def.name, value))
        });
        Ok(Self { values: checked.collect::<Result<_, _>>()? })
    }

    /// The value of this setting, if the process was given one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}
