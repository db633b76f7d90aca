//! Coordinators: the processes that keep groups and transactions, each its share of the shards.

use std::fmt;

use levada_types::CoordinatorEpoch;
use uuid::Uuid;

use crate::LevelRange;

/// What a coordinator keeps. Each kind has a topic of its own, whose partitions are its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CoordinatorKind {
    /// Consumer groups and committed offsets.
    Group,
    /// Transactions and producer identities.
    Transaction,
}

impl CoordinatorKind {
    /// Every kind there is.
    pub const ALL: [Self; 2] = [Self::Group, Self::Transaction];

    /// The name of the topic whose partitions are the shards of this kind, which is Kafka's.
    #[must_use]
    pub const fn topic_name(self) -> &'static str {
        match self {
            Self::Group => "__consumer_offsets",
            Self::Transaction => "__transaction_state",
        }
    }

    /// The kind whose shards are in the topic of this name.
    #[must_use]
    pub fn of_topic(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.topic_name() == name)
    }
}

impl fmt::Display for CoordinatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "group",
            Self::Transaction => "transaction",
        })
    }
}

/// A coordinator that is live: it has a session. One whose session is over is not in the metadata any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinator {
    /// Names it; greater than that of every coordinator that registered before.
    pub epoch: CoordinatorEpoch,
    /// What it keeps.
    pub kind: CoordinatorKind,
    /// Which process: drawn at its start, so that a registration sent twice is recognised.
    pub incarnation: Uuid,
    /// What operators call it; need not be unique.
    pub name: String,
    /// Where other roles reach its internal services, in the form that their dialer reads.
    pub internal_address: String,
    /// The metadata levels it can run at.
    pub levels: LevelRange,
}
