//! A group, of whichever protocol.

use levada_types::TimestampMs;

use crate::{api::GroupKind, classic::ClassicGroup, consumer::ConsumerGroup};

/// A group. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Group {
    /// Of the classic protocol, or one that only has offsets.
    Classic(ClassicGroup),
    /// Of the next-generation protocol.
    Consumer(ConsumerGroup),
}

impl Group {
    /// Which protocol it is of.
    pub(crate) fn kind(&self) -> GroupKind {
        match self {
            Self::Classic(_) => GroupKind::Classic,
            Self::Consumer(_) => GroupKind::Consumer,
        }
    }

    /// Whether it has no members, so that it may be deleted or change its protocol.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// A time not later than the first thing that becomes due in it.
    pub(crate) fn next_deadline(&self) -> Option<TimestampMs> {
        match self {
            Self::Classic(group) => group.next_deadline(),
            Self::Consumer(group) => group.next_deadline(),
        }
    }
}
