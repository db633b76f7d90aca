//! All the logs of a broker.

use std::collections::HashMap;
use std::sync::Arc;

use levada_types::{ClusterId, DirectoryId, Offset, TopicIdPartition, TopicPartition};

use super::{DirectoryInfo, FoundPartition, OpenLog, OpenedLog, StoreOptions};
use crate::{Disk, LogError, OpenError, RecoveryProgress, StoreError};

/// All the logs of a broker, over its data directories. Shared by reference (`Arc`).
#[derive(Debug)]
pub struct LogStore {}

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
        let _ = (options, disk, new_directory_id);
        Err(StoreError::NoDirectories)
    }
    /// Writes the cluster's id into directories that do not have it yet.
    ///
    /// # Errors
    /// [`StoreError::ForeignDirectory`] if one belongs to another cluster.
    pub fn set_cluster_id(&self, cluster_id: ClusterId) -> Result<(), StoreError> {
        let _ = cluster_id;
        Ok(())
    }
    /// The cluster that the directories belong to, if they say so.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        None
    }
    /// The data directories in the order of the options.
    #[must_use]
    pub fn directories(&self) -> Vec<DirectoryInfo> {
        Vec::new()
    }
    /// The broker epoch that the last clean shutdown noted, if all directories were closed cleanly under one.
    #[must_use]
    pub fn clean_shutdown_epoch(&self) -> Option<i64> {
        None
    }
    /// The logs in the data directories.
    #[must_use]
    pub fn partitions(&self) -> Vec<FoundPartition> {
        Vec::new()
    }
    /// Opens these logs, in parallel, and creates those that do not exist; recovers those that were not closed cleanly.
    /// The results are in the order of the requests.
    pub fn open_logs(
        &self,
        requests: Vec<OpenLog>,
        now_ms: i64,
        progress: &RecoveryProgress,
    ) -> Vec<(TopicIdPartition, Result<OpenedLog, OpenError>)> {
        let _ = (now_ms, progress);
        requests.into_iter().map(|r| (r.partition, Err(OpenError::NoDirectory))).collect()
    }
    /// Opens one log, or creates it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_log(&self, request: OpenLog, now_ms: i64) -> Result<OpenedLog, OpenError> {
        let _ = (request, now_ms);
        Err(OpenError::NoDirectory)
    }
    /// Deletes a log: renames its directory at once, so that it is gone whatever happens, and leaves the removal to
    /// [`Self::purge`]. Its writer must be gone; readers get [`crate::ReadError::Deleted`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn delete(&self, partition: &TopicPartition, now_ms: i64) -> Result<(), OpenError> {
        let _ = (partition, now_ms);
        Ok(())
    }
    /// Sets a log aside that is not assigned to this broker: renames its directory to `…-stray`, where it stays.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn mark_stray(&self, partition: &TopicPartition, now_ms: i64) -> Result<(), OpenError> {
        let _ = (partition, now_ms);
        Ok(())
    }
    /// Removes the files of deleted segments and logs whose delay has passed; returns how many. For a maintenance
    /// thread.
    pub fn purge(&self, now_ms: i64) -> usize {
        let _ = now_ms;
        0
    }
    /// The high watermark that the last checkpoint noted.
    #[must_use]
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        let _ = partition;
        None
    }
    /// Writes the checkpoints of recovery points, log start offsets and these high watermarks. For a maintenance
    /// thread.
    ///
    /// # Errors
    /// The first failure; the other directories are written all the same.
    pub fn checkpoint(&self, high_watermarks: &HashMap<TopicPartition, Offset>) -> Result<(), LogError> {
        let _ = high_watermarks;
        Ok(())
    }
    /// Looks whether full directories have space again.
    pub fn probe(&self, now_ms: i64) {
        let _ = now_ms;
    }
    /// Writes the checkpoints and, in each directory whose logs were all closed, the clean-shutdown file, so that they
    /// open without recovery. `broker_epoch` goes into that file; -1 if there is none.
    ///
    /// # Errors
    /// The first failure; that directory recovers at the next start.
    pub fn close(self, high_watermarks: &HashMap<TopicPartition, Offset>, broker_epoch: i64) -> Result<(), LogError> {
        let _ = (high_watermarks, broker_epoch);
        Ok(())
    }
}
