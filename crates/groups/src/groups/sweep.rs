//! Looks for expired offsets, a slice at a time, and drops groups of which nothing is left.

use std::{ops::Bound, sync::Arc};

use levada_shard::Context;

use super::{Groups, Slot};
use crate::{
    classic::ClassicGroup,
    draft::Draft,
    group::Group,
    offsets::{ExpiresFrom, Offsets, SWEEP_SLICE},
    outcome::Outcome,
};

impl Groups {
    /// Goes on with the sweep that is under way, or begins one that is due.
    pub(super) fn sweep(&mut self, context: &mut Context<'_>, outcome: &mut Outcome) {
        if self.expiry.due.is_none_or(|due| due > context.now) {
            return;
        }
        let mut budget = SWEEP_SLICE;
        while budget > 0 {
            let from = match &self.expiry.cursor {
                Some(cursor) => Bound::Excluded(cursor.as_ref()),
                None => Bound::Unbounded,
            };
            let next = self.slots.range::<_, str>((from, Bound::Unbounded)).next().map(|(id, _)| id.clone());
            let Some(id) = next else {
                let interval_ms = self.config.offsets_retention_check_interval_ms.max(1);
                self.expiry.cursor = None;
                self.expiry.due = Some(context.now.saturating_add(interval_ms));
                return;
            };
            let seen = self.with(&id, context, outcome, sweep_group);
            budget = budget.saturating_sub(seen.max(1));
            self.expiry.cursor = Some(id);
        }
    }
}

/// How many offsets of the group were looked at.
fn sweep_group(slot: &mut Slot, offsets: &mut Offsets, draft: &mut Draft<'_>) -> usize {
    let Some(group) = &slot.group else { return 0 };
    let from = expires_from(group);
    let (seen, is_last) = offsets.expire(slot.number, from, |topic| group.is_subscribed_to(topic), draft);
    if is_last && group.is_empty() && !has_newcomers(group) {
        drop_group(slot, draft);
    }
    seen
}

fn expires_from(group: &Group) -> ExpiresFrom {
    match group {
        Group::Classic(group) if group.protocol_type().is_none() => ExpiresFrom::Commit,
        Group::Classic(group) if group.is_empty() => ExpiresFrom::Emptiness(group.state_since()),
        Group::Classic(group) if group.knows_topics() => ExpiresFrom::Commit,
        Group::Classic(_) => ExpiresFrom::Never,
        Group::Consumer(_) => ExpiresFrom::Commit,
    }
}

fn has_newcomers(group: &Group) -> bool {
    matches!(group, Group::Classic(group) if group.next_deadline().is_some())
}

/// Writes that an empty group is gone.
pub(super) fn drop_group(slot: &mut Slot, draft: &mut Draft<'_>) {
    let group_id: Arc<str> = draft.group_id.clone();
    match slot.group.take() {
        Some(Group::Classic(mut group)) => {
            group.write_tombstone(draft);
        }
        Some(Group::Consumer(group)) => group.write_tombstones(&group_id, draft),
        None => {}
    }
    slot.group = Some(Group::Classic(ClassicGroup::default()));
}
