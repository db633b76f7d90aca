//! Deleting logs, and setting strays aside.

use std::sync::atomic::Ordering;

use levada_types::TopicPartition;
use tracing::info;

use super::LogStore;
use super::dir_name::{Suffix, name_with_suffix};
use super::discovery::{EntryState, LogEntry, Occupied};
use crate::OpenError;
use crate::directory::DirectoryState;

impl LogStore {
    /// Deletes a log: renames its directory at once, so that it is no longer the topic's whatever happens, and leaves
    /// the removal to [`Self::purge`], its topic's `file.delete.delay.ms` from now. Its writer must be gone; readers get
    /// [`crate::ReadError::Deleted`], but what they have read stays readable.
    ///
    /// # Errors
    /// [`OpenError`]. A log whose data directory is offline is forgotten: its files stay where they are, to be found as a
    /// stray when the directory is back, and do not stand in the way of another log of its name.
    pub fn delete(&self, partition: &TopicPartition, now_ms: i64) -> Result<(), OpenError> {
        let aside = self.set_aside(partition, Suffix::Delete, now_ms);
        if matches!(aside, Err(OpenError::DirectoryOffline)) {
            self.logs.lock().remove(partition);
        }
        let (entry, path) = aside?;
        let delay_ms = match &entry.state {
            EntryState::Opened(state) => state.file_delete_delay_ms.load(Ordering::Relaxed),
            // Nobody reads a log that was never opened.
            EntryState::Found | EntryState::Busy => 0,
        };
        entry.directory.graveyard.add_dir(now_ms.saturating_add(delay_ms), path);
        info!(%partition, "deleted a log");
        Ok(())
    }

    /// Sets a log aside that is not assigned to this broker: renames its directory to `…-stray`, where it stays until
    /// an operator looks at it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn mark_stray(&self, partition: &TopicPartition, now_ms: i64) -> Result<(), OpenError> {
        let (_, path) = self.set_aside(partition, Suffix::Stray, now_ms)?;
        info!(%partition, path = %path.display(), "set a log aside that is not assigned to this broker");
        Ok(())
    }

    fn set_aside(
        &self,
        partition: &TopicPartition,
        suffix: Suffix,
        now_ms: i64,
    ) -> Result<(LogEntry, std::path::PathBuf), OpenError> {
        // Nobody opens it, or creates another of its name, before it is out of the way; and nobody waits for its disk who
        // wants another log.
        let (topic_id, Occupied { directory, path, before }) = {
            let mut logs = self.logs.lock();
            let entry = logs.get_mut(partition).ok_or_else(|| OpenError::NotFound(partition.to_string()))?;
            if entry.is_open() {
                return Err(OpenError::AlreadyOpen(partition.to_string()));
            }
            if entry.directory.state() == DirectoryState::Offline {
                return Err(OpenError::DirectoryOffline);
            }
            (entry.topic_id, entry.occupy())
        };
        if let EntryState::Opened(state) = &before {
            state.deleted.store(true, Ordering::Release);
        }
        let unique = topic_id.map_or(0, |id| id.0.as_u128()) ^ u128::from(now_ms.unsigned_abs());
        let target = directory.path.join(name_with_suffix(partition, unique, suffix));
        if let Err(error) = self.disk().rename(&path, &target) {
            if let Some(entry) = self.logs.lock().get_mut(partition) {
                entry.state = before;
            }
            return Err(directory.failure(&path, error).into());
        }
        directory.logs.fetch_sub(1, Ordering::Relaxed);
        let entry = self.logs.lock().remove(partition).ok_or_else(|| OpenError::NotFound(partition.to_string()))?;
        if let EntryState::Opened(state) = &before {
            for segment in state.segments.load().iter() {
                segment.close();
            }
        }
        Ok((LogEntry { state: before, ..entry }, target))
    }
}
