//! InitProducerId: an identity for an idempotent producer.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use levada_types::ErrorCode;

use super::{Handlers, code_of};
use crate::wire::request::Head;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let given = match request.transactional_id {
        None => handlers.broker.init_producer_id().await,
        Some(id) if id.is_empty() => Err(ErrorCode::InvalidRequest),
        // No process of this cluster coordinates transactions; a client waits and asks again.
        Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
    };
    let response = InitProducerIdResponse::default();
    match given {
        Ok((id, epoch)) => response.with_producer_id(id.into()).with_producer_epoch(epoch),
        Err(code) => {
            response.with_error_code(code_of(head, code)).with_producer_id((-1).into()).with_producer_epoch(-1)
        }
    }
}
