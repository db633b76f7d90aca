//! Writing the checkpoints, and closing the data directories.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

use levada_types::{Offset, TopicPartition};
use tracing::info;

use super::LogStore;
use super::data_dir::Taken;
use super::discovery::{EntryState, LogEntry};
use crate::LogError;
use crate::checkpoint::{CLEAN_SHUTDOWN_FILE, Durability, OffsetCheckpoint, clean_shutdown_text, replace_file};
use crate::directory::DirectoryState;

impl LogStore {
    /// Writes the checkpoints of recovery points, log start offsets and these high watermarks (`None` for a log whose
    /// high watermark is not told keeps the last one). For a maintenance thread.
    ///
    /// # Errors
    /// The first failure; the other directories are written all the same.
    pub fn checkpoint(&self, high_watermarks: &HashMap<TopicPartition, Offset>) -> Result<(), LogError> {
        self.for_each_online(|taken| self.write_checkpoints(taken, high_watermarks))
    }

    /// Makes everything durable, writes the checkpoints and, in each directory whose logs were all closed
    /// ([`crate::LogWriter::close`]), the clean-shutdown file, so that they open without recovery. `broker_epoch` goes
    /// into that file; -1 if there is none. To be called last: nothing may be opened afterwards.
    ///
    /// # Errors
    /// The first failure; that directory recovers at the next start.
    pub fn close(&self, high_watermarks: &HashMap<TopicPartition, Offset>, broker_epoch: i64) -> Result<(), LogError> {
        self.for_each_online(|taken| self.close_dir(taken, high_watermarks, broker_epoch))
    }

    fn for_each_online(&self, mut work: impl FnMut(&Taken) -> io::Result<()>) -> Result<(), LogError> {
        let mut first = Ok(());
        for taken in self.taken().filter(|taken| taken.directory.state() != DirectoryState::Offline) {
            if let Err(error) = work(taken) {
                let failure = taken.directory.failure(&taken.directory.path, error);
                first = first.and(Err(failure.into()));
            }
        }
        first
    }

    fn close_dir(
        &self,
        taken: &Taken,
        high_watermarks: &HashMap<TopicPartition, Offset>,
        broker_epoch: i64,
    ) -> io::Result<()> {
        let path = &taken.directory.path;
        let clean = self.logs.lock().values().filter(|entry| entry.directory.id == taken.directory.id).all(is_closed);
        if !clean {
            return self.write_checkpoints(taken, high_watermarks);
        }
        self.disk().sync_all(path)?;
        for entry in self.logs.lock().values().filter(|entry| entry.directory.id == taken.directory.id) {
            if let EntryState::Opened(state) = &entry.state {
                state.recovery_point.store(state.end_offset(), Ordering::Release);
                state.names_dirty.store(false, Ordering::Release);
            }
        }
        self.write_checkpoints(taken, high_watermarks)?;
        let mark = clean_shutdown_text(broker_epoch);
        replace_file(self.disk(), &path.join(CLEAN_SHUTDOWN_FILE), mark.as_bytes(), Durability::Machine)?;
        info!(directory = %path.display(), "closed the data directory cleanly");
        Ok(())
    }

    pub(super) fn write_checkpoints(
        &self,
        taken: &Taken,
        high_watermarks: &HashMap<TopicPartition, Offset>,
    ) -> io::Result<()> {
        let checkpoints = &taken.directory.checkpoints;
        checkpoints.recovery_points.write(self.disk(), |_| self.collect(taken, recovery_point))?;
        checkpoints.high_watermarks.write(self.disk(), |said| {
            self.collect(taken, |partition, entry| {
                // What was said may have been lowered since it was told.
                let told = high_watermarks.get(partition).or_else(|| said.get(partition));
                entry.high_watermark = told.copied().or(entry.high_watermark);
                entry.high_watermark
            })
        })?;
        checkpoints.cleaned.write(self.disk(), |_| self.collect(taken, cleaned_to))?;
        checkpoints.log_starts.write(self.disk(), |_| self.collect(taken, log_start))
    }

    /// What `offset` says of each log in a directory.
    fn collect(
        &self,
        taken: &Taken,
        mut offset: impl FnMut(&TopicPartition, &mut LogEntry) -> Option<Offset>,
    ) -> OffsetCheckpoint {
        let mut logs = self.logs.lock();
        let mut futures = self.futures.lock();
        let ripe = futures.values_mut().filter(|future| future.is_ripe);
        let all = logs.iter_mut().chain(ripe.map(|future| (&future.partition, &mut future.entry)));
        let here = all.filter(|(_, entry)| entry.directory.id == taken.directory.id);
        here.filter_map(|(partition, entry)| Some((partition.clone(), offset(partition, entry)?))).collect()
    }
}

/// Up to where a log is durable.
fn recovery_point(_: &TopicPartition, entry: &mut LogEntry) -> Option<Offset> {
    match &entry.state {
        EntryState::Opened(state) => Some(state.recovery_point()),
        EntryState::Found | EntryState::Busy => Some(entry.recovery_point),
    }
}

/// Up to where a log was cleaned, if it was.
fn cleaned_to(_: &TopicPartition, entry: &mut LogEntry) -> Option<Offset> {
    let cleaned_to = match &entry.state {
        EntryState::Opened(state) => Some(state.cleaned_to()),
        EntryState::Found | EntryState::Busy => entry.cleaned_to,
    };
    cleaned_to.filter(|&offset| offset > 0)
}

/// Where a log starts, if not at its first segment. It is also told while a crash may bring deleted segments back.
fn log_start(_: &TopicPartition, entry: &mut LogEntry) -> Option<Offset> {
    match &entry.state {
        EntryState::Opened(state) => {
            let first =
                if state.names_dirty.load(Ordering::Acquire) { 0 } else { state.segments.load().first().base_offset() };
            Some(state.log_start_offset()).filter(|&start| start > first)
        }
        EntryState::Found | EntryState::Busy => entry.log_start,
    }
}

/// Whether the log opens without recovery.
fn is_closed(entry: &LogEntry) -> bool {
    match &entry.state {
        // Nobody has touched it since the start.
        EntryState::Found => entry.clean,
        EntryState::Busy => false,
        EntryState::Opened(state) => state.closed.load(Ordering::Acquire),
    }
}
