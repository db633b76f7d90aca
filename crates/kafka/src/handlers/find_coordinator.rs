//! FindCoordinator: no process of this cluster coordinates groups or transactions, which clients take as "not yet".

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use levada_types::ErrorCode;

use super::code_of;
use crate::wire::endpoints::wire_id;
use crate::wire::request::Head;
use crate::wire::text::text;

/// Several keys are asked for at once from this version on (KIP-699).
const BATCHES_SINCE: i16 = 4;

pub(super) fn handle(head: Head, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let code = ErrorCode::CoordinatorNotAvailable;
    let number = code_of(head, code);
    let message = Some(text(code.message()));
    if head.version < BATCHES_SINCE {
        return FindCoordinatorResponse::default()
            .with_error_code(number)
            .with_error_message(message)
            .with_node_id(wire_id(None))
            .with_port(-1);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(wire_id(None))
            .with_port(-1)
            .with_error_code(number)
            .with_error_message(message.clone())
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
