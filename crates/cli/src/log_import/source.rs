//! A data directory of Kafka, from which is only read.

use std::any::Any;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use levada_log::format::{FileKind, parse_offset_checkpoint};
use levada_log::{Disk, RealDisk};
use levada_types::{Offset, TopicName, TopicPartition};

use crate::CliError;
use crate::log_dump::{read_text, segments};

/// The file that a broker holds a lock on while it runs.
const LOCK_FILE: &str = ".lock";

/// The mark of a clean shutdown.
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// Where the log start offsets are noted that do not stand at a segment's start.
const LOG_STARTS: &str = "log-start-offset-checkpoint";

/// What the names of Kafka's own topics begin with: offsets of groups, transactions, metadata.
const INTERNAL: &str = "__";

/// A data directory that nobody uses.
pub(super) struct Source {
    pub(super) partitions: Vec<SourcePartition>,
    /// Kafka's own topics that were left out.
    pub(super) internal: Vec<TopicPartition>,
    /// Keeps Kafka from starting meanwhile.
    _lock: Option<Box<dyn Any + Send + Sync>>,
}

/// The log of one partition.
pub(super) struct SourcePartition {
    pub(super) name: TopicPartition,
    /// The files of batches by base offset.
    pub(super) segments: Vec<(Offset, PathBuf)>,
    /// The first offset that a consumer may see.
    pub(super) start: Offset,
    /// Whether the broker had closed it; if not, the last segment may end in a batch that is not whole.
    pub(super) clean: bool,
}

impl Source {
    /// Takes the directory and finds the logs of `topics`, or all but internal ones.
    pub(super) fn open(path: &Path, topics: &[TopicName]) -> Result<Self, CliError> {
        if !path.is_dir() {
            return Err(CliError::Usage(format!("{} is no directory", path.display())));
        }
        let lock = lock(path)?;
        let clean = path.join(CLEAN_SHUTDOWN).is_file();
        let starts = match read_text(&path.join(LOG_STARTS))? {
            Some(text) => parse_offset_checkpoint(&text)
                .map_err(|reason| CliError::Failed(format!("{}: {reason}", path.join(LOG_STARTS).display())))?,
            None => Vec::new(),
        };
        let mut source = Self { partitions: Vec::new(), internal: Vec::new(), _lock: lock };
        for (name, path) in logs(path)? {
            if topics.is_empty() && name.topic.as_str().starts_with(INTERNAL) {
                source.internal.push(name);
            } else if topics.is_empty() || topics.contains(&name.topic) {
                let noted = starts.iter().find(|(partition, _)| *partition == name).map_or(0, |(_, start)| *start);
                source.partitions.extend(SourcePartition::find(name, &path, noted, clean)?);
            }
        }
        if let Some(topic) = topics.iter().find(|topic| !source.partitions.iter().any(|p| p.name.topic == **topic)) {
            return Err(CliError::Failed(format!("{} has no log of topic {topic}", path.display())));
        }
        if source.partitions.is_empty() {
            return Err(CliError::Failed(format!("{} has no log of a topic: is it a data directory?", path.display())));
        }
        Ok(source)
    }
}

impl SourcePartition {
    /// The log in a directory; `None` if there is no segment in it.
    fn find(name: TopicPartition, path: &Path, noted: Offset, clean: bool) -> Result<Option<Self>, CliError> {
        let mut logs = Vec::new();
        for (base_offset, files) in segments(path)? {
            logs.extend(
                files.into_iter().filter(|(kind, _)| *kind == FileKind::Log).map(|(_, path)| (base_offset, path)),
            );
        }
        Ok(logs.first().map(|(first, _)| noted.max(*first)).map(|start| Self { name, segments: logs, start, clean }))
    }

    /// The files that may hold records from the start on, each with whether it is the last.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, bool)> {
        let next = self.segments.iter().skip(1).map(|(base_offset, _)| Some(*base_offset)).chain([None]);
        let wanted = self.segments.iter().zip(next).filter(|(_, next)| next.is_none_or(|next| next > self.start));
        wanted.map(|((_, path), next)| (path.as_path(), next.is_none()))
    }

    /// Where the log cannot end before: the start, or where its last segment begins.
    pub(super) fn least_end(&self) -> Offset {
        self.segments.last().map_or(self.start, |(base_offset, _)| self.start.max(*base_offset))
    }
}

/// Locks the directory if a broker would.
fn lock(path: &Path) -> Result<Option<Box<dyn Any + Send + Sync>>, CliError> {
    let file = path.join(LOCK_FILE);
    if !file.is_file() {
        return Ok(None);
    }
    match RealDisk.lock(&file) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(CliError::Failed(format!("{} is in use: stop its broker first", path.display())))
        }
        // A snapshot that nobody can write to.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(error) => Err(CliError::io(file.display().to_string())(error)),
    }
}

/// The directories of partitions, by name. Those of deleted and stray logs have other names.
fn logs(path: &Path) -> Result<Vec<(TopicPartition, PathBuf)>, CliError> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(path).map_err(CliError::io(path.display().to_string()))? {
        let path = entry.map_err(CliError::io(path.display().to_string()))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(partition_of)
            && path.is_dir()
        {
            logs.push((name, path));
        }
    }
    logs.sort();
    Ok(logs)
}

fn partition_of(name: &str) -> Option<TopicPartition> {
    let (topic, partition) = name.rsplit_once('-')?;
    let partition = partition.parse().ok().filter(|_| partition.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(TopicPartition { topic: TopicName::new(topic).ok()?, partition })
}
