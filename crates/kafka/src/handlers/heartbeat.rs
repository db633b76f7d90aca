//! Heartbeat: a member of a classic group lives.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use levada_groups::api::{Heartbeat, Request, Response};
use levada_types::ErrorCode;

use super::group_call::{PROMPT, ask, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: HeartbeatRequest) -> HeartbeatResponse {
    let asked = Heartbeat {
        group_id: request.group_id.to_string(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_string(),
        group_instance_id: owned(request.group_instance_id),
    };
    let code = match ask(handlers, Request::Heartbeat(asked), PROMPT).await {
        Response::Heartbeat(answer) => answer.error,
        // Sessions count anew once the shard is loaded, so nothing is lost; an error would look to clients as if it were.
        Response::Failed(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
        other => failure(&other),
    };
    HeartbeatResponse::default().with_error_code(code_of(head, code))
}
