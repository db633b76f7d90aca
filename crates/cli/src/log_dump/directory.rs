//! The files at the root of a data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use levada_log::format::{parse_clean_shutdown, parse_meta_properties, parse_offset_checkpoint};
use serde::Serialize;

use super::partition::is_partition;
use crate::CliError;

/// The checkpoints of offsets, by file name.
const OFFSET_CHECKPOINTS: [&str; 3] =
    ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint"];

/// The file that says whose directory it is.
const IDENTITY_FILE: &str = "meta.properties";

/// What Kafka calls the mark of a clean shutdown.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// The root of a data directory.
#[derive(Debug, Serialize)]
pub(super) struct DirectoryDump {
    path: String,
    cluster_id: Option<String>,
    node_id: Option<i32>,
    directory_id: Option<String>,
    /// Whether the broker that used it last stopped cleanly. Never true while one runs.
    clean_shutdown: bool,
    /// The broker epoch in the mark of the clean shutdown.
    clean_shutdown_epoch: Option<i64>,
    pub(super) checkpoints: Vec<CheckpointDump>,
    pub(super) problems: Vec<String>,
}

/// One checkpoint file.
#[derive(Debug, Serialize)]
pub(super) struct CheckpointDump {
    pub(super) file: &'static str,
    pub(super) offsets: Vec<CheckpointedOffset>,
}

/// One line of a checkpoint.
#[derive(Debug, Serialize)]
pub(super) struct CheckpointedOffset {
    pub(super) partition: String,
    pub(super) offset: i64,
}

impl DirectoryDump {
    /// Reads the root, and finds the directories of partitions.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<PathBuf>), CliError> {
        let mut dump = Self {
            path: path.display().to_string(),
            cluster_id: None,
            node_id: None,
            directory_id: None,
            clean_shutdown: false,
            clean_shutdown_epoch: None,
            checkpoints: Vec::new(),
            problems: Vec::new(),
        };
        dump.read_identity(path)?;
        if let Some(mark) = read_text(&path.join(CLEAN_SHUTDOWN))? {
            dump.clean_shutdown = true;
            dump.clean_shutdown_epoch = Some(parse_clean_shutdown(&mark)).filter(|&epoch| epoch >= 0);
        }
        for file in OFFSET_CHECKPOINTS {
            let Some(text) = read_text(&path.join(file))? else { continue };
            match parse_offset_checkpoint(&text) {
                Ok(offsets) => {
                    let offsets = offsets
                        .into_iter()
                        .map(|(partition, offset)| CheckpointedOffset { partition: partition.to_string(), offset });
                    dump.checkpoints.push(CheckpointDump { file, offsets: offsets.collect() });
                }
                Err(reason) => dump.problems.push(format!("{file}: {reason}")),
            }
        }
        let paths = partition_paths(path)?;
        Ok((dump, paths))
    }

    fn read_identity(&mut self, path: &Path) -> Result<(), CliError> {
        match read_text(&path.join(IDENTITY_FILE))?.as_deref().map(parse_meta_properties) {
            Some(Ok(identity)) => {
                self.cluster_id = identity.cluster_id.map(|id| id.to_string());
                self.node_id = identity.node_id.map(|id| id.0);
                self.directory_id = identity.directory_id.map(|id| id.to_string());
            }
            Some(Err(reason)) => self.problems.push(format!("{IDENTITY_FILE}: {reason}")),
            None => {
                // What `levada dev` is given holds the logs beside the controller's state.
                let logs = path.join("logs");
                let has_one = logs.join(IDENTITY_FILE).is_file();
                let hint = if has_one { format!("; {} has one", logs.display()) } else { String::new() };
                self.problems.push(format!("{IDENTITY_FILE} is missing: this is no data directory{hint}"));
            }
        }
        Ok(())
    }

    pub(super) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// One line about whose directory it is.
    pub(super) fn headline(&self) -> String {
        let known = |id: Option<String>| id.unwrap_or_else(|| "unknown".to_owned());
        let shutdown = match (self.clean_shutdown, self.clean_shutdown_epoch) {
            (true, Some(epoch)) => format!("stopped cleanly at broker epoch {epoch}"),
            (true, None) => "stopped cleanly".to_owned(),
            (false, _) => "in use, or not stopped cleanly".to_owned(),
        };
        format!(
            "{}: cluster {}, node {}, directory {}, {shutdown}",
            self.path,
            known(self.cluster_id.clone()),
            known(self.node_id.map(|id| id.to_string())),
            known(self.directory_id.clone())
        )
    }
}

/// The directories of partitions in `path`, by name.
fn partition_paths(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = || CliError::io(path.display().to_string());
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(failed())? {
        let entry = entry.map_err(failed())?.path();
        if entry.is_dir() && is_partition(&entry)? {
            paths.push(entry);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The file's text, `None` if there is no such file.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, CliError> {
    match fs::read(path) {
        // Bytes that are no text make a line that does not parse, which is then told.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::io(path.display().to_string())(error)),
    }
}
