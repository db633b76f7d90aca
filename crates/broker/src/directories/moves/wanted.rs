//! The replicas that are to lie in another directory.

use std::collections::VecDeque;

use levada_log::LogReader;
use levada_types::{DirectoryId, TopicIdPartition};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The replicas that are to lie in another directory, in the order in which their turn comes. Bounded by the replicas.
#[derive(Default)]
pub(crate) struct Moves {
    wanted: Mutex<VecDeque<Wanted>>,
    news: Notify,
}

/// One replica that is to move.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) id: TopicIdPartition,
    pub(crate) to: DirectoryId,
    /// The copy, as far as it is.
    pub(crate) copy: Option<LogReader>,
    /// Why it did not go on, as told last.
    complaint: Option<String>,
}

impl Moves {
    /// This replica is to lie in that directory.
    pub(crate) fn want(&self, id: TopicIdPartition, to: DirectoryId) {
        {
            let mut wanted = self.wanted.lock();
            match wanted.iter_mut().find(|known| known.id == id) {
                Some(known) if known.to == to => return,
                Some(known) => (known.to, known.copy) = (to, None),
                None => wanted.push_back(Wanted { id, to, copy: None, complaint: None }),
            }
        }
        self.news.notify_one();
    }

    /// This replica is to stay where it is.
    pub(crate) fn forget(&self, id: TopicIdPartition) {
        self.wanted.lock().retain(|known| known.id != id);
        self.news.notify_one();
    }

    /// This replica lies in that directory, or never will.
    pub(super) fn done(&self, id: TopicIdPartition, to: DirectoryId) {
        self.wanted.lock().retain(|known| known.id != id || known.to != to);
    }

    /// Whether this replica still is to lie in that directory.
    pub(super) fn is_wanted(&self, id: TopicIdPartition, to: DirectoryId) -> bool {
        self.wanted.lock().iter().any(|known| known.id == id && known.to == to)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Wanted> {
        self.wanted.lock().iter().cloned().collect()
    }

    /// The first few.
    pub(super) fn first(&self, count: usize) -> Vec<(TopicIdPartition, DirectoryId)> {
        self.wanted.lock().iter().take(count).map(|known| (known.id, known.to)).collect()
    }

    /// Puts this one behind the others.
    pub(super) fn postpone(&self, id: TopicIdPartition) {
        let mut wanted = self.wanted.lock();
        if let Some(at) = wanted.iter().position(|known| known.id == id)
            && let Some(postponed) = wanted.remove(at)
        {
            wanted.push_back(postponed);
        }
    }

    /// Shows how far the copy is.
    pub(super) fn show(&self, id: TopicIdPartition, to: DirectoryId, copy: &LogReader) {
        if let Some(known) = self.wanted.lock().iter_mut().find(|known| known.id == id && known.to == to) {
            known.copy = Some(copy.clone());
        }
    }

    /// Whether it is news that this one does not go on for this reason.
    pub(super) fn is_news(&self, id: TopicIdPartition, reason: &str) -> bool {
        let mut wanted = self.wanted.lock();
        let Some(known) = wanted.iter_mut().find(|known| known.id == id) else { return false };
        if known.complaint.as_deref() == Some(reason) {
            return false;
        }
        known.complaint = Some(reason.to_owned());
        true
    }

    /// Resolves when something was asked since the last time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use levada_types::TopicId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_newest_wish_counts_and_each_has_its_turn() {
        let id = |partition| TopicIdPartition { topic_id: TopicId(Uuid::from_u128(1)), partition };
        let to = |n| DirectoryId(Uuid::from_u128(n));
        let moves = Moves::default();
        moves.want(id(0), to(7));
        moves.want(id(1), to(7));
        moves.want(id(0), to(8));
        assert_eq!(moves.first(1), [(id(0), to(8))]);
        assert!(moves.is_wanted(id(0), to(8)) && !moves.is_wanted(id(0), to(7)));
        moves.postpone(id(0));
        assert_eq!(moves.first(2), [(id(1), to(7)), (id(0), to(8))]);
        assert!(moves.is_news(id(1), "full") && !moves.is_news(id(1), "full") && moves.is_news(id(1), "failed"));
        moves.forget(id(1));
        assert!(!moves.is_news(id(1), "full"));
        assert_eq!(moves.first(2), [(id(0), to(8))]);
    }
}
