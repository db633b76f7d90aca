//! SyncGroup.

use std::collections::BTreeMap;

use bytes::Bytes;
use levada_shard::Token;
use levada_types::ErrorCode;

use super::{ClassicGroup, ClassicState, MemberId, answers};
use crate::{
    api::{Response, SyncGroup, SyncGroupAnswer},
    draft::Draft,
};

impl ClassicGroup {
    /// Get the assignment of a generation; the leader brings it.
    pub(crate) fn sync(&mut self, token: Token, request: SyncGroup, draft: &mut Draft<'_>) {
        if let Err(error) = self.check_sync(&request) {
            draft.answer(token, answers::sync_failed(error));
            return;
        }
        let member_id = request.member_id.as_str();
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            self.sync_deadline = None;
        }
        if self.state == ClassicState::Stable {
            self.renew_session(member_id, draft.now);
            draft.answer(token, self.sync_answer(member_id));
            return;
        }
        if let Some(earlier) = self.member_mut(member_id).and_then(|member| member.sync.replace(token)) {
            // The client has asked again; nobody reads the answer to the first.
            draft.answer(earlier, answers::sync_failed(ErrorCode::RebalanceInProgress));
        }
        if self.is_leader(member_id) {
            self.settle(request.assignments, draft);
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |told: &Option<String>, own: Option<&str>| told.is_some() && told.as_deref() != own;
        if differs(&request.protocol_type, self.protocol_type())
            || differs(&request.protocol_name, self.protocol_name())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            ClassicState::Empty => Err(ErrorCode::UnknownMemberId),
            ClassicState::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            ClassicState::CompletingRebalance | ClassicState::Stable => Ok(()),
        }
    }

    /// The leader has assigned: the generation is written, and those who wait are told. Whoever it left out gets nothing.
    fn settle(&mut self, assignments: Vec<(String, Bytes)>, draft: &mut Draft<'_>) {
        let mut assignments: BTreeMap<String, Bytes> = assignments.into_iter().collect();
        let ids: Vec<MemberId> = self.members.keys().cloned().collect();
        for member_id in &ids {
            if let Some(member) = self.member_mut(member_id) {
                member.assignment = assignments.remove(member_id.as_ref()).unwrap_or_default();
            }
        }
        self.transition(ClassicState::Stable, draft.now);
        self.write(draft);
        for member_id in &ids {
            if let Some(token) = self.member_mut(member_id).and_then(|member| member.sync.take()) {
                self.renew_session(member_id, draft.now);
                draft.answer(token, self.sync_answer(member_id));
            }
        }
    }

    fn sync_answer(&self, member_id: &str) -> Response {
        Response::SyncGroup(SyncGroupAnswer {
            error: ErrorCode::None,
            protocol_type: self.protocol_type().map(str::to_owned),
            protocol_name: self.protocol_name().map(str::to_owned),
            assignment: self.member(member_id).map(|member| member.assignment.clone()).unwrap_or_default(),
        })
    }
}
