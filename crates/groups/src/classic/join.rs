//! JoinGroup.

use std::sync::Arc;

use levada_shard::Token;
use levada_types::ErrorCode;

use super::{ClassicGroup, ClassicMember, ClassicState, MemberId, answers, member::each_once};
use crate::{
    api::{JoinGroup, JoinGroupAnswer, Response},
    draft::Draft,
};

/// How long a newcomer's join may wait: it has no id to give signs of life with, and a connection that is gone is not
/// noticed here (Kafka's `group.new.member.join.timeout.ms`).
pub(super) const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1_000;

/// The most ids that a group gives out to clients that have not joined with them yet. Past it a newcomer is told that the
/// group is full; the ids lapse with the session timeout that was asked for.
pub(super) const MAX_PENDING_JOINS: usize = 100_000;

impl ClassicGroup {
    /// Become a member, or say what one supports now. The session timeout has been checked.
    pub(crate) fn join(&mut self, token: Token, request: &JoinGroup, draft: &mut Draft<'_>) {
        if let Err((error, member_id)) = self.try_join(token, request, draft) {
            draft.answer(token, answers::join_failed(error, member_id));
        }
    }

    /// An error comes with the member id to go on with.
    fn try_join<'a>(
        &mut self,
        token: Token,
        request: &'a JoinGroup,
        draft: &mut Draft<'_>,
    ) -> Result<(), (ErrorCode, &'a str)> {
        let member_id = request.member_id.as_str();
        if !self.accepts(member_id, draft.config.group_max_size) {
            let was_member = self.members.contains_key(member_id);
            self.remove_member(member_id, ErrorCode::GroupMaxSizeReached, draft);
            if was_member {
                self.go_on_without_member(draft);
            }
            return Err((ErrorCode::GroupMaxSizeReached, ""));
        }
        if !self.supports(request) {
            return Err((ErrorCode::InconsistentGroupProtocol, member_id));
        }
        if member_id.is_empty() {
            return self.join_as_newcomer(token, request, draft);
        }
        if self.pending_joins.contains_key(member_id) && request.group_instance_id.is_none() {
            self.add_and_rebalance(token, request, member_id.into(), draft);
            return Ok(());
        }
        self.check_member(member_id, request.group_instance_id.as_deref()).map_err(|error| (error, member_id))?;
        self.join_again(token, request, draft);
        Ok(())
    }

    /// Whether there is room. While members join, those who wait count, so that the last to come are sent away if the limit
    /// was lowered.
    fn accepts(&self, member_id: &str, limit: i32) -> bool {
        let limit = usize::try_from(limit).unwrap_or(0);
        let member = self.member(member_id);
        match self.state {
            ClassicState::Empty => true,
            ClassicState::PreparingRebalance => {
                member.is_some_and(|member| member.join.is_some()) || self.joined < limit
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => member.is_some() || self.members.len() < limit,
        }
    }

    /// Whether everybody and the one that joins have a protocol in common.
    fn supports(&self, request: &JoinGroup) -> bool {
        if self.members.is_empty() {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        self.protocol_type() == Some(request.protocol_type.as_str())
            && request
                .protocols
                .iter()
                .any(|protocol| self.supported.get(protocol.name.as_str()).copied() == Some(self.members.len()))
    }

    fn join_as_newcomer<'a>(
        &mut self,
        token: Token,
        request: &'a JoinGroup,
        draft: &mut Draft<'_>,
    ) -> Result<(), (ErrorCode, &'a str)> {
        let name = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
        let member_id: MemberId = format!("{name}-{}", draft.fresh_id()).into();
        let replaced = request.group_instance_id.as_deref().and_then(|name| self.static_members.get(name)).cloned();
        if let Some(old_id) = replaced {
            self.replace_static(token, request, &old_id, &member_id, draft);
        } else if request.group_instance_id.is_none() && request.requires_known_member_id {
            if self.pending_joins.len() >= MAX_PENDING_JOINS {
                return Err((ErrorCode::GroupMaxSizeReached, ""));
            }
            let deadline = draft.now.saturating_add(request.session_timeout_ms.into());
            self.pending_joins.insert(member_id.clone(), deadline);
            self.look_at(deadline);
            draft.answer(token, answers::join_failed(ErrorCode::MemberIdRequired, &member_id));
        } else {
            self.add_and_rebalance(token, request, member_id, draft);
        }
        Ok(())
    }

    fn add_and_rebalance(&mut self, token: Token, request: &JoinGroup, member_id: MemberId, draft: &mut Draft<'_>) {
        let deadline = draft.now.saturating_add(NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.add_member(ClassicMember {
            member_id,
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            client_id: request.client_id.as_str().into(),
            client_host: request.client_host.as_str().into(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: request.protocol_type.as_str().into(),
            protocols: each_once(&request.protocols),
            assignment: bytes::Bytes::new(),
            join: Some(token),
            sync: None,
            is_new: true,
            deadline,
        });
        self.look_at(deadline);
        if let Some(initial) = self.joining.as_mut().and_then(|joining| joining.initial.as_mut()) {
            initial.has_newcomer = true;
        }
        self.rebalance_or_complete(draft);
    }

    /// A member joins again.
    fn join_again(&mut self, token: Token, request: &JoinGroup, draft: &mut Draft<'_>) {
        let member_id = request.member_id.as_str();
        let protocols = each_once(&request.protocols);
        let is_unchanged = self.member(member_id).is_some_and(|member| member.protocols == protocols);
        let answers_at_once = match self.state {
            ClassicState::Empty | ClassicState::PreparingRebalance => false,
            // It may not have got the answer to its first join.
            ClassicState::CompletingRebalance => is_unchanged,
            // A leader that joins again has a reason that its metadata does not tell, such as new partitions.
            ClassicState::Stable => is_unchanged && !self.is_leader(member_id),
        };
        if answers_at_once {
            let members = if self.is_leader(member_id) { self.joined_members() } else { Vec::new() };
            draft.answer(token, self.joined_answer(member_id, members));
            return;
        }
        self.update_member(token, request, member_id, draft);
        self.rebalance_or_complete(draft);
    }

    /// Takes over what a member says of itself, and has it wait.
    fn update_member(&mut self, token: Token, request: &JoinGroup, member_id: &str, draft: &mut Draft<'_>) {
        let Some(member) = self.members.get(member_id).cloned() else { return };
        self.count_protocols(&member, -1);
        let mut member = Arc::unwrap_or_clone(member);
        member.protocols = each_once(&request.protocols);
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        match member.join.replace(token) {
            // The client has asked again; nobody reads the answer to the first.
            Some(earlier) => draft.answer(earlier, answers::join_failed(ErrorCode::RebalanceInProgress, member_id)),
            None => self.joined += 1,
        }
        self.count_protocols(&member, 1);
        self.members.insert(member.member_id.clone(), Arc::new(member));
    }

    /// A static member has come again without its id: it gets a new one, and the old one is fenced (KIP-345).
    fn replace_static(
        &mut self,
        token: Token,
        request: &JoinGroup,
        old_id: &MemberId,
        new_id: &MemberId,
        draft: &mut Draft<'_>,
    ) {
        let leader_before = self.leader.clone();
        self.rename_static(old_id, new_id, draft);
        self.update_member(token, request, new_id, draft);
        self.renew_session(new_id, draft.now);
        match self.state {
            ClassicState::Stable if self.protocol_name == self.select_protocol() => {
                self.take_join(new_id);
                self.write(draft);
                let is_leader = self.is_leader(new_id);
                let answer = if request.supports_skipping_assignment {
                    let members = if is_leader { self.joined_members() } else { Vec::new() };
                    let mut answer = self.joined_answer(new_id, members);
                    if let Response::JoinGroup(answer) = &mut answer {
                        answer.skip_assignment = is_leader;
                    }
                    answer
                } else {
                    // A client that cannot skip its assignment is told of a leader that it is not, lest it assigns anew.
                    let mut answer = self.joined_answer(new_id, Vec::new());
                    if let Response::JoinGroup(answer) = &mut answer {
                        answer.leader = leader_before.as_deref().unwrap_or_default().to_owned();
                    }
                    answer
                };
                draft.answer(token, answer);
            }
            // The leader may have been told the old id already, and would assign to nobody.
            ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare_rebalance(draft),
            ClassicState::PreparingRebalance | ClassicState::Empty => self.complete_join_if_all_have(draft),
        }
    }

    fn rename_static(&mut self, old_id: &MemberId, new_id: &MemberId, draft: &mut Draft<'_>) {
        let Some(member) = self.members.remove(old_id) else { return };
        let mut member = Arc::unwrap_or_clone(member);
        if let Some(token) = member.join.take() {
            self.joined -= 1;
            draft.answer(token, answers::join_failed(ErrorCode::FencedInstanceId, old_id));
        }
        if let Some(token) = member.sync.take() {
            draft.answer(token, answers::sync_failed(ErrorCode::FencedInstanceId));
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_syncs.remove(old_id).is_some() {
            self.pending_syncs.insert(new_id.clone());
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        member.is_new = false;
        member.member_id = new_id.clone();
        self.members.insert(new_id.clone(), Arc::new(member));
    }

    /// What a member of this generation is told.
    pub(super) fn joined_answer(&self, member_id: &str, members: Vec<crate::api::JoinedMember>) -> Response {
        Response::JoinGroup(JoinGroupAnswer {
            error: ErrorCode::None,
            generation_id: self.generation,
            protocol_type: self.protocol_type().map(str::to_owned),
            protocol_name: self.protocol_name().map(str::to_owned),
            leader: self.leader.as_deref().unwrap_or_default().to_owned(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members,
        })
    }
}
