//! Groups of the next-generation protocol (KIP-848): the coordinator assigns, and each member is brought to its part of the
//! assignment by itself.
//!
//! A change of members, subscriptions or topics raises the *group epoch*; a *target assignment* is computed for it; each
//! member moves to the target's epoch on its own: it gives up what it shall not keep, and gets what others have given up.
//! A partition belongs to its old owner until that one has said that it owns it no more, or is gone ([`Hard::owners`]).
//!
//! Members of the classic protocol may be in the group while it is moved from one protocol to the other ([`classic`]).

mod classic;
mod clocks;
mod describe;
mod embedded;
mod expression;
mod hard;
mod heartbeat;
mod migration;
mod offsets;
mod reconcile;
mod refused;
mod request;
mod subscribed;
mod subscription;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use levada_types::{TimestampMs, TopicId};

use clocks::Clocks;
use expression::Expressions;
#[cfg(not(test))]
use hard::Hard;
#[cfg(test)]
pub(crate) use hard::Hard;
use hard::Member;
use subscribed::Subscribed;

pub(crate) use classic::{join, leave};
pub use embedded::{NamedPartitions, read_assignment};
pub(crate) use heartbeat::heartbeat;
pub(crate) use offsets::CommitScope;

use crate::{
    GroupConfig,
    draft::Draft,
    group::Group,
    records::{Change, ConsumerRecord, MemberState, Record},
};

/// A group of the next-generation protocol. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerGroup {
    hard: Hard,
    clocks: Clocks,
    expressions: Expressions,
    subscribed: Subscribed,
    /// Whether what is soft has still to be made of what is hard; from then on it is kept up to date.
    is_stale: bool,
    /// When there is something to do for the group as a whole: a target assignment is due, or what is soft is stale.
    due: Option<TimestampMs>,
}

/// Does what has become due by time, such as sessions that are over.
pub(crate) fn tick(group: &mut Option<Group>, draft: &mut Draft<'_>) {
    let Some(Group::Consumer(consumer)) = group else { return };
    consumer.refresh(draft);
    let mut removed = false;
    while let Some(member) = consumer.clocks.expired(draft.now) {
        consumer.clocks.remove(&member);
        removed |= consumer.remove(&member, draft);
    }
    if removed {
        consumer.after_leaving(draft);
    }
    consumer.assign_if_due(draft);
    migration::downgrade(group, draft);
}

/// Takes in a record that is replayed. `None` is a group that does not exist yet; `None` is left when nothing is left.
pub(crate) fn replay(group: &mut Option<Group>, record: &ConsumerRecord) {
    if !matches!(group, Some(Group::Consumer(_))) {
        // What tombstones leave of a group is no group.
        if record.change.is_tombstone() {
            return;
        }
        *group = Some(Group::Consumer(ConsumerGroup { is_stale: true, ..ConsumerGroup::default() }));
    }
    if let Some(Group::Consumer(consumer)) = group {
        let ends = record.change == Change::Group(None);
        consumer.hard.apply(&record.change);
        if ends && consumer.hard.is_gone() {
            *group = None;
        }
    }
}

impl ConsumerGroup {
    /// Changes the hard state and writes what changes it.
    fn write(&mut self, change: Change, draft: &mut Draft<'_>) {
        self.hard.apply(&change);
        draft.write(&Record::Consumer(ConsumerRecord { group_id: Arc::clone(&draft.group_id), change }));
    }

    /// What is hard of it.
    #[cfg(test)]
    pub(crate) fn hard(&self) -> &Hard {
        &self.hard
    }

    fn member(&self, id: &str) -> Option<&Member> {
        self.hard.members.get(id)
    }

    /// Loaded or set back: every session counts anew from now, and what is soft is made of what is hard.
    pub(crate) fn resume(&mut self, now: TimestampMs, config: &GroupConfig) {
        self.clocks = Clocks::default();
        for (id, member) in &self.hard.members {
            let session = match &member.told.classic {
                Some(classic) => classic.session_timeout_ms,
                None => config.group_consumer_session_timeout_ms,
            };
            let revokes = member.current.state == MemberState::UnrevokedPartitions && !member.is_classic();
            self.clocks.set(id, |clock| {
                clock.session = Some(after(now, session));
                clock.rebalance = revokes.then(|| after(now, member.told.rebalance_timeout_ms));
            });
        }
        self.is_stale = true;
        // Only a tick may write.
        self.due = Some(now);
    }

    /// A time not later than the first thing that becomes due.
    pub(crate) fn next_deadline(&self) -> Option<TimestampMs> {
        [self.clocks.next(), self.due].into_iter().flatten().min()
    }

    /// These topics are new, gone or different; called only if the metadata changed.
    pub(crate) fn topics_changed(&mut self, changed: &[TopicId], draft: &mut Draft<'_>) {
        if self.is_stale {
            self.refresh(draft);
        } else if self.look_again(changed, draft) {
            self.bump(draft);
        }
        self.assign_if_due(draft);
    }

    /// How many members it has.
    pub(crate) fn member_count(&self) -> usize {
        self.hard.members.len()
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.hard.members.is_empty()
    }

    /// Whether any member is subscribed to the topic (by name or by a resolved expression): its offsets are neither
    /// deleted nor expired.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.hard.subscribes_to(topic)
    }

    /// Writes the tombstones of everything that was written of an empty group, which is then dropped.
    pub(crate) fn write_tombstones(&self, group_id: &str, draft: &mut Draft<'_>) {
        let group_id: Arc<str> = group_id.into();
        let hard = &self.hard;
        let mut changes: Vec<Change> = Vec::new();
        changes.extend(hard.members.keys().map(|id| Change::Current(Arc::clone(id), None)));
        changes.extend(hard.targets.keys().map(|id| Change::Target(Arc::clone(id), None)));
        changes.extend(hard.target_epoch.map(|_| Change::TargetEpoch(None)));
        changes.extend(hard.members.keys().map(|id| Change::Member(Arc::clone(id), None)));
        changes.extend(hard.regexes.keys().map(|regex| Change::Regex(Arc::clone(regex), None)));
        changes.extend(hard.has_subscription_metadata.then_some(Change::SubscriptionMetadata(None)));
        changes.push(Change::Group(None));
        for change in changes {
            draft.write(&Record::Consumer(ConsumerRecord { group_id: Arc::clone(&group_id), change }));
        }
    }

    /// Members have left: the others are to have what they had. If a classic group is made of them, that is done there.
    fn after_leaving(&mut self, draft: &mut Draft<'_>) {
        if !self.becomes_classic(draft.config) {
            self.bump(draft);
            self.assign_if_due(draft);
        }
    }

    /// Takes a member out, with what was written of it. Whether it was there.
    fn remove(&mut self, id: &Arc<str>, draft: &mut Draft<'_>) -> bool {
        let Some(member) = self.hard.members.get(id).cloned() else { return false };
        self.clocks.remove(id);
        self.write(Change::Current(Arc::clone(id), None), draft);
        if self.hard.targets.contains_key(id) {
            self.write(Change::Target(Arc::clone(id), None), draft);
        }
        self.write(Change::Member(Arc::clone(id), None), draft);
        self.unsubscribe(&member.told, draft);
        true
    }
}

/// A time so many milliseconds after `now`; at once where the number makes no sense.
fn after(now: TimestampMs, ms: i32) -> TimestampMs {
    now.saturating_add(ms.max(0).into())
}
