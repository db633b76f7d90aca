//! The groups of a shard at a glance, for its metrics.

use std::sync::Arc;

use levada_types::{Offset, PartitionIndex};

use super::Groups;
use crate::{
    group::Group,
    offsets::{GroupNumber, Offsets},
};

/// A group at a glance.
#[derive(Debug, Clone, Copy)]
pub struct GroupOverview<'a> {
    /// Its id.
    pub group_id: &'a Arc<str>,
    /// Its state's name, as in [`crate::api::ListedGroup::state`].
    pub state: &'static str,
    /// How many members it has.
    pub members: usize,
    number: GroupNumber,
    offsets: &'a Offsets,
}

impl<'a> GroupOverview<'a> {
    /// What it has committed, topic by topic: the topic's name, the partition, and the offset of the next record to be
    /// consumed.
    pub fn offsets(&self) -> impl Iterator<Item = (&'a Arc<str>, PartitionIndex, Offset)> + use<'a> {
        self.offsets.of(self.number).map(|(topic, partition, committed)| (topic, partition, committed.offset))
    }
}

impl Groups {
    /// Every group, in the order of their ids.
    pub fn overviews(&self) -> impl Iterator<Item = GroupOverview<'_>> {
        self.slots.iter().filter_map(|(group_id, slot)| {
            let group = slot.group.as_ref()?;
            let members = match group {
                Group::Classic(group) => group.members().len(),
                Group::Consumer(group) => group.member_count(),
            };
            let (state, number, offsets) = (group.state_name(), slot.number, &self.offsets);
            Some(GroupOverview { group_id, state, members, number, offsets })
        })
    }
}
