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
use crate::checkpoint::{
    CLEAN_SHUTDOWN_FILE, Durability, HIGH_WATERMARK_FILE, LOG_START_FILE, OffsetCheckpoint, clean_shutdown_text,
    offsets_text, replace_file,
};
use crate::directory::DirectoryState;

/// What the checkpoints of a data directory say beside the recovery points.
#[derive(Default)]
struct Checkpoints {
    log_starts: OffsetCheckpoint,
    high_watermarks: OffsetCheckpoint,
}

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
            }
        }
        self.write_checkpoints(taken, high_watermarks)?;
        let mark = clean_shutdown_text(broker_epoch);
        replace_file(self.disk(), &path.join(CLEAN_SHUTDOWN_FILE), mark.as_bytes(), Durability::Machine)?;
        info!(directory = %path.display(), "closed the data directory cleanly");
        Ok(())
    }

    fn write_checkpoints(&self, taken: &Taken, high_watermarks: &HashMap<TopicPartition, Offset>) -> io::Result<()> {
        taken.directory.write_recovery_points(|| self.recovery_points(taken))?;
        let checkpoints = self.collect(taken, high_watermarks);
        for (name, offsets) in
            [(HIGH_WATERMARK_FILE, &checkpoints.high_watermarks), (LOG_START_FILE, &checkpoints.log_starts)]
        {
            let text = offsets_text(offsets);
            let mut written = taken.written.lock();
            if written.get(name) != Some(&text) {
                replace_file(self.disk(), &taken.directory.path.join(name), text.as_bytes(), Durability::Machine)?;
                written.insert(name, text);
            }
        }
        Ok(())
    }

    fn recovery_points(&self, taken: &Taken) -> OffsetCheckpoint {
        let logs = self.logs.lock();
        let here = logs.iter().filter(|(_, entry)| entry.directory.id == taken.directory.id);
        let point = |entry: &LogEntry| match &entry.state {
            EntryState::Opened(state) => state.recovery_point(),
            EntryState::Found | EntryState::Busy => entry.recovery_point,
        };
        here.map(|(partition, entry)| (partition.clone(), point(entry))).collect()
    }

    fn collect(&self, taken: &Taken, high_watermarks: &HashMap<TopicPartition, Offset>) -> Checkpoints {
        let mut checkpoints = Checkpoints::default();
        let mut logs = self.logs.lock();
        for (partition, entry) in logs.iter_mut().filter(|(_, entry)| entry.directory.id == taken.directory.id) {
            if let Some(&offset) = high_watermarks.get(partition) {
                entry.high_watermark = Some(offset);
            }
            let log_start = match &entry.state {
                EntryState::Opened(state) => {
                    let first = state.segments.load().first().base_offset();
                    Some(state.log_start_offset()).filter(|&start| start > first)
                }
                EntryState::Found | EntryState::Busy => entry.log_start,
            };
            checkpoints.log_starts.extend(log_start.map(|start| (partition.clone(), start)));
            checkpoints.high_watermarks.extend(entry.high_watermark.map(|offset| (partition.clone(), offset)));
        }
        checkpoints
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
