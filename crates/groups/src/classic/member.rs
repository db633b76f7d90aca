//! A member of a group of the classic protocol.

use std::sync::Arc;

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
    let mut once: Vec<Protocol> = Vec::with_capacity(protocols.len());
    for protocol in protocols {
        if once.iter().all(|known| known.name != protocol.name) {
            once.push(protocol.clone());
        }
    }
    once.into()
}
