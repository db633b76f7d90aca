//! A log as it stands when its cleaning begins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_types::{Offset, ProducerId};

use super::cleanable;
use crate::log::LogState;
use crate::segment::SegmentList;
use crate::{Cleanable, LogConfig, ReadError};

/// The producers that a log knows, and where the last batch of each is, if it is known.
pub(crate) type LastOffsets = HashMap<ProducerId, Option<Offset>>;

/// A log as it stands when its cleaning begins: what [`crate::LogWriter::begin_cleaning`] gives.
#[derive(Debug)]
pub struct CleaningSnapshot {
    pub(crate) state: Arc<LogState>,
    pub(crate) segments: Arc<SegmentList>,
    pub(crate) truncations: u64,
    pub(crate) last_offsets: LastOffsets,
}

impl CleaningSnapshot {
    /// As [`crate::LogReader::cleanable`], of these very segments.
    ///
    /// # Errors
    /// If the age of a segment cannot be told.
    pub fn cleanable(&self, config: &LogConfig, stable_end: Offset, now_ms: i64) -> Result<Cleanable, ReadError> {
        cleanable::find(&self.state, &self.segments, config, stable_end, now_ms)
    }

    /// Notes that everything below `end` has been cleaned; nothing if the log was truncated since.
    pub fn finish(&self, end: Offset) {
        // Truncations begin under this lock.
        let _durable = self.state.durable.lock();
        if self.state.truncations.load(Ordering::Acquire) == self.truncations {
            self.state.cleaned_to.store(end, Ordering::Release);
        }
    }
}
