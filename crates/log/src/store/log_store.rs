//! All the logs of a broker.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{ClusterId, DirectoryId, Offset, TopicIdPartition, TopicPartition};
use parking_lot::Mutex;

use super::data_dir::{DataDir, Taken, check_cluster, check_identity, take, write_properties};
use super::discovery::{EntryState, LogEntry, find_logs};
use super::moving::Future;
use super::{DirectoryInfo, FoundPartition, StoreOptions};
use crate::directory::{Directory, DirectoryState};
use crate::disk::FilePool;
use crate::state_listener::StateListener;
use crate::{Disk, StoreError};

/// All the logs of a broker, over its data directories. Shared by reference (`Arc`).
#[derive(Debug)]
pub struct LogStore {
    pub(super) pool: Arc<FilePool>,
    listener: Arc<StateListener>,
    pub(super) dirs: Vec<DataDir>,
    pub(super) recovery_threads: usize,
    pub(super) logs: Mutex<HashMap<TopicPartition, LogEntry>>,
    /// Logs beside one of the same name in another directory. Which of them counts is settled when it is opened. Locked
    /// after `logs`.
    pub(super) doubles: Mutex<HashMap<TopicPartition, Vec<LogEntry>>>,
    /// Logs that are being moved to another directory, as far as they are there. Locked after `logs`.
    pub(super) futures: Mutex<HashMap<TopicIdPartition, Future>>,
}

impl LogStore {
    /// Takes the data directories: locks them, reads or writes their `meta.properties`, reads their checkpoints and
    /// finds the logs in them. Opens no log. A directory that fails is offline; the others are used.
    ///
    /// # Errors
    /// [`StoreError`]; a directory that another process or another node owns is an error, never merely offline.
    pub fn open(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
        new_directory_id: &mut dyn FnMut() -> DirectoryId,
    ) -> Result<Self, StoreError> {
        if options.directories.is_empty() {
            return Err(StoreError::NoDirectories);
        }
        let pool = Arc::new(FilePool::new(disk, options.max_open_files));
        let listener = Arc::<StateListener>::default();
        let mut dirs = Vec::with_capacity(options.directories.len());
        let mut ids = HashSet::new();
        for path in options.directories {
            let dir = take(&path, (&pool, &listener), options.cluster_id, options.node_id, new_directory_id)?;
            match dir.taken.as_ref().map(|taken| taken.directory.id) {
                Some(id) if !ids.insert(id) => return Err(StoreError::DuplicateDirectory(id)),
                _ => {}
            }
            dirs.push(dir);
        }
        if ids.is_empty() {
            return Err(StoreError::AllOffline);
        }
        let recovery_threads = options.recovery_threads.max(1);
        let (logs, doubles, futures) = (Mutex::default(), Mutex::default(), Mutex::default());
        let store = Self { pool, listener, dirs, recovery_threads, logs, doubles, futures };
        store.find_logs();
        Ok(store)
    }

    fn find_logs(&self) {
        let mut logs = self.logs.lock();
        for taken in self.taken() {
            let directory = &taken.directory;
            let found = match find_logs(taken, self.recovery_threads) {
                Ok(found) => found,
                Err(error) => {
                    directory.failure(&directory.path, error);
                    continue;
                }
            };
            directory.logs.fetch_add(found.logs.len(), Ordering::Relaxed);
            for (partition, entry) in found.logs {
                match logs.entry(partition) {
                    Entry::Occupied(first) => {
                        self.doubles.lock().entry(first.key().clone()).or_default().push(entry);
                    }
                    Entry::Vacant(vacant) => {
                        vacant.insert(entry);
                    }
                }
            }
            for (partition, entry) in found.futures {
                self.find_future(partition, entry);
            }
        }
    }

    pub(super) fn taken(&self) -> impl Iterator<Item = &Taken> {
        self.dirs.iter().filter_map(|dir| dir.taken.as_ref())
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &**self.pool.disk()
    }

    /// Writes the cluster's id into directories that do not have it yet.
    ///
    /// # Errors
    /// [`StoreError::ForeignDirectory`] if one belongs to another cluster.
    pub fn set_cluster_id(&self, cluster_id: ClusterId) -> Result<(), StoreError> {
        for taken in self.taken().filter(|taken| taken.directory.state() != DirectoryState::Offline) {
            let path = &taken.directory.path;
            let mut properties = taken.properties.lock();
            check_cluster(path, &properties, cluster_id)?;
            if properties.cluster_id.is_none() {
                properties.cluster_id = Some(cluster_id);
                if let Err(error) = write_properties(self.disk(), path, &properties) {
                    taken.directory.judge(path, &error);
                    return Err(StoreError::Io { path: path.clone(), source: Arc::new(error) });
                }
            }
        }
        Ok(())
    }

