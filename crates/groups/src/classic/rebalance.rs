//! How a group gets from one generation to the next.

use std::{collections::BTreeMap, sync::Arc};

use levada_types::ErrorCode;

use super::{ClassicGroup, ClassicState, InitialDelay, Joining, MemberId, answers};
use crate::draft::Draft;

/// How long a member is waited for at least, however impatient it says it is: a group of static members that do not come
/// would look for them without a pause until their sessions are over.
const LEAST_REBALANCE_TIMEOUT_MS: i64 = 100;

impl ClassicGroup {
    /// Begins a rebalance; if one is under way, ends its first half if everybody has come.
    pub(super) fn rebalance_or_complete(&mut self, draft: &mut Draft<'_>) {
        if self.state == ClassicState::PreparingRebalance {
            self.complete_join_if_all_have(draft);
        } else {
            self.prepare_rebalance(draft);
        }
    }

    /// After a member was taken out.
    pub(super) fn go_on_without_member(&mut self, draft: &mut Draft<'_>) {
        match self.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare_rebalance(draft),
            ClassicState::PreparingRebalance => self.complete_join_if_all_have(draft),
            ClassicState::Empty => {}
        }
    }

    /// Has everybody join the next generation.
    pub(super) fn prepare_rebalance(&mut self, draft: &mut Draft<'_>) {
        if self.state == ClassicState::CompletingRebalance {
            self.send_back_from_sync(draft);
        }
        self.pending_syncs.clear();
        self.sync_deadline = None;
        let was_empty = self.state == ClassicState::Empty;
        let limit = self.rebalance_timeout_ms();
        let initial_ms = i64::from(draft.config.group_initial_rebalance_delay_ms.max(0));
        let initial =
            was_empty.then(|| InitialDelay { remaining_ms: (limit - initial_ms).max(0), has_newcomer: false });
        let deadline = draft.now.saturating_add(if was_empty { initial_ms } else { limit });
        self.joining = Some(Joining { deadline, initial });
        self.transition(ClassicState::PreparingRebalance, draft.now);
        self.look_at(deadline);
        if was_empty {
            if initial_ms == 0 {
                self.complete_join(draft);
            }
        } else {
            self.complete_join_if_all_have(draft);
        }
    }

    /// Those who wait for their assignment are to join again.
    fn send_back_from_sync(&mut self, draft: &mut Draft<'_>) {
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in ids {
            let Some(member) = self.member_mut(&member_id) else { continue };
            member.assignment = bytes::Bytes::new();
            if let Some(token) = member.sync.take() {
                member.renew_session(draft.now);
                let deadline = member.deadline;
                draft.answer(token, answers::sync_failed(ErrorCode::RebalanceInProgress));
                self.look_at(deadline);
            }
        }
    }

    /// Ends the joining if nobody is missing. A group that was empty waits for more all the same.
    pub(super) fn complete_join_if_all_have(&mut self, draft: &mut Draft<'_>) {
        let is_waiting_for_more = self.joining.is_none_or(|joining| joining.initial.is_some());
        if !is_waiting_for_more && self.joined == self.members.len() && self.pending_joins.is_empty() {
            self.complete_join(draft);
        }
    }

    /// The time for joining is over, or, in a group that was empty, one stretch of it.
    pub(super) fn end_joining(&mut self, joining: Joining, draft: &mut Draft<'_>) {
        let delay_ms = i64::from(draft.config.group_initial_rebalance_delay_ms.max(0));
        match joining.initial {
            Some(InitialDelay { has_newcomer: true, remaining_ms }) if remaining_ms > 0 => {
                let stretch_ms = delay_ms.min(remaining_ms);
                let deadline = draft.now.saturating_add(stretch_ms);
                let initial = InitialDelay { remaining_ms: remaining_ms - stretch_ms, has_newcomer: false };
                self.joining = Some(Joining { deadline, initial: Some(initial) });
                self.look_at(deadline);
            }
            _ => self.complete_join(draft),
        }
    }

    /// Ends the joining: whoever has not come is out, but for static members, and the rest is the next generation.
    fn complete_join(&mut self, draft: &mut Draft<'_>) {
        let missing: Vec<MemberId> = self
            .members()
            .filter(|member| member.join.is_none() && member.instance_id.is_none())
            .map(|member| member.member_id.clone())
            .collect();
        for member_id in missing {
            self.remove_member(&member_id, ErrorCode::UnknownMemberId, draft);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left and none has come: their sessions decide.
            let deadline = draft.now.saturating_add(self.rebalance_timeout_ms());
            self.joining = Some(Joining { deadline, initial: None });
            self.look_at(deadline);
            return;
        }
        self.joining = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol_name = self.select_protocol();
        self.topics = self.subscribed_topics();
        self.pending_syncs.clear();
        if self.members.is_empty() {
            self.leader = None;
            self.transition(ClassicState::Empty, draft.now);
            self.write(draft);
            return;
        }
        self.transition(ClassicState::CompletingRebalance, draft.now);
        self.answer_joins(draft);
        let deadline = draft.now.saturating_add(self.rebalance_timeout_ms());
        self.sync_deadline = Some(deadline);
        self.look_at(deadline);
    }

    fn answer_joins(&mut self, draft: &mut Draft<'_>) {
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in ids {
            if let Some(token) = self.take_join(&member_id) {
                let members = if self.is_leader(&member_id) { self.joined_members() } else { Vec::new() };
                draft.answer(token, self.joined_answer(&member_id, members));
                self.renew_session(&member_id, draft.now);
            }
            if let Some(member) = self.member_mut(&member_id) {
                member.is_new = false;
            }
            self.pending_syncs.insert(member_id);
        }
    }

    /// The leader stays if it has come; else the first that has come leads. False if nobody has.
    fn elect_leader(&mut self) -> bool {
        let has_come = |id: &MemberId| self.member(id).is_some_and(|member| member.join.is_some());
        if self.leader.as_ref().is_some_and(has_come) {
            return true;
        }
        let first = self.members().find(|member| member.join.is_some()).map(|member| member.member_id.clone());
        self.leader = first.clone().or_else(|| self.leader.take());
        first.is_some()
    }

    /// The longest that any member wants to be waited for; 0 without members.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts =
            self.members().map(|member| i64::from(member.rebalance_timeout_ms).max(LEAST_REBALANCE_TIMEOUT_MS));
        timeouts.max().unwrap_or(0)
    }

    /// The protocol that all support and most like best; of equals the first by name.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members() {
            let vote = member.protocols.iter().map(|protocol| protocol.name.as_str()).find(|name| self.is_common(name));
            if let Some(name) = vote {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.into())
    }

    /// Whether all members support this protocol.
    fn is_common(&self, protocol: &str) -> bool {
        self.supported.get(protocol).copied() == Some(self.members.len())
    }
}
