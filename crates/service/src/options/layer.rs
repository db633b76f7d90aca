//! One source of options as a flat table from dotted name to value.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// One source of options, flat: the keys are whole dotted names, so that merging two sources never takes
/// `broker.id` and `broker.id.generation.enable` for a value and a table under one key.
pub(super) struct Layer {
    origin: String,
    values: Dict,
}

impl Layer {
    /// A source whose values are texts. What type a text is of is decided by the option that reads it.
    pub(super) fn of_texts(origin: &str, values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values.into_iter().map(|(name, text)| (name, Value::from(text))).collect();
        Self { origin: origin.to_owned(), values }
    }

    /// A source of nested tables: `[log] dirs = …` gives `log.dirs`.
    pub(super) fn of_tables(origin: &str, tables: Dict) -> Self {
        let mut values = BTreeMap::new();
        flatten("", tables, &mut values);
        Self { origin: origin.to_owned(), values }
    }

    /// Where its values were given, for messages.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The names in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The part of it whose names `wanted` says yes to.
    pub(super) fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let values = self.values.iter().filter(|(name, _)| wanted(name));
        Self {
            origin: self.origin.clone(),
            values: values.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

fn flatten(prefix: &str, tables: Dict, into: &mut Dict) {
    for (key, value) in tables {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Dict(_, inner) => flatten(&name, inner, into),
            scalar => {
                into.insert(name, scalar);
            }
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
