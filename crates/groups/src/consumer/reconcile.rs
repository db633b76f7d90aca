//! On the way from what a member owns to what it shall own (KIP-848's reconciliation).

use std::{collections::BTreeSet, sync::Arc};

use levada_types::{PartitionIndex, TopicId};

use super::Hard;
use crate::{
    api::TopicPartitions,
    records::{CurrentAssignment, MemberState, OwnedPartitions, Partitions},
};

/// What a step depends on.
pub(super) struct Step<'a> {
    /// The group.
    pub(super) hard: &'a Hard,
    /// The member.
    pub(super) member_id: &'a str,
    /// What it owns so far.
    pub(super) current: &'a CurrentAssignment,
    /// The topics that it subscribes to; what it is to own of others is not given to it.
    pub(super) subscribed: &'a BTreeSet<TopicId>,
    /// What it says that it owns; `None` if it has not said anything.
    pub(super) reported: Option<&'a [TopicPartitions]>,
}

impl Step<'_> {
    /// What the member owns next; `None` if nothing can change yet.
    pub(super) fn next(&self) -> Option<CurrentAssignment> {
        let epoch = match self.current.state {
            // It has to have given up what it was asked to give up.
            MemberState::UnrevokedPartitions if self.still_owns(&self.current.revoking) => return None,
            // Whoever owns nothing can begin anew.
            MemberState::Unknown => self.hard.assignment_epoch(),
            _ => self.current.epoch,
        };
        let next = self.towards_target(epoch);
        (next != *self.current).then_some(next)
    }

    fn towards_target(&self, epoch: i32) -> CurrentAssignment {
        let target_epoch = self.hard.assignment_epoch();
        let none = Arc::default();
        let target: &Arc<Partitions> = self.hard.targets.get(self.member_id).unwrap_or(&none);
        let is_target = |topic: TopicId, partition: PartitionIndex| {
            self.subscribed.contains(&topic) && target.contains(topic, partition)
        };
        let (mut assigned, mut revoking) = (OwnedPartitions::default(), OwnedPartitions::default());
        for (topic, partition, since) in self.current.assigned.iter() {
            let side = if is_target(topic, partition) { &mut assigned } else { &mut revoking };
            side.insert(topic, partition, since);
        }
        if !revoking.is_empty() && self.still_owns(&revoking) {
            // First it gives up, and stays in its epoch until it has.
            return self.with(epoch, MemberState::UnrevokedPartitions, assigned, revoking);
        }
        let mut state = MemberState::Stable;
        for (topic, partition) in target.iter().filter(|&(topic, _)| self.subscribed.contains(&topic)) {
            if assigned.contains(topic, partition) {
                continue;
            }
            // What it was to give up itself and shall have again is not somebody else's.
            match self.hard.owners.get(&(topic, partition)) {
                Some(owner) if **owner != *self.member_id => state = MemberState::UnreleasedPartitions,
                _ => assigned.insert(topic, partition, target_epoch),
            }
        }
        self.with(target_epoch, state, assigned, OwnedPartitions::default())
    }

    fn with(
        &self,
        epoch: i32,
        state: MemberState,
        assigned: OwnedPartitions,
        revoking: OwnedPartitions,
    ) -> CurrentAssignment {
        // Until the member has shown a newer epoch, the answer that told it may have been lost.
        let previous_epoch = if epoch == self.current.epoch { self.current.previous_epoch } else { self.current.epoch };
        CurrentAssignment { epoch, previous_epoch, state, assigned, revoking }
    }

    /// Whether the member owns any of these, as far as it has said.
    fn still_owns(&self, partitions: &OwnedPartitions) -> bool {
        let Some(reported) = self.reported else { return true };
        reported
            .iter()
            .any(|topic| topic.partitions.iter().any(|&partition| partitions.contains(topic.topic_id, partition)))
    }
}
