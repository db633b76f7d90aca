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
