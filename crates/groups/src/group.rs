//! A group, of whichever protocol.

use levada_types::TimestampMs;

use crate::{
    api::GroupKind,
    classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup},
    consumer::ConsumerGroup,
};

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

    /// Its state's name.
    pub(crate) fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state().name(),
            Self::Consumer(group) => group.state_name(),
        }
    }

    /// The kind of its members; empty if nobody ever joined it.
    pub(crate) fn protocol_type(&self) -> &str {
        match self {
            Self::Classic(group) => group.protocol_type().unwrap_or_default(),
            Self::Consumer(_) => CONSUMER_PROTOCOL_TYPE,
        }
    }

    /// Whether members use the topic, so that its offsets are kept.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
        }
    }
}
