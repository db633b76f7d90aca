//! The brokers that follow this one, as far as they are connected.

use std::sync::Arc;

use dashmap::DashMap;
use levada_types::BrokerId;

use super::FollowerLink;

/// One link for each broker, the newest.
#[derive(Default)]
pub(crate) struct Followers(DashMap<BrokerId, Arc<FollowerLink>>);

impl Followers {
    /// The link of `follower`.
    pub(crate) fn link(&self, follower: BrokerId) -> Option<Arc<FollowerLink>> {
        self.0.get(&follower).map(|entry| Arc::clone(entry.value()))
    }

    /// Takes this link for the one of its follower; an older one is closed.
    pub(super) fn open(&self, link: &Arc<FollowerLink>) {
        if let Some(older) = self.0.insert(link.follower(), Arc::clone(link)) {
            older.close();
        }
    }

    /// Closes a link, and forgets it.
    pub(super) fn close(&self, link: &Arc<FollowerLink>) {
        link.close();
        self.0.remove_if(&link.follower(), |_, known| Arc::ptr_eq(known, link));
    }
}
