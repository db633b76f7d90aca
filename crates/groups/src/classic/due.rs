//! What time does to a group: sessions, rebalances and ids that lapse.

use levada_types::{ErrorCode, TimestampMs};

use super::{ClassicGroup, ClassicState, MemberId};
use crate::draft::Draft;

impl ClassicGroup {
    /// Does what has become due.
    pub(crate) fn tick(&mut self, draft: &mut Draft<'_>) {
        if self.due.is_none_or(|due| due > draft.now) {
            return;
        }
        let now = draft.now;
        self.expire_pending_joins(now);
        self.expire_sessions(draft);
        self.complete_join_if_all_have(draft);
        if let Some(joining) = self.joining.filter(|joining| joining.deadline <= now) {
            self.end_joining(joining, draft);
        }
        if self.sync_deadline.is_some_and(|deadline| deadline <= now) {
            self.expire_syncs(draft);
        }
        self.due = self.first_deadline();
    }

    /// Every session counts anew from now, and what is due is looked at again; everything else stays, and whoever waits goes on
    /// waiting.
    pub(crate) fn renew_sessions(&mut self, now: TimestampMs) {
        let members: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in members {
            self.renew_session(&member_id, now);
        }
        self.look_at(now);
    }

    fn expire_pending_joins(&mut self, now: TimestampMs) {
        let lapsed: Vec<MemberId> =
            self.pending_joins.iter().filter(|(_, deadline)| **deadline <= now).map(|(id, _)| id.clone()).collect();
        for member_id in lapsed {
            self.pending_joins.remove(&member_id);
        }
    }

    fn expire_sessions(&mut self, draft: &mut Draft<'_>) {
        let lapsed: Vec<MemberId> = self
            .members()
            .filter(|member| !member.is_waiting() && member.deadline <= draft.now)
            .map(|member| member.member_id.clone())
            .collect();
        if lapsed.is_empty() {
            return;
        }
        for member_id in lapsed {
            self.remove_member(&member_id, ErrorCode::UnknownMemberId, draft);
        }
        self.go_on_without_member(draft);
    }

    /// Whoever has joined a generation and never asked what it got is out.
    fn expire_syncs(&mut self, draft: &mut Draft<'_>) {
        self.sync_deadline = None;
        let missing: Vec<MemberId> = self.pending_syncs.iter().cloned().collect();
        for member_id in &missing {
            self.remove_member(member_id, ErrorCode::UnknownMemberId, draft);
        }
        if !missing.is_empty() {
            self.go_on_without_member(draft);
        }
    }

    fn first_deadline(&self) -> Option<TimestampMs> {
        let sessions = self.members().filter(|member| !member.is_waiting()).map(|member| member.deadline);
        let pending = self.pending_joins.values().copied();
        let joining = self.joining.map(|joining| joining.deadline);
        debug_assert_eq!(joining.is_some(), self.state == ClassicState::PreparingRebalance);
        sessions.chain(pending).chain(joining).chain(self.sync_deadline).min()
    }
}
