//! How far a segment goes, for readers that run beside its writer.

use std::sync::atomic::{AtomicU64, Ordering};

/// A place in a segment: where a batch starts, and the first offset it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Bytes from the start of the file.
    pub(crate) bytes: u32,
    /// Offset relative to the segment's base. Up to 2^31, one past the largest that an index holds.
    pub(crate) relative_offset: u32,
}

/// A [`Position`] that one thread moves while others look: both halves in one atomic, so that they always belong
/// together.
#[derive(Debug)]
pub(super) struct SharedPosition(AtomicU64);

impl SharedPosition {
    pub(super) const fn new(position: Position) -> Self {
        Self(AtomicU64::new(pack(position)))
    }

    /// Everything written before [`Self::set`] is seen by whoever gets its value here.
    pub(super) fn get(&self) -> Position {
        let packed = self.0.load(Ordering::Acquire);
        Position { bytes: packed as u32, relative_offset: (packed >> 32) as u32 }
    }

    pub(super) fn set(&self, position: Position) {
        self.0.store(pack(position), Ordering::Release);
    }
}

const fn pack(position: Position) -> u64 {
    (position.relative_offset as u64) << 32 | position.bytes as u64
}
