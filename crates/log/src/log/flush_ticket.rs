//! The slow half of a flush, which needs no writer: many appends share it, and none waits behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{Offset, TopicPartition};

use super::LogState;
use crate::LogError;
use crate::segment::SegmentList;

/// A flush that [`crate::LogWriter::begin_flush`] has begun. [`Self::run`] fsyncs, on whatever thread may wait for the
/// device, while the writer goes on appending; what it says goes back to [`crate::LogWriter::flushed`].
///
/// Dropping it is no harm: nothing counts as durable, and the next flush covers it. It may also outlive its log: once the
/// records were truncated, or the writer is gone, it does nothing.
#[derive(Debug)]
#[must_use = "nothing is durable before it has run"]
pub struct FlushTicket {
    pub(super) state: Arc<LogState>,
    pub(super) segments: Arc<SegmentList>,
    pub(super) end: Offset,
    /// How many truncations the log had seen.
    pub(super) truncations: u64,
    pub(super) begun_ms: i64,
}

/// How a flush went.
#[derive(Debug)]
pub struct Flushed {
    pub(super) state: Arc<LogState>,
    pub(super) end: Offset,
    pub(super) begun_ms: i64,
    pub(super) result: Result<Offset, LogError>,
}

impl FlushTicket {
    /// The log end offset when the flush was begun: everything below is durable once it has run, unless it was truncated.
    #[must_use]
    pub const fn end_offset(&self) -> Offset {
        self.end
    }

    /// The partition by its topic's name.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.state.dir.partition
    }

    /// Fsyncs, and moves the recovery point to [`Self::end_offset`] where every reader sees it. Waits for the device, and
    /// for another flush of the same log.
    pub fn run(self) -> Flushed {
        let result = self.sync();
        Flushed { state: self.state, end: self.end, begun_ms: self.begun_ms, result }
    }

    fn sync(&self) -> Result<Offset, LogError> {
        let mut durable = self.state.durable.lock();
        // What was truncated since is not there to be synced, and what has taken its place was not there to be noted.
        if self.truncations == self.state.truncations.load(Ordering::Acquire) {
            self.state.flush_up_to(&mut durable, self.end, &self.segments)?;
        }
        Ok(self.state.recovery_point())
    }
}

impl Flushed {
    /// The recovery point when it had run; below the ticket's end if the log was truncated or given up meanwhile.
    ///
    /// # Errors
    /// As [`crate::LogWriter::flush`].
    pub const fn recovery_point(&self) -> Result<Offset, &LogError> {
        match &self.result {
            Ok(offset) => Ok(*offset),
            Err(error) => Err(error),
        }
    }
}
