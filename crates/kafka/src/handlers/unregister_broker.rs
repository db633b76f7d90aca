//! UnregisterBroker (KIP-631): forgets a broker that has stopped for good.

use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use levada_broker::api::PartitionError;
use levada_metadata::{Command, Response};
use levada_types::{BrokerId, ErrorCode};

use super::{Handlers, REQUEST_TIMEOUT, told};
use crate::wire::request::Head;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let command = Command::UnregisterBroker { id: BrokerId(request.broker_id.0) };
    let result = match handlers.broker.submit(command, REQUEST_TIMEOUT).await {
        Ok(Response::UnregisterBroker(result)) => {
            result.map_err(|error| PartitionError::new(error.code, error.message))
        }
        Ok(_) => Err(ErrorCode::UnknownServerError.into()),
        Err(error) => Err(error),
    };
    let (code, message) = told(head, result);
    UnregisterBrokerResponse::default().with_error_code(code).with_error_message(message)
}
