//! A data directory of Levada, whose logs take what is imported.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use levada_log::format::parse_meta_properties;
use levada_log::{DEFAULT_MAX_OPEN_FILES, LogConfig, LogStore, LogWriter, OpenLog, RealDisk, StoreOptions};
use levada_types::{Offset, TimestampMs, TopicIdPartition, TopicPartition};

use super::source::SourcePartition;
use crate::CliError;
use crate::log_dump::read_text;

/// Whose data directory it is.
const IDENTITY_FILE: &str = "meta.properties";

/// A data directory of a Levada that is stopped.
pub(super) struct Target {
    store: LogStore,
    /// Goes into the next mark of a clean shutdown as it was.
    broker_epoch: i64,
    path: String,
}

impl Target {
    /// Takes the directory.
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        let shown = path.display().to_string();
        let Some(text) = read_text(&path.join(IDENTITY_FILE))? else {
            let logs = path.join("logs");
            let has_one = logs.join(IDENTITY_FILE).is_file();
            let hint = if has_one { format!("{} is one", logs.display()) } else { "start Levada once".to_owned() };
            return Err(CliError::Failed(format!("{shown} is no data directory of Levada: {hint}")));
        };
        let identity = parse_meta_properties(&text).map_err(failed(format!("{shown}: {IDENTITY_FILE}")))?;
        let (Some(node_id), Some(directory_id)) = (identity.node_id, identity.directory_id) else {
            return Err(CliError::Failed(format!("{shown}: {IDENTITY_FILE} names no node.id or no directory.id")));
        };
        let options = StoreOptions {
            directories: vec![path.to_owned()],
            cluster_id: identity.cluster_id,
            node_id,
            recovery_threads: 1,
            max_open_files: DEFAULT_MAX_OPEN_FILES,
        };
        let store = LogStore::open(options, Arc::new(RealDisk), &mut || directory_id).map_err(failed(&shown))?;
        let broker_epoch = store.clean_shutdown_epoch().unwrap_or(-1);
        Ok(Self { store, broker_epoch, path: shown })
    }

    /// Opens the log of each partition, in the same order. All must be there and empty.
    pub(super) fn logs_of(&self, wanted: &[SourcePartition], now_ms: TimestampMs) -> Result<Vec<LogWriter>, CliError> {
        let found: HashMap<_, _> =
            self.store.partitions().into_iter().map(|found| (found.partition, found.topic_id)).collect();
        let missing: Vec<&TopicPartition> =
            wanted.iter().map(|partition| &partition.name).filter(|name| !found.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(self.missing(&missing, |partition| found.contains_key(partition)));
        }
        let open = |name: &TopicPartition| {
            let Some(topic_id) = found.get(name).copied().flatten() else {
                return Err(CliError::Failed(format!("{}/{name} does not say which topic it is of", self.path)));
            };
            let request = OpenLog {
                partition: TopicIdPartition { topic_id, partition: name.partition },
                topic: name.topic.clone(),
                config: LogConfig::default(),
                directory: None,
            };
            let opened = self.store.open_log(request, now_ms).map_err(failed(name))?;
            match opened.writer.log_end_offset() {
                0 => Ok(opened.writer),
                end => Err(CliError::Failed(format!(
                    "{name} has records up to offset {end} already: delete the topic and create it again, or leave it out"
                ))),
            }
        };
        wanted.iter().map(|partition| open(&partition.name)).collect()
    }

    /// Says what to do about partitions that Levada does not have.
    fn missing(&self, missing: &[&TopicPartition], has: impl Fn(&TopicPartition) -> bool) -> CliError {
        let mut partitions: Vec<(&TopicPartition, i32)> = Vec::new();
        for &name in missing {
            let count = name.partition.saturating_add(1);
            match partitions.last_mut().filter(|(first, _)| first.topic == name.topic) {
                Some((_, total)) => *total = count.max(*total),
                None => partitions.push((name, count)),
            }
        }
        let commands: Vec<String> = partitions
            .into_iter()
            .map(|(first, count)| {
                let topic = &first.topic;
                match has(&TopicPartition { topic: topic.clone(), partition: 0 }) {
                    true => format!("levada topic add-partitions {topic} --total {count}"),
                    false => format!("levada topic create {topic} --partitions {count}"),
                }
            })
            .collect();
        CliError::Failed(format!(
            "{} lacks {} of the partitions; start Levada, run `{}`, stop it, and import again",
            self.path,
            missing.len(),
            commands.join(" && ")
        ))
    }

    /// Closes the logs and the directory, so that Levada opens them as they are.
    pub(super) fn close(self, logs: Vec<LogWriter>, now_ms: TimestampMs) -> Result<(), CliError> {
        let mut high_watermarks: HashMap<TopicPartition, Offset> = HashMap::new();
        for log in logs {
            let name = log.topic_partition().clone();
            let end = log.log_end_offset();
            log.close(now_ms).map_err(failed(&name))?;
            high_watermarks.insert(name, end);
        }
        self.store.close(&high_watermarks, self.broker_epoch).map_err(failed(self.path))
    }
}

/// Says what an error is about.
pub(super) fn failed<E: Display>(what: impl Display) -> impl FnOnce(E) -> CliError {
    move |error| CliError::Failed(format!("{what}: {error}"))
}
