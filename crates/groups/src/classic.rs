//! Groups of the classic protocol.

use levada_types::TimestampMs;

/// A group of the classic protocol, or one that only has offsets. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClassicGroup {}

impl ClassicGroup {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn next_deadline(&self) -> Option<TimestampMs> {
        None
    }
}
