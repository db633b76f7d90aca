//! How much there is in a shard.

use super::Groups;
use crate::{classic::ClassicState, group::Group};

/// How much there is in a shard, for its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupCounts {
    /// Groups of the classic protocol that have no members, those that only have offsets among them.
    pub empty: u64,
    /// Groups of the classic protocol whose members join.
    pub preparing_rebalance: u64,
    /// Groups of the classic protocol whose members wait for their assignment.
    pub completing_rebalance: u64,
    /// Groups of the classic protocol in which all is settled.
    pub stable: u64,
    /// Groups of the next-generation protocol.
    pub consumer: u64,
    /// Committed offsets.
    pub offsets: u64,
    /// Records that were not understood when the shard was loaded: of kinds or versions that are not known, or damaged.
    pub records_left_out: u64,
}

impl Groups {
    /// Counts what there is. Looks at every group.
    #[must_use]
    pub fn counts(&self) -> GroupCounts {
        let mut counts = GroupCounts {
            offsets: self.offsets.len() as u64,
            records_left_out: self.left_out,
            ..GroupCounts::default()
        };
        for slot in self.slots.values() {
            match &slot.group {
                Some(Group::Classic(group)) => match group.state() {
                    ClassicState::Empty => counts.empty += 1,
                    ClassicState::PreparingRebalance => counts.preparing_rebalance += 1,
                    ClassicState::CompletingRebalance => counts.completing_rebalance += 1,
                    ClassicState::Stable => counts.stable += 1,
                },
                Some(Group::Consumer(_)) => counts.consumer += 1,
                None => {}
            }
        }
        counts
    }
}
