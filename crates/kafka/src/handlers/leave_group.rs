//! LeaveGroup: members cease to be members of a classic group.

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use levada_groups::api::{LeaveGroup, LeaveGroupAnswer, LeavingMember, Request, Response};
use levada_types::ErrorCode;

use super::group_call::{PROMPT, ask, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Several members leave at once from this version on (KIP-345).
const BATCHES_SINCE: i16 = 3;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let members = if head.version >= BATCHES_SINCE {
        let members = request.members.into_iter().map(|member| LeavingMember {
            member_id: member.member_id.to_string(),
            group_instance_id: owned(member.group_instance_id),
            reason: owned(member.reason),
        });
        members.collect()
    } else {
        vec![LeavingMember { member_id: request.member_id.to_string(), group_instance_id: None, reason: None }]
    };
    let asked = LeaveGroup { group_id: request.group_id.to_string(), members };
    match ask(handlers, Request::LeaveGroup(asked), PROMPT).await {
        Response::LeaveGroup(answer) => left(head, answer),
        other => LeaveGroupResponse::default().with_error_code(code_of(head, failure(&other))),
    }
}

fn left(head: Head, answer: LeaveGroupAnswer) -> LeaveGroupResponse {
    let response = LeaveGroupResponse::default();
    if head.version < BATCHES_SINCE {
        let of_member = answer.members.first().map_or(ErrorCode::None, |member| member.error);
        let code = if answer.error == ErrorCode::None { of_member } else { answer.error };
        return response.with_error_code(code_of(head, code));
    }
    let members = answer.members.into_iter().map(|member| {
        MemberResponse::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(text))
            .with_error_code(code_of(head, member.error))
    });
    response.with_error_code(code_of(head, answer.error)).with_members(members.collect())
}
