//! The topics that were deleted last.

use imbl::{OrdSet, Vector};
use levada_types::TopicId;

use crate::limits::MAX_TOPICS_PER_REQUEST;

/// How many are remembered: as many as one command deletes. A creation comes again within seconds or not at all.
const REMEMBERED: usize = MAX_TOPICS_PER_REQUEST;

/// The topics that were deleted last, so that a creation which comes again does not bring back what was deleted since.
///
/// It is memory of the node, not metadata: snapshots do not hold it, and states that differ in nothing else are equal.
#[derive(Debug, Clone, Default)]
pub(super) struct Deleted {
    ids: OrdSet<TopicId>,
    /// Oldest first.
    order: Vector<TopicId>,
}

impl Deleted {
    pub(super) fn add(&mut self, id: TopicId) {
        if self.ids.insert(id).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, id: TopicId) -> bool {
        self.ids.contains(&id)
    }
}

impl PartialEq for Deleted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Deleted {}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let id = |n: usize| TopicId(Uuid::from_u128(n as u128 + 1));
        let mut deleted = Deleted::default();
        (0..=REMEMBERED).for_each(|n| deleted.add(id(n)));
        deleted.add(id(REMEMBERED));
        assert!(!deleted.contains(id(0)));
        assert!((1..=REMEMBERED).all(|n| deleted.contains(id(n))));
        assert_eq!((deleted.ids.len(), deleted.order.len()), (REMEMBERED, REMEMBERED));
    }
}
