//! Opening and creating logs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{DirectoryId, Offset, TopicId, TopicIdPartition, TopicPartition};
use tracing::warn;

use super::discovery::{EntryState, LogEntry, Occupied};
use super::{LogStore, OpenLog, OpenedLog, parallel};
use crate::checkpoint::{PARTITION_METADATA_FILE, partition_metadata_text};
use crate::directory::{Directory, DirectoryState};
use crate::disk::{OpenFile, OpenMode};
use crate::log::LogDir;
use crate::recovery::{OpenExisting, open_existing};
use crate::{OpenError, RecoveryProgress};

/// A log that was set aside for whoever opens it.
pub(super) struct Reserved {
    pub(super) path: std::path::PathBuf,
    pub(super) directory: Arc<Directory>,
    pub(super) recovery_point: Offset,
    pub(super) log_start: Option<Offset>,
    pub(super) cleaned_to: Option<Offset>,
    pub(super) clean: bool,
    /// Whether everything was synced after it was closed.
    pub(super) durable: bool,
    /// Whether there is no directory of it yet.
    pub(super) is_new: bool,
    /// Whether the directory lacks the topic's id.
    pub(super) lacks_id: bool,
}

/// Gives a log back that was set aside and not opened, whatever the reason.
struct Reservation<'a> {
    store: &'a LogStore,
    partition: &'a TopicPartition,
    reserved: &'a Reserved,
    is_given_back: bool,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_given_back {
            return;
        }
        let mut logs = self.store.logs.lock();
        if self.reserved.is_new {
            logs.remove(self.partition);
            self.reserved.directory.logs.fetch_sub(1, Ordering::Relaxed);
        } else if let Some(entry) = logs.get_mut(self.partition) {
            // What is known of it is what was known before; the next attempt recovers it.
            entry.state = EntryState::Found;
            entry.clean = false;
        }
    }
}

impl LogStore {
    /// Opens these logs, in parallel, and creates those that do not exist; recovers those that were not closed cleanly.
    /// The results are in the order of the requests.
    pub fn open_logs(
        &self,
        requests: Vec<OpenLog>,
        now_ms: i64,
        progress: &RecoveryProgress,
    ) -> Vec<(TopicIdPartition, Result<OpenedLog, OpenError>)> {
        progress.add_logs(requests.len() as u64);
        let threads = self.recovery_threads * self.dirs.len();
        parallel::map(requests, threads, |request| {
            let partition = request.partition;
            let opened = self.open_one(request, now_ms, progress);
            progress.log_done();
            (partition, opened)
        })
    }

