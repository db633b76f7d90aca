//! SyncGroup: get the assignment of a generation. The answer waits for the member that assigns.

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use levada_groups::api::{Request, Response, SyncGroup, SyncGroupAnswer};
use levada_types::ErrorCode;

use super::group_call::{PATIENT, ask, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// The kind of the group and the protocol must be told from this version on (KIP-559).
const PROTOCOL_SINCE: i16 = 5;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: SyncGroupRequest) -> SyncGroupResponse {
    let tells_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if head.version >= PROTOCOL_SINCE && !tells_protocol {
        return refused(head, ErrorCode::InconsistentGroupProtocol);
    }
    let assignments = request.assignments.into_iter();
    let asked = SyncGroup {
        group_id: request.group_id.to_string(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_string(),
        group_instance_id: owned(request.group_instance_id),
        protocol_type: owned(request.protocol_type),
        protocol_name: owned(request.protocol_name),
        assignments: assignments.map(|given| (given.member_id.to_string(), given.assignment)).collect(),
    };
    match ask(handlers, Request::SyncGroup(asked), PATIENT).await {
        Response::SyncGroup(answer) => synced(head, answer),
        other => refused(
            head,
            match failure(&other) {
                // The rebalance that was under way is lost: the member joins again, and need not look for its coordinator.
                ErrorCode::CoordinatorLoadInProgress => ErrorCode::RebalanceInProgress,
                code => code,
            },
        ),
    }
}

fn synced(head: Head, answer: SyncGroupAnswer) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(code_of(head, answer.error))
        .with_protocol_type(answer.protocol_type.map(text))
        .with_protocol_name(answer.protocol_name.map(text))
        .with_assignment(answer.assignment)
}

fn refused(head: Head, code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(code_of(head, code))
}
