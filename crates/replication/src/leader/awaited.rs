//! Appends that wait until they are committed.

use std::collections::VecDeque;

use levada_types::Offset;

/// The ends that are waited for, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Awaited(VecDeque<Offset>);

impl Awaited {
    /// Somebody waits for everything below `end`. Mostly a new end; that of a duplicate lies further down.
    pub(super) fn add(&mut self, end: Offset) {
        if self.0.back().is_none_or(|last| *last < end) {
            self.0.push_back(end);
            return;
        }
        let at = self.0.partition_point(|known| *known < end);
        if self.0.get(at) != Some(&end) {
            self.0.insert(at, end);
        }
    }

    /// Whether exactly this end is waited for.
    pub(super) fn holds(&self, end: Offset) -> bool {
        self.0.binary_search(&end).is_ok()
    }

    /// Forgets what is reached by `committed`. Returns the greatest of it.
    pub(super) fn release(&mut self, committed: Offset) -> Option<Offset> {
        let reached = self.0.partition_point(|end| *end <= committed);
        self.0.drain(..reached).next_back()
    }

    /// Forgets all. Returns whether there was any.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.0.is_empty();
        self.0.clear();
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_is_released_once() {
        let mut awaited = Awaited::default();
        for end in [5, 9, 7, 5, 12] {
            awaited.add(end);
        }
        assert_eq!(awaited.release(4), None);
        assert_eq!(awaited.release(8), Some(7));
        assert_eq!(awaited.release(8), None);
        assert_eq!(awaited.release(12), Some(12));
        assert!(!awaited.clear());
    }

    #[test]
    fn a_duplicate_waits_with_its_original() {
        let mut awaited = Awaited::default();
        for end in [5, 9, 5] {
            awaited.add(end);
        }
        assert_eq!(awaited.0, [5, 9]);
        assert!(awaited.clear());
        assert_eq!(awaited.release(100), None);
    }
}