    /// Opens one log, or creates it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_log(&self, request: OpenLog, now_ms: i64) -> Result<OpenedLog, OpenError> {
        self.open_one(request, now_ms, &RecoveryProgress::default())
    }

    fn open_one(&self, request: OpenLog, now_ms: i64, progress: &RecoveryProgress) -> Result<OpenedLog, OpenError> {
        let OpenLog { partition: TopicIdPartition { topic_id, partition }, topic, config, directory } = request;
        let partition = TopicPartition { topic, partition };
        let reserved = self.reserve(&partition, topic_id, directory, now_ms)?;
        let mut reservation =
            Reservation { store: self, partition: &partition, reserved: &reserved, is_given_back: true };
        let opened = self.open_reserved(&partition, topic_id, &reserved, config, now_ms, progress);
        let writer = opened.map_err(|error| judged(&reserved.directory, error))?;
        if let Some(entry) = self.logs.lock().get_mut(&partition) {
            entry.state = EntryState::Opened(Arc::clone(writer.state()));
            entry.topic_id = Some(topic_id);
        }
        reservation.is_given_back = false;
        let reader = writer.reader();
        Ok(OpenedLog { writer, reader, directory: reserved.directory.id, created: reserved.is_new })
    }

    /// Sets the log aside for the caller.
    fn reserve(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        wanted: Option<DirectoryId>,
        now_ms: i64,
    ) -> Result<Reserved, OpenError> {
        let mut logs = self.logs.lock();
        self.settle_doubles(&mut logs, partition, topic_id, wanted, now_ms)?;
        if let Some(entry) = logs.get_mut(partition) {
            return reserve_existing(partition, entry, topic_id);
        }
        let directory = self.choose(wanted, now_ms)?;
        let path = directory.path.join(partition.to_string());
        directory.logs.fetch_add(1, Ordering::Relaxed);
        let entry = LogEntry::unknown(Some(topic_id), Arc::clone(&directory), path.clone());
        logs.insert(partition.clone(), LogEntry { state: EntryState::Busy, ..entry });
        Ok(Reserved {
            path,
            directory,
            recovery_point: 0,
            log_start: None,
            cleaned_to: None,
            clean: false,
            durable: false,
            is_new: true,
            lacks_id: true,
        })
    }

    /// Where to create a log: the directory asked for, or the one in use with the fewest logs.
    pub(super) fn choose(&self, wanted: Option<DirectoryId>, now_ms: i64) -> Result<Arc<Directory>, OpenError> {
        let mut directories = self.taken().map(|taken| &taken.directory);
        if let Some(id) = wanted.filter(|&id| id != DirectoryId::UNASSIGNED) {
            let directory = directories.find(|directory| directory.id == id).ok_or(OpenError::UnknownDirectory(id))?;
            directory.check_writable(now_ms)?;
            return Ok(Arc::clone(directory));
        }
        directories
            .filter(|directory| directory.check_writable(now_ms).is_ok())
            .min_by_key(|directory| directory.logs.load(Ordering::Relaxed))
            .map(Arc::clone)
            .ok_or(OpenError::NoDirectory)
    }

    pub(super) fn open_reserved(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        reserved: &Reserved,
        config: crate::LogConfig,
        now_ms: i64,
        progress: &RecoveryProgress,
    ) -> Result<crate::LogWriter, OpenError> {
        if reserved.directory.state() == DirectoryState::Offline {
            return Err(OpenError::DirectoryOffline);
        }
        if reserved.is_new {
            let forgotten = reserved.directory.forget(partition);
            forgotten.map_err(|error| io_error(&reserved.path, error))?;
            self.disk().create_dir_all(&reserved.path).map_err(|error| io_error(&reserved.path, error))?;
        }
        if reserved.lacks_id {
            self.write_topic_id(&reserved.path, topic_id)?;
        }
        let dir = Arc::new(LogDir {
            partition: partition.clone(),
            topic_id,
            path: reserved.path.clone(),
            directory: Arc::clone(&reserved.directory),
        });
        open_existing(OpenExisting {
            dir,
            config,
            recovery_point: reserved.recovery_point,
            log_start: reserved.log_start,
            cleaned_to: reserved.cleaned_to,
            clean: reserved.clean,
            durable: reserved.durable,
            now_ms,
            progress,
        })
    }

    /// Says which topic the log is of. Not synced: the first append does that.
    fn write_topic_id(&self, dir: &Path, topic_id: TopicId) -> Result<(), OpenError> {
        let path = dir.join(PARTITION_METADATA_FILE);
        let write = || {
            let file = OpenFile::new(self.disk().open(&path, OpenMode::Create)?);
            file.set_len(0)?;
            file.write_all_at(partition_metadata_text(topic_id).as_bytes(), 0)
        };
        write().map_err(|error| io_error(&path, error))
    }
}

fn reserve_existing(
    partition: &TopicPartition,
    entry: &mut LogEntry,
    topic_id: TopicId,
) -> Result<Reserved, OpenError> {
    if entry.is_open() {
        return Err(OpenError::AlreadyOpen(partition.to_string()));
    }
    match entry.topic_id {
        Some(found) if found != topic_id => {
            let partition = partition.to_string();
            return Err(OpenError::InconsistentTopicId { partition, found, expected: topic_id });
        }
        Some(_) => {}
        None => warn!(%partition, %topic_id, "a log that did not say which topic it is of is taken for this one's"),
    }
    let durable = entry.clean && matches!(entry.state, EntryState::Found);
    let Occupied { path, directory, .. } = entry.occupy();
    Ok(Reserved {
        path,
        directory,
        recovery_point: entry.recovery_point,
        log_start: entry.log_start,
        cleaned_to: entry.cleaned_to,
        clean: entry.clean,
        durable,
        is_new: false,
        lacks_id: entry.topic_id.is_none(),
    })
}

/// Lets the directory know of an error, and tells the caller what it means.
pub(super) fn judged(directory: &Directory, error: OpenError) -> OpenError {
    match &error {
        OpenError::Io { path, source } => match directory.judge(path, source) {
            Some(crate::directory::Failure::Full) => OpenError::DiskFull,
            _ => error,
        },
        _ => error,
    }
}

fn io_error(path: &Path, error: std::io::Error) -> OpenError {
    OpenError::Io { path: path.to_path_buf(), source: Arc::new(error) }
}
