//! A group's place in the shard.

use levada_types::TimestampMs;

use crate::{group::Group, offsets::GroupNumber};

/// A group's place in the shard.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Stands for the group in the map of offsets.
    pub(super) number: GroupNumber,
    /// The group; `None` only while it is created or dropped.
    pub(super) group: Option<Group>,
    /// The time under which the group stands among those that have deadlines.
    pub(super) due: Option<TimestampMs>,
}

impl Slot {
    /// A place without a group.
    pub(super) fn new(number: GroupNumber) -> Self {
        Self { number, group: None, due: None }
    }
}