    /// The cluster that the directories belong to, if they say so.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.taken().find_map(|taken| taken.properties.lock().cluster_id)
    }

    /// The data directories in the order of the options.
    #[must_use]
    pub fn directories(&self) -> Vec<DirectoryInfo> {
        self.dirs.iter().map(|dir| self.describe(dir)).collect()
    }

    fn describe(&self, dir: &DataDir) -> DirectoryInfo {
        let directory: Option<&Arc<Directory>> = dir.taken.as_ref().map(|taken| &taken.directory);
        let state = directory.map_or(DirectoryState::Offline, |directory| directory.state());
        let space = if state == DirectoryState::Offline { None } else { self.disk().space(&dir.path).ok() };
        let bytes = |bytes: Option<u64>| bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1);
        DirectoryInfo {
            id: directory.map(|directory| directory.id),
            path: dir.path.clone(),
            state,
            total_bytes: bytes(space.map(|space| space.total)),
            usable_bytes: bytes(space.map(|space| space.available)),
            was_clean: dir.taken.as_ref().is_some_and(|taken| taken.clean.is_some()),
            logs: directory.map_or(0, |directory| directory.logs.load(Ordering::Relaxed)),
        }
    }

    /// The broker epoch that the last clean shutdown noted, if all directories were closed cleanly under one.
    #[must_use]
    pub fn clean_shutdown_epoch(&self) -> Option<i64> {
        let mut epochs = self.dirs.iter().map(|dir| dir.taken.as_ref().and_then(|taken| taken.clean));
        let first = epochs.next().flatten().filter(|&epoch| epoch >= 0)?;
        epochs.all(|epoch| epoch == Some(first)).then_some(first)
    }

    /// Each directory that is in use and was closed cleanly, and the broker epoch that was noted then.
    pub fn closed_directories(&self) -> impl Iterator<Item = (DirectoryId, i64)> + '_ {
        let closed = |taken: &Taken| Some((taken.directory.id, taken.clean.filter(|&epoch| epoch >= 0)?));
        self.dirs.iter().filter_map(move |dir| closed(dir.taken.as_ref()?))
    }

    /// The logs in the data directories, open or not.
    #[must_use]
    pub fn partitions(&self) -> Vec<FoundPartition> {
        let logs = self.logs.lock();
        let found = logs.iter().map(|(partition, entry)| FoundPartition {
            partition: partition.clone(),
            topic_id: entry.topic_id,
            directory: entry.directory.id,
            is_open: entry.is_open(),
        });
        found.collect()
    }

    /// The high watermark that the last checkpoint noted. A log that ends before it lacks what was committed.
    #[must_use]
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        let logs = self.logs.lock();
        let entry = logs.get(partition)?;
        entry.directory.checkpoints.high_watermarks.get(partition).or(entry.high_watermark)
    }

    /// Calls `listener` after every change of a directory's state, on whichever thread met it: it must not wait. The
    /// first listener stays.
    pub fn on_state_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listener.set(listener);
    }

    /// Gives a data directory up, since what becomes of something in it cannot be told any more: it is offline from here
    /// on, as after an error of its disk.
    pub fn give_up_directory(&self, id: DirectoryId, why: &'static str) {
        if let Some(taken) = self.taken().find(|taken| taken.directory.id == id) {
            taken.directory.fail(&taken.directory.path, &std::io::Error::other(why));
        }
    }

    /// Looks whether full directories have space again, and whether the others are still there. For a maintenance
    /// thread.
    pub fn probe(&self, now_ms: i64) {
        for taken in self.taken() {
            taken.directory.probe(now_ms);
            if taken.directory.state() != DirectoryState::Offline {
                check_identity(self.disk(), taken);
            }
        }
    }

    /// Removes the files of deleted segments and logs whose delay has passed; returns how many. For a maintenance
    /// thread.
    pub fn purge(&self, now_ms: i64) -> usize {
        self.taken().map(|taken| taken.directory.graveyard.purge(self.disk(), now_ms)).sum()
    }
}

impl LogEntry {
    /// Whether somebody holds its writer, or is about to.
    pub(super) fn is_open(&self) -> bool {
        match &self.state {
            EntryState::Found => false,
            EntryState::Busy => true,
            EntryState::Opened(state) => !state.released.load(Ordering::Acquire),
        }
    }
}
