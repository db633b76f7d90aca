//! Where an offset stands: whose it is, and of which partition.

use std::ops::RangeInclusive;

use levada_types::PartitionIndex;

use super::topics::TopicNumber;

/// Stands for a group within a shard; never drawn twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupNumber(pub(crate) u64);

/// Whose offset, and of which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) group: GroupNumber,
    pub(super) topic: TopicNumber,
    pub(crate) partition: PartitionIndex,
}

impl Place {
    /// Not greater than any.
    pub(super) const FIRST: Self =
        Self { group: GroupNumber(0), topic: TopicNumber::FIRST, partition: PartitionIndex::MIN };
    /// Not less than any.
    pub(super) const LAST: Self =
        Self { group: GroupNumber(u64::MAX), topic: TopicNumber::LAST, partition: PartitionIndex::MAX };

    /// Every place of a group.
    pub(super) fn all_of(group: GroupNumber) -> RangeInclusive<Self> {
        Self { group, ..Self::FIRST }..=Self { group, ..Self::LAST }
    }
}
