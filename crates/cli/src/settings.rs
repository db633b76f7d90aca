//! Settings as they are typed, `name=value`, and as they are shown.

use std::str::FromStr;

use levada_client::{ConfigEntry, ConfigSource};
use serde::Serialize;

use crate::output::table;

/// `name=value` on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err(format!("{text:?} is not NAME=VALUE")),
        }
    }
}

/// A setting as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct SettingView {
    pub(crate) name: String,
    /// `None` for a secret and where there is no value.
    pub(crate) value: Option<String>,
    pub(crate) source: &'static str,
    read_only: bool,
    sensitive: bool,
    documentation: String,
}

impl SettingView {
    pub(crate) fn new(entry: ConfigEntry) -> Self {
        Self {
            source: source_name(entry.source),
            name: entry.name,
            value: entry.value,
            read_only: entry.read_only,
            sensitive: entry.sensitive,
            documentation: entry.documentation,
        }
    }

    /// Whether somebody set it.
    pub(crate) fn is_set(&self) -> bool {
        self.source != source_name(ConfigSource::Default)
    }

    fn shown_value(&self) -> String {
        match &self.value {
            Some(value) => value.clone(),
            None if self.sensitive => "(secret)".to_owned(),
            None => "(none)".to_owned(),
        }
    }
}

/// Where a value comes from, in a word or two.
const fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
        ConfigSource::AllBrokers => "all brokers",
        ConfigSource::Static => "static",
        ConfigSource::Default => "default",
        ConfigSource::Unknown => "unknown",
    }
}

/// A table of settings.
pub(crate) fn settings_table(settings: &[SettingView]) -> String {
    let rows = settings.iter().map(|setting| [setting.name.clone(), setting.shown_value(), setting.source.to_owned()]);
    table(&["SETTING", "VALUE", "SOURCE"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_split_at_the_first_equals_sign() {
        let assignment = |text: &str| text.parse::<Assignment>().map(|a| (a.name, a.value));
        assert_eq!(assignment("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(assignment("a="), Ok(("a".to_owned(), String::new())));
        assert!(assignment("a").is_err());
        assert!(assignment("=b").is_err());
    }
}
