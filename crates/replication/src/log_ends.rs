//! Where a replica's own log stands.

use levada_types::Offset;

/// The three ends of a log. Invariant: `start <= end` and `flushed <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnds {
    /// The log start offset: the first offset that may be read.
    pub start: Offset,
    /// The log end offset: that of the next record to be appended.
    pub end: Offset,
    /// Everything below it has been fsynced.
    pub flushed: Offset,
}

impl LogEnds {
    /// A log without records that begins at `offset`.
    #[must_use]
    pub const fn empty_at(offset: Offset) -> Self {
        Self { start: offset, end: offset, flushed: offset }
    }

    /// The end that counts for the high watermark: what is flushed if `fsync`, else what is appended.
    #[must_use]
    pub fn counted(&self, fsync: bool) -> Offset {
        if fsync { self.flushed.min(self.end) } else { self.end }
    }
}
