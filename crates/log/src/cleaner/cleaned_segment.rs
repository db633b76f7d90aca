//! A segment that compaction has written.

use std::sync::Arc;

use levada_types::Offset;

use super::cleaned_files::remove_all;
use crate::log::LogState;
use crate::segment::{MaxTimestamp, Position, Segment};

/// A segment that is to take the place of others: what compaction has left of them, durable in files of its own. Dropped,
/// it is removed.
#[derive(Debug)]
pub struct CleanedSegment {
    pub(crate) state: Arc<LogState>,
    pub(crate) truncations: u64,
    /// What it takes the place of.
    pub(crate) sources: Vec<Arc<Segment>>,
    pub(crate) end: Position,
    pub(crate) max: MaxTimestamp,
    /// Whether it has an index of aborted transactions.
    pub(crate) has_aborted: bool,
    /// Whether its files still bear names of their own.
    pub(crate) is_aside: bool,
}

impl CleanedSegment {
    /// Its base offset, that of the first one that it takes the place of.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.sources.first().map_or(0, |first| first.base_offset())
    }

    /// Bytes of its records.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.end.bytes)
    }

    /// How many segments it takes the place of.
    #[must_use]
    pub fn source_count(&self) -> usize {
        self.sources.len()
    }
}

impl Drop for CleanedSegment {
    fn drop(&mut self) {
        if self.is_aside {
            remove_all(&self.state.dir, self.base_offset());
        }
    }
}
