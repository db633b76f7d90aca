//! How a node is to be started.

use std::path::PathBuf;

/// How a node is to be started; the default is a data directory of its own and nothing set.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Where the data lives. `None`: a temporary directory that is removed with the node.
    pub data_dir: Option<PathBuf>,
    /// Options as `--set KEY=VALUE` takes them.
    pub settings: Vec<(String, String)>,
}

impl NodeOptions {
    /// Adds `--set key=value`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }
}
