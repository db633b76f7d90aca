//! What of a log may be cleaned, and whether it is worth it.

use levada_types::Offset;

use crate::log::LogState;
use crate::segment::{ScanError, Segment, SegmentList};
use crate::{LogConfig, LogReader, ReadError};

/// What of a log may be cleaned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cleanable {
    /// Everything below was cleaned before, but for what lies below the log start.
    pub first_dirty: Offset,
    /// Where what may be cleaned now ends: at the end of a segment.
    pub end: Offset,
    /// Bytes of the segments below [`Self::first_dirty`].
    pub clean_bytes: u64,
    /// Bytes of the segments from there to [`Self::end`].
    pub dirty_bytes: u64,
    /// Bytes of the segments behind [`Self::end`] that are not cleaned before their time.
    pub uncleanable_bytes: u64,
    /// Since when a record should have been cleaned (`max.compaction.lag.ms`); `None` if none should have been yet.
    pub overdue_since_ms: Option<i64>,
    min_ratio: f64,
    /// Below it everything is committed.
    pub(super) stable_end: Offset,
}

impl Cleanable {
    /// Which part of what may be cleaned is new, from 0 to 1.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 { 0.0 } else { self.dirty_bytes as f64 / total as f64 }
    }

    /// Whether the topic's settings ask for a cleaning now.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.dirty_bytes > 0 && (self.overdue_since_ms.is_some() || self.dirty_ratio() > self.min_ratio)
    }
}

impl LogReader {
    /// What may be cleaned of a log with these settings, all of whose transactions below `stable_end` are decided and
    /// everything committed: closed segments below it that are durable and old enough (`min.compaction.lag.ms`).
    ///
    /// # Errors
    /// If the age of a segment cannot be told.
    pub fn cleanable(&self, config: &LogConfig, stable_end: Offset, now_ms: i64) -> Result<Cleanable, ReadError> {
        find(&self.state, &self.state.segments.load_full(), config, stable_end, now_ms)
    }
}

/// What may be cleaned of these segments of a log.
pub(super) fn find(
    state: &LogState,
    segments: &SegmentList,
    config: &LogConfig,
    stable_end: Offset,
    now_ms: i64,
) -> Result<Cleanable, ReadError> {
    let start = state.log_start_offset();
    let checkpoint = state.cleaned_to();
    // One that lies outside the log was of another life of it.
    let first_dirty = if (start..=segments.end_offset()).contains(&checkpoint) { checkpoint } else { start };
    let bound = stable_end.min(state.recovery_point());
    let mut found = Cleanable {
        first_dirty,
        end: first_dirty,
        clean_bytes: 0,
        dirty_bytes: 0,
        uncleanable_bytes: 0,
        overdue_since_ms: None,
        min_ratio: config.min_cleanable_dirty_ratio,
        stable_end,
    };
    let mut is_open = true;
    for segment in segments.closed() {
        let failure = |error| state.scan_failure(segment, error);
        if segment.end_offset() <= first_dirty {
            found.clean_bytes += segment.size();
            continue;
        }
        let newest = || segment.max_timestamp().map(|max| max.timestamp).map_err(failure);
        is_open = is_open
            && segment.end_offset() <= bound
            && (config.min_compaction_lag_ms <= 0 || newest()? <= now_ms.saturating_sub(config.min_compaction_lag_ms));
        if !is_open {
            found.uncleanable_bytes += segment.size();
            continue;
        }
        found.end = segment.end_offset();
        found.dirty_bytes += segment.size();
        if let (Some(lag), None) = (config.max_compaction_lag_ms, found.overdue_since_ms) {
            let due = oldest(segment).map_err(failure)?.saturating_add(lag);
            found.overdue_since_ms = (due < now_ms).then_some(due);
        }
    }
    Ok(found)
}

/// The time of the segment's first batch, as an estimate of its oldest record's.
fn oldest(segment: &Segment) -> Result<i64, ScanError> {
    let file = segment.log_file().map_err(ScanError::Io)?;
    let first = segment.scan(&file, 0, segment.end().bytes).next()?;
    match first.map(|(_, header)| header.max_timestamp).filter(|timestamp| *timestamp >= 0) {
        Some(timestamp) => Ok(timestamp),
        None => segment.modified_ms().map_err(ScanError::Io),
    }
}
