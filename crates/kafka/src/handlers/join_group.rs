//! JoinGroup: become a member of a classic group. The answer waits for the other members.

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use levada_groups::api::{JoinGroup, JoinGroupAnswer, Protocol, Request, Response};

use super::group_call::{Caller, PATIENT, ask, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// A rebalance has a time limit of its own from this version on; before, it is the session's.
const REBALANCE_TIMEOUT_SINCE: i16 = 1;

/// A new member is given its id first, and joins again with it, from this version on (KIP-394).
const KNOWN_MEMBER_ID_SINCE: i16 = 4;

/// No protocol is told as null from this version on; before, as empty.
const NO_PROTOCOL_SINCE: i16 = 7;

/// A leader can be told not to assign from this version on (KIP-814).
const SKIPPING_SINCE: i16 = 9;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    caller: Caller,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let has_limit = head.version >= REBALANCE_TIMEOUT_SINCE;
    let member_id = request.member_id.clone();
    let asked = JoinGroup {
        group_id: request.group_id.to_string(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if has_limit { request.rebalance_timeout_ms } else { request.session_timeout_ms },
        member_id: member_id.to_string(),
        requires_known_member_id: head.version >= KNOWN_MEMBER_ID_SINCE && request.group_instance_id.is_none(),
        group_instance_id: owned(request.group_instance_id),
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            // Copied, since it may wait for long, and would hold the whole buffer that it was received in.
            .map(|protocol| Protocol {
                name: protocol.name.to_string(),
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            })
            .collect(),
        client_id: caller.client_id,
        client_host: caller.client_host,
        reason: owned(request.reason),
        supports_skipping_assignment: head.version >= SKIPPING_SINCE,
    };
    match ask(handlers, Request::JoinGroup(asked), PATIENT).await {
        Response::JoinGroup(answer) => joined(head, answer),
        other => JoinGroupResponse::default()
            .with_error_code(code_of(head, failure(&other)))
            .with_generation_id(-1)
            .with_protocol_name((head.version < NO_PROTOCOL_SINCE).then(Default::default))
            .with_member_id(member_id),
    }
}

fn joined(head: Head, answer: JoinGroupAnswer) -> JoinGroupResponse {
    let protocol = answer.protocol_name.or_else(|| (head.version < NO_PROTOCOL_SINCE).then(String::new));
    let members = answer.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(text))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_error_code(code_of(head, answer.error))
        .with_generation_id(answer.generation_id)
        .with_protocol_type(answer.protocol_type.map(text))
        .with_protocol_name(protocol.map(text))
        .with_leader(text(answer.leader))
        .with_skip_assignment(answer.skip_assignment && head.version >= SKIPPING_SINCE)
        .with_member_id(text(answer.member_id))
        .with_members(members.collect())
}
