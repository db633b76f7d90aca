//! What can be set on a broker, under Kafka's names.

mod coordinators;
mod log;
mod server;

use std::sync::LazyLock;

use super::{Check, ConfigDef};

/// Every setting of a broker, ordered by name.
pub static BROKER_CONFIGS: LazyLock<Vec<&'static ConfigDef>> = LazyLock::new(|| {
    let mut all: Vec<&ConfigDef> = log::CONFIGS.iter().chain(server::CONFIGS).chain(coordinators::CONFIGS).collect();
    all.sort_by_key(|def| def.name);
    all
});

/// The setting of a broker with this name.
#[must_use]
pub fn broker_config(name: &str) -> Option<&'static ConfigDef> {
    BROKER_CONFIGS.binary_search_by_key(&name, |def| def.name).ok().map(|i| BROKER_CONFIGS[i])
}
