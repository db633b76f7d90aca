//! What is known of the timestamps in a segment.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use levada_types::TimestampMs;

/// The greatest timestamp of a segment and where it is. The writer moves it, readers look; it is read from the time
/// index when somebody first asks.
#[derive(Debug)]
pub(super) struct Times {
    known: AtomicBool,
    max: AtomicI64,
    relative_offset_of_max: AtomicI64,
}

/// The greatest timestamp of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    /// The timestamp; -1 if no record has one.
    pub(crate) timestamp: TimestampMs,
    /// Last offset of the first batch that has it, relative to the segment's base.
    pub(crate) relative_offset: u32,
}

impl MaxTimestamp {
    pub(crate) const NONE: Self = Self { timestamp: -1, relative_offset: 0 };
}

impl Times {
    pub(super) const fn unknown() -> Self {
        Self { known: AtomicBool::new(false), max: AtomicI64::new(-1), relative_offset_of_max: AtomicI64::new(0) }
    }

    pub(super) fn get(&self) -> Option<MaxTimestamp> {
        self.known.load(Ordering::Acquire).then(|| MaxTimestamp {
            // The offset is only a place to start looking from: an older one with a newer timestamp does no harm.
            timestamp: self.max.load(Ordering::Relaxed),
            relative_offset: self.relative_offset_of_max.load(Ordering::Relaxed) as u32,
        })
    }

    pub(super) fn set(&self, max: MaxTimestamp) {
        self.relative_offset_of_max.store(i64::from(max.relative_offset), Ordering::Relaxed);
        self.max.store(max.timestamp, Ordering::Relaxed);
        self.known.store(true, Ordering::Release);
    }
}
