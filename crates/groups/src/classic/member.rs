//! A member of a group of the classic protocol.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use levada_shard::Token;
use levada_types::TimestampMs;

use crate::api::Protocol;

/// A member's id.
pub(crate) type MemberId = Arc<str>;

/// A member.
#[derive(Debug, Clone)]
pub(crate) struct ClassicMember {
    /// Its id.
    pub(crate) member_id: MemberId,
    /// Its name, if it is a static one.
    pub(crate) instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub(crate) client_id: Arc<str>,
    /// From where it comes.
    pub(crate) client_host: Arc<str>,
    /// After how long a silence it counts as gone.
    pub(crate) session_timeout_ms: i32,
    /// How long the others wait for it in a rebalance.
    pub(crate) rebalance_timeout_ms: i32,
    /// The kind of the group.
    pub(crate) protocol_type: Arc<str>,
    /// What it supports, the best first.
    pub(crate) protocols: Arc<[Protocol]>,
    /// What it was told.
    pub(crate) assignment: Bytes,
    /// The join that waits for the others.
    pub(super) join: Option<Token>,
    /// The sync that waits for the leader.
    pub(super) sync: Option<Token>,
    /// Whether it has never been told a generation: it cannot give signs of life, and nobody may hear its answer.
    pub(super) is_new: bool,
    /// When its session is over.
    pub(super) deadline: TimestampMs,
}

impl ClassicMember {
    /// Whether its session goes on by itself: it waits for others.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    pub(super) fn renew_session(&mut self, now: TimestampMs) {
        self.deadline = now.saturating_add(self.session_timeout_ms.into());
    }

    /// What it said in this protocol; empty if nothing.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|known| known.name == protocol)
            .map(|known| known.metadata.clone())
            .unwrap_or_default()
    }
}

/// What a member supports, each protocol once, as it first names it.
pub(super) fn each_once(protocols: &[Protocol]) -> Arc<[Protocol]> {
    // Nothing bounds their number but the size of the request, and every group of the thread waits meanwhile.
    let mut seen = BTreeSet::new();
    protocols.iter().filter(|protocol| seen.insert(protocol.name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_protocols_each_counts_once_as_it_was_first_named() {
        let protocol = |number: usize, metadata: &'static str| Protocol {
            name: format!("protocol-{number}"),
            metadata: Bytes::from_static(metadata.as_bytes()),
        };
        let named: Vec<Protocol> = (0..100_000).map(|number| protocol(number, "first")).collect();
        let again = (0..100_000).rev().map(|number| protocol(number, "again"));
        let told: Vec<Protocol> = named.iter().cloned().chain(again).collect();
        assert_eq!(*each_once(&told), *named);
    }
}
