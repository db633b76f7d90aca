//! How a node is to be started.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::SmallVolume;

/// How a node is to be started; the default is a data directory of its own and nothing set.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// Where the data lives. `None`: a temporary directory that is removed with the node.
    pub data_dir: Option<PathBuf>,
    /// Options as `--set KEY=VALUE` takes them.
    pub settings: Vec<(String, String)>,
    /// Where the process runs: it sees this volume, which others do not. `data_dir` may lie on it.
    pub volume: Option<Arc<SmallVolume>>,
}

impl NodeOptions {
    /// Adds `--set key=value`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The command that runs `binary` where it belongs.
    pub(crate) fn command(&self, binary: &Path) -> Command {
        self.volume.as_ref().map_or_else(|| Command::new(binary), |volume| volume.command(binary))
    }
}
