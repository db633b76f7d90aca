//! Who gets which partitions: the server-side assignors of the next-generation protocol (KIP-848).
//!
//! An assignor sees topics, members and partitions as small numbers ([`Spec`]), so that it costs what the partitions cost.
//! Both are deterministic: the same specification gives the same assignment. Both are sticky: a partition leaves a member
//! that may keep it only if the assignor's own rule asks for it.

mod deal;
mod level;
#[cfg(test)]
mod properties;
mod range;
mod spec;
mod uniform;

pub use spec::{MemberSpec, Slot, Spec, TopicSpec};

/// An assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Assignor {
    /// Everybody gets as many partitions as everybody else, as far as the subscriptions allow; the partitions that are
    /// free go where a replica stands in the member's rack.
    Uniform,
    /// Topic by topic, everybody gets a run of partitions; topics with as many partitions and the same subscribers are
    /// given out alike, so that whoever gets a partition of one gets it of all.
    Range,
}

impl Assignor {
    /// Both, in the order in which Kafka has them by default.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name in the protocol and in `group.consumer.assignors`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each member of `spec` is to own, in ascending order. Every partition of a topic that has a subscriber is given
    /// to exactly one of them.
    #[must_use]
    pub fn assign(self, spec: &Spec) -> Vec<Vec<Slot>> {
        match self {
            Self::Uniform => uniform::assign(spec),
            Self::Range => range::assign(spec),
        }
    }
}
