//! Finds the logs in a data directory.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{Offset, TopicId, TopicPartition};
use tracing::{info, warn};

use super::data_dir::Taken;
use super::dir_name::DirName;
use super::parallel;
use crate::checkpoint::{MAX_IDENTITY_BYTES, PARTITION_METADATA_FILE, parse_partition_metadata};
use crate::directory::Directory;
use crate::disk::Disk;
use crate::log::LogState;

/// A log of the store.
#[derive(Debug)]
pub(super) struct LogEntry {
    pub(super) topic_id: Option<TopicId>,
    pub(super) directory: Arc<Directory>,
    pub(super) path: PathBuf,
    /// What the checkpoints said when the store was opened.
    pub(super) recovery_point: Offset,
    pub(super) log_start: Option<Offset>,
    pub(super) high_watermark: Option<Offset>,
    pub(super) cleaned_to: Option<Offset>,
    /// Whether it was closed cleanly before this start.
    pub(super) clean: bool,
    pub(super) state: EntryState,
}

/// What is being done with a log.
#[derive(Debug)]
pub(super) enum EntryState {
    /// It lies there.
    Found,
    /// It is being opened, or put out of the way.
    Busy,
    /// It was opened.
    Opened(Arc<LogState>),
}

/// A log that is being put elsewhere: nobody else gets it meanwhile.
#[derive(Debug)]
pub(super) struct Occupied {
    pub(super) directory: Arc<Directory>,
    pub(super) path: PathBuf,
    /// Its state, should nothing become of it.
    pub(super) before: EntryState,
}

/// What lies in a data directory.
pub(super) struct Findings {
    pub(super) logs: Vec<(TopicPartition, LogEntry)>,
    /// Logs that were being moved there.
    pub(super) futures: Vec<(TopicPartition, LogEntry)>,
}

/// Finds the logs in a data directory, and what was left of deleted ones.
pub(super) fn find_logs(taken: &Taken, threads: usize) -> io::Result<Findings> {
    let directory = &taken.directory;
    let disk: &dyn Disk = &**directory.pool.disk();
    let (mut logs, mut futures) = (Vec::new(), Vec::new());
    for entry in disk.list(&directory.path)?.into_iter().filter(|entry| entry.is_dir) {
        let path = directory.path.join(&entry.name);
        match DirName::parse(&entry.name) {
            DirName::Log(partition) => logs.push((partition, path)),
            // Its delay began before the restart; it has waited long enough.
            DirName::Deleted => directory.graveyard.add_dir(i64::MIN, path),
            DirName::Future(partition) => futures.push((partition, path)),
            DirName::SetAside => info!(path = %path.display(), "a log that was set aside is left alone"),
            DirName::Other => {}
        }
    }
    let logs = parallel::map(logs, threads, |(partition, path)| {
        let entry = LogEntry {
            topic_id: read_topic_id(disk, &path),
            directory: Arc::clone(directory),
            path,
            recovery_point: directory.checkpoints.recovery_points.get(&partition).unwrap_or(0),
            log_start: directory.checkpoints.log_starts.get(&partition),
            high_watermark: directory.checkpoints.high_watermarks.get(&partition),
            cleaned_to: directory.checkpoints.cleaned.get(&partition),
            clean: taken.clean.is_some(),
            state: EntryState::Found,
        };
        (partition, entry)
    });
    let futures = parallel::map(futures, threads, |(partition, path)| {
        let topic_id = read_topic_id(disk, &path);
        (partition, LogEntry::unknown(topic_id, Arc::clone(directory), path))
    });
    Ok(Findings { logs, futures })
}

impl LogEntry {
    /// A log of which no checkpoint tells anything.
    pub(super) const fn unknown(topic_id: Option<TopicId>, directory: Arc<Directory>, path: PathBuf) -> Self {
        Self {
            topic_id,
            directory,
            path,
            recovery_point: 0,
            log_start: None,
            high_watermark: None,
            cleaned_to: None,
            clean: false,
            state: EntryState::Found,
        }
    }

    /// Keeps everybody else away from it. What is known of it goes on standing in the checkpoints.
    pub(super) fn occupy(&mut self) -> Occupied {
        if let EntryState::Opened(state) = &self.state {
            // It was open in this process: what was known last is what counts.
            self.recovery_point = state.recovery_point();
            self.log_start = Some(state.log_start_offset());
            self.cleaned_to = Some(state.cleaned_to());
            self.clean = state.closed.load(Ordering::Acquire);
        }
        let before = std::mem::replace(&mut self.state, EntryState::Busy);
        Occupied { directory: Arc::clone(&self.directory), path: self.path.clone(), before }
    }
}

fn read_topic_id(disk: &dyn Disk, dir: &std::path::Path) -> Option<TopicId> {
    let path = dir.join(PARTITION_METADATA_FILE);
    let reason = match disk.read(&path, MAX_IDENTITY_BYTES) {
        Ok(bytes) => match parse_partition_metadata(&String::from_utf8_lossy(&bytes)) {
            Ok(topic_id) => return Some(topic_id),
            Err(reason) => reason,
        },
        Err(error) => error.to_string(),
    };
    warn!(path = %path.display(), %reason, "a log does not say which topic it is of");
    None
}
