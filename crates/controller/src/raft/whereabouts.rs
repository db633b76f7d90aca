//! Where the members of the quorum are called: where they say that they are, and elsewhere while nobody answers there.
//!
//! A member that has moved tells its new address through the metadata, and that is believed first. But an announcement can
//! be wrong, by a setting or by a name that only its own machine knows, and must not cut the member off that could be
//! reached before.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What is known of where the members are. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Whereabouts {
    /// The addresses that this node was started with.
    configured: Arc<BTreeMap<u64, String>>,
    turns: Arc<Mutex<HashMap<u64, Turn>>>,
}

/// Which of a member's addresses has its turn.
#[derive(Debug, Default)]
struct Turn {
    announced: Option<String>,
    /// Calls without an answer, each at the address that had its turn.
    missed: usize,
}

impl Whereabouts {
    pub(super) fn new(configured: BTreeMap<u64, String>) -> Self {
        Self { configured: Arc::new(configured), turns: Arc::default() }
    }

    /// Where to call member `id`, of which the quorum knows the address `told`, and after how many misses.
    pub(super) fn of(&self, id: u64, announced: Option<String>, told: &str) -> (String, usize) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(id).or_default();
        if turn.announced != announced {
            *turn = Turn { announced, missed: 0 };
        }
        let mut known: Vec<&str> = Vec::new();
        let configured = self.configured.get(&id).map(String::as_str);
        for address in turn.announced.as_deref().into_iter().chain([told]).chain(configured) {
            if !known.contains(&address) {
                known.push(address);
            }
        }
        // There is `told` at least.
        let address = known.get(turn.missed % known.len().max(1)).copied().unwrap_or(told);
        (address.to_owned(), turn.missed)
    }

    /// A call to member `id` that was begun after `missed` misses had no answer: the next address has its turn, unless
    /// another call has seen to that.
    pub(super) fn missed(&self, id: u64, missed: usize) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get_mut(&id).filter(|turn| turn.missed == missed) {
            turn.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_answers_the_other_addresses_are_tried_until_one_does() {
        let whereabouts = Whereabouts::new([(1, "configured:1".to_owned())].into());
        let next = |announced: Option<&str>| whereabouts.of(1, announced.map(str::to_owned), "told:1");
        assert_eq!(next(Some("announced:1")), ("announced:1".to_owned(), 0));
        // Two calls at a time are one miss.
        whereabouts.missed(1, 0);
        whereabouts.missed(1, 0);
        assert_eq!(next(Some("announced:1")), ("told:1".to_owned(), 1));
        assert_eq!(next(Some("announced:1")), ("told:1".to_owned(), 1), "it is called there until that is missed");
        whereabouts.missed(1, 1);
        assert_eq!(next(Some("announced:1")).0, "configured:1");
        whereabouts.missed(1, 2);
        assert_eq!(next(Some("announced:1")).0, "announced:1", "round again");
        whereabouts.missed(1, 3);
        assert_eq!(next(Some("elsewhere:1")), ("elsewhere:1".to_owned(), 0), "what is announced anew comes first");
    }

    #[test]
    fn a_member_with_one_address_is_called_there() {
        let whereabouts = Whereabouts::new([(1, "told:1".to_owned())].into());
        for missed in 0..3 {
            assert_eq!(whereabouts.of(1, Some("told:1".to_owned()), "told:1"), ("told:1".to_owned(), missed));
            assert_eq!(whereabouts.of(2, None, "told:2").0, "told:2");
            whereabouts.missed(1, missed);
            whereabouts.missed(2, missed);
        }
    }
}
