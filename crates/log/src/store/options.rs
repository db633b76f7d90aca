//! What a store is opened with and what it tells of itself.

use std::path::PathBuf;

use levada_types::{BrokerId, ClusterId, DirectoryId, TopicId, TopicIdPartition, TopicName, TopicPartition};

use crate::{DirectoryState, LogConfig, LogReader, LogWriter};

/// Files kept open over all logs, unless an option says otherwise. Well below the 1,024 descriptors that a process
/// commonly gets, and enough for the files of a few hundred busy partitions.
pub const DEFAULT_MAX_OPEN_FILES: usize = 768;

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data directories (`log.dirs`).
    pub directories: Vec<PathBuf>,
    /// Whose cluster; `None` if it is not known yet. See [`crate::LogStore::set_cluster_id`].
    pub cluster_id: Option<ClusterId>,
    /// Which node.
    pub node_id: BrokerId,
    /// Threads per data directory that open and recover logs (`num.recovery.threads.per.data.dir`).
    pub recovery_threads: usize,
    /// Files kept open over all logs.
    pub max_open_files: usize,
}

/// A data directory.
#[derive(Debug, Clone)]
pub struct DirectoryInfo {
    /// Its identity; `None` if it could not even be read.
    pub id: Option<DirectoryId>,
    /// Where it is.
    pub path: PathBuf,
    /// In what state it is.
    pub state: DirectoryState,
    /// Bytes of its volume; -1 if unknown.
    pub total_bytes: i64,
    /// Bytes still free; -1 if unknown.
    pub usable_bytes: i64,
    /// Whether it was closed cleanly before this start.
    pub was_clean: bool,
    /// Logs in it, open or only found.
    pub logs: usize,
}

/// A log that lies in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPartition {
    /// The partition by name.
    pub partition: TopicPartition,
    /// The topic's id; `None` if the directory does not say.
    pub topic_id: Option<TopicId>,
    /// Where it lies.
    pub directory: DirectoryId,
    /// Whether somebody has opened it.
    pub is_open: bool,
}

/// Which log to open or create, and how.
#[derive(Debug, Clone)]
pub struct OpenLog {
    /// The partition by its topic's id.
    pub partition: TopicIdPartition,
    /// The topic's name.
    pub topic: TopicName,
    /// The log's settings.
    pub config: LogConfig,
    /// Where to create it; `None` for the online directory with the fewest logs. A log that exists stays where it is.
    pub directory: Option<DirectoryId>,
}

/// A log that was opened.
#[derive(Debug)]
pub struct OpenedLog {
    /// Its one writer.
    pub writer: LogWriter,
    /// A reader to clone.
    pub reader: LogReader,
    /// Where it lies.
    pub directory: DirectoryId,
    /// Whether it was created just now.
    pub created: bool,
}
