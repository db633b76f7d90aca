//! A state that is not served and may be the beginning of the next one.

use levada_types::{Offset, TimestampMs};

/// A state that equals a replay of everything below `end`, all of which is committed.
#[derive(Debug, Clone)]
pub(super) struct Kept<C> {
    pub(super) core: C,
    pub(super) end: Offset,
    /// Of which count of possible losses: after another one, what is below `end` may be something else.
    pub(super) losses: u32,
    /// When it was certain last that there was nothing beyond.
    pub(super) as_of: TimestampMs,
    /// Nothing was under way, so that the requests that it holds are still those that wait.
    pub(super) is_in_step: bool,
}

impl<C> Kept<C> {
    /// Whether the log goes on where it ends, and has every record since: those that were committed, and their tombstones.
    pub(super) fn is_good_for(&self, losses: u32, since: TimestampMs) -> bool {
        self.losses == losses && self.as_of >= since
    }
}
