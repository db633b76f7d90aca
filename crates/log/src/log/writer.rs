//! The one writer of a log: what it holds, and the operations that need little.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_records::{ControlRecord, EndTxnMarker, RecordBatch, RecordBuffer};
use levada_types::{Offset, TimestampMs, TopicPartition};

use super::stage::Staged;
use super::{ActiveProducer, LogReader, LogState};
use crate::producers::ProducerStates;
use crate::segment::{MaxTimestamp, Segment};
use crate::{AppendError, LogConfig};

/// The one writer of a log. Whoever holds it is the only one who changes the log, so nothing here takes a lock on the
/// path of an append. Dropping it without [`Self::close`] leaves a log that is recovered when it is opened again.
#[derive(Debug)]
pub struct LogWriter {
    pub(super) state: Arc<LogState>,
    pub(super) config: LogConfig,
    pub(super) producers: ProducerStates,
    /// The segment that is appended to: the last one of the shared list.
    pub(super) active: Arc<Segment>,
    pub(super) progress: ActiveProgress,
    /// Where the newest snapshot of the producers stands; `None` if there is none.
    pub(super) last_snapshot: Option<Offset>,
    /// When the oldest unflushed record was appended.
    pub(super) unflushed_since_ms: Option<i64>,
    /// Whether a write failed and could not be taken back.
    pub(super) failed: bool,
    /// Whether the checkpoint of high watermarks says no more than where the log ends; unknown where the log was opened or cut
    /// since the last append.
    pub(super) is_mark_within: bool,
    pub(super) staged: Vec<StagedBatch>,
}

pub(super) use super::stage::Staged as StagedBatch;

/// What the writer remembers of the active segment beyond what readers see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActiveProgress {
    /// Bytes since the last index entry.
    pub(crate) bytes_since_index: u64,
    /// The greatest timestamp so far; `None` until it was looked up.
    pub(crate) max_timestamp: Option<MaxTimestamp>,
    /// The greatest timestamp of the first batch, which the segment's age is counted from; `None` if there is no batch
    /// or it was not looked up.
    pub(crate) first_timestamp: Option<TimestampMs>,
    /// When the segment was opened, which its age is counted from if records have no timestamps.
    pub(crate) created_ms: i64,
}

impl ActiveProgress {
    /// Of a segment without records.
    pub(crate) const fn empty(now_ms: i64) -> Self {
        Self {
            bytes_since_index: 0,
            max_timestamp: Some(MaxTimestamp::NONE),
            first_timestamp: None,
            created_ms: now_ms,
        }
    }
}

/// What a writer starts with.
pub(crate) struct WriterParts {
    pub(crate) state: Arc<LogState>,
    pub(crate) config: LogConfig,
    pub(crate) producers: ProducerStates,
    pub(crate) last_snapshot: Option<Offset>,
    pub(crate) now_ms: i64,
}

impl LogWriter {
    pub(crate) fn new(parts: WriterParts) -> Self {
        let active = Arc::clone(parts.state.segments.load().active());
        let progress = if active.size() == 0 {
            ActiveProgress::empty(parts.now_ms)
        } else {
            ActiveProgress {
                bytes_since_index: 0,
                max_timestamp: None,
                first_timestamp: None,
                created_ms: parts.now_ms,
            }
        };
        let writer = Self {
            state: parts.state,
            config: parts.config,
            producers: parts.producers,
            active,
            progress,
            last_snapshot: parts.last_snapshot,
            unflushed_since_ms: None,
            failed: false,
            is_mark_within: false,
            staged: Vec::new(),
        };
        writer.publish_transactions();
        writer
    }

    /// The settings in force.
    #[must_use]
    pub const fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Takes new settings; they hold from the next operation on.
    pub fn update_config(&mut self, config: LogConfig) {
        self.state.file_delete_delay_ms.store(config.file_delete_delay_ms, Ordering::Relaxed);
        self.config = config;
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`; returns how many.
    pub fn expire_producers(&mut self, now_ms: i64) -> usize {
        self.producers.expire(now_ms, self.config.producer_id_expiration_ms)
    }

    /// The idempotent producers that the log knows, by id.
    #[must_use]
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        self.producers.describe()
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.active.end_offset()
    }

    /// The partition by its topic's name.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.state.dir.partition
    }

    /// The log's own directory.
    pub(crate) fn path(&self) -> &Path {
        &self.state.dir.path
    }

    /// What is shared with readers.
    pub(crate) const fn state(&self) -> &Arc<LogState> {
        &self.state
    }

    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.state))
    }

    pub(super) fn check_open(&self, now_ms: i64) -> Result<(), AppendError> {
        if self.failed {
            return Err(AppendError::Closed);
        }
        Ok(self.state.dir.directory.check_writable(now_ms)?)
    }

    /// Lets readers know where the oldest open transaction starts.
    pub(super) fn publish_transactions(&self) {
        let first = self.producers.first_open_transaction().unwrap_or(i64::MAX);
        self.state.first_open_transaction.store(first, Ordering::Release);
    }

    /// Changes the shared epochs.
    pub(super) fn change_epochs(&self, change: impl FnOnce(&mut crate::epochs::LeaderEpochs)) {
        let mut epochs = (**self.state.epochs.load()).clone();
        change(&mut epochs);
        self.state.epochs.store(Arc::new(epochs));
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // A flush that is running ends first: from here on the files may be another writer's.
        let _durable = self.state.durable.lock();
        self.state.released.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Staged({} bytes at offset {})", self.size(), self.header.base_offset)
    }
}

/// The marker in a control batch; `None` for control records of other kinds.
pub(crate) fn read_marker(
    batch: &RecordBatch<'_>,
    buffer: &mut RecordBuffer,
) -> Result<Option<EndTxnMarker>, AppendError> {
    let Some(record) = batch.records(buffer)?.next() else { return Ok(None) };
    match ControlRecord::parse(&record?)? {
        ControlRecord::EndTxn(marker) => Ok(Some(marker)),
        ControlRecord::Other { .. } => Ok(None),
    }
}
