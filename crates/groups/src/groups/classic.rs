//! Requests of the classic protocol, to groups of either.

use levada_shard::{Context, Token};
use levada_types::ErrorCode;

use super::{Groups, MAX_GROUP_ID_BYTES};
use crate::{
    api::{
        Heartbeat, HeartbeatAnswer, JoinGroup, JoinGroupAnswer, LeaveGroup, LeaveGroupAnswer, Response, SyncGroup,
        SyncGroupAnswer,
    },
    classic::ClassicGroup,
    consumer,
    group::Group,
    outcome::Outcome,
};

impl Groups {
    pub(super) fn join(&mut self, token: Token, request: JoinGroup, context: &mut Context<'_>, outcome: &mut Outcome) {
        let sessions = self.config.group_min_session_timeout_ms..=self.config.group_max_session_timeout_ms;
        let error = if !is_member_group_id(&request.group_id) {
            ErrorCode::InvalidGroupId
        } else if !sessions.contains(&request.session_timeout_ms) {
            ErrorCode::InvalidSessionTimeout
        } else if !request.member_id.is_empty() && self.group(&request.group_id).is_none() {
            ErrorCode::UnknownMemberId
        } else {
            let group_id = request.group_id.clone();
            self.with(&group_id, context, outcome, |slot, _, draft| match &mut slot.group {
                Some(Group::Classic(group)) => group.join(token, &request, draft),
                Some(Group::Consumer(group)) if !group.is_empty() => {
                    consumer::join(&mut slot.group, token, &request, draft);
                }
                other => {
                    if let Some(Group::Consumer(group)) = other {
                        // An empty group takes the protocol of whoever comes next.
                        group.write_tombstones(&group_id, draft);
                    }
                    let mut group = ClassicGroup::default();
                    group.join(token, &request, draft);
                    *other = Some(Group::Classic(group));
                }
            });
            return;
        };
        outcome.answer(token, join_refused(error, request.member_id));
    }

    pub(super) fn sync(&mut self, token: Token, request: SyncGroup, context: &mut Context<'_>, outcome: &mut Outcome) {
        if let Err(error) = self.check_members_group(&request.group_id) {
            let answer =
                SyncGroupAnswer { error, protocol_type: None, protocol_name: None, assignment: bytes::Bytes::new() };
            outcome.answer(token, Response::SyncGroup(answer));
            return;
        }
        let group_id = request.group_id.clone();
        self.with(&group_id, context, outcome, |slot, _, draft| match &mut slot.group {
            Some(Group::Classic(group)) => group.sync(token, request, draft),
            Some(Group::Consumer(group)) => group.sync(token, request, draft),
            None => {}
        });
    }

    pub(super) fn heartbeat(
        &mut self,
        token: Token,
        request: &Heartbeat,
        context: &mut Context<'_>,
        outcome: &mut Outcome,
    ) {
        if let Err(error) = self.check_members_group(&request.group_id) {
            outcome.answer(token, Response::Heartbeat(HeartbeatAnswer { error }));
            return;
        }
        let group_id = request.group_id.clone();
        self.with(&group_id, context, outcome, |slot, _, draft| match &mut slot.group {
            Some(Group::Classic(group)) => {
                let error = group.heartbeat(request, draft.now);
                draft.answer(token, Response::Heartbeat(HeartbeatAnswer { error }));
            }
            Some(Group::Consumer(group)) => group.classic_heartbeat(token, request, draft),
            None => {}
        });
    }

    pub(super) fn leave(
        &mut self,
        token: Token,
        request: LeaveGroup,
        context: &mut Context<'_>,
        outcome: &mut Outcome,
    ) {
        if let Err(error) = self.check_members_group(&request.group_id) {
            let answer = LeaveGroupAnswer { error, members: Vec::new() };
            outcome.answer(token, Response::LeaveGroup(answer));
            return;
        }
        let group_id = request.group_id.clone();
        self.with(&group_id, context, outcome, |slot, _, draft| match &mut slot.group {
            Some(Group::Classic(group)) => {
                let answer = group.leave(request, draft);
                draft.answer(token, Response::LeaveGroup(answer));
            }
            Some(Group::Consumer(_)) => consumer::leave(&mut slot.group, token, request, draft),
            None => {}
        });
    }

    /// What a member may ask: a group that exists.
    fn check_members_group(&self, group_id: &str) -> Result<(), ErrorCode> {
        if !is_member_group_id(group_id) {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.group(group_id).map(|_| ()).ok_or(ErrorCode::UnknownMemberId)
    }
}

/// Whether a group of this id may have members: its id is not empty, nor longer than Kafka's formats can say.
pub(super) fn is_member_group_id(group_id: &str) -> bool {
    !group_id.is_empty() && group_id.len() <= MAX_GROUP_ID_BYTES
}

fn join_refused(error: ErrorCode, member_id: String) -> Response {
    Response::JoinGroup(JoinGroupAnswer {
        error,
        generation_id: -1,
        protocol_type: None,
        protocol_name: None,
        leader: String::new(),
        skip_assignment: false,
        member_id,
        members: Vec::new(),
    })
}
