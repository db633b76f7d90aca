//! Asking a group, whichever API it is for.

use std::net::SocketAddr;
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use levada_groups::api::{Request, Response};
use levada_types::ErrorCode;

use super::Handlers;

/// How long a request may take that waits for no other member. Longer than a takeover of the shard lasts, and less than
/// clients wait for an answer by default (30 s).
pub(super) const PROMPT: Duration = Duration::from_secs(10);

/// How long a request may take that waits for other members: as long as the longest rebalance timeout that a client can ask
/// for. It is the group that knows when it has waited enough.
pub(super) const PATIENT: Duration = Duration::from_millis(i32::MAX as u64);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// What the client calls itself.
    pub(super) client_id: String,
    /// From where it comes, as Kafka writes it: with a slash, since there is no host name before it.
    pub(super) client_host: String,
}

impl Caller {
    pub(super) fn new(client_id: Option<StrBytes>, peer: SocketAddr) -> Self {
        let client_id = client_id.map(|id| id.to_string()).unwrap_or_default();
        // An IPv4 client of a listener on all addresses of both kinds is one of IPv4 all the same.
        Self { client_id, client_host: format!("/{}", peer.ip().to_canonical()) }
    }
}

/// Asks a group; that it did not answer is an answer too.
pub(super) async fn ask(handlers: &Handlers, request: Request, timeout: Duration) -> Response {
    match handlers.broker.groups().handle(request, timeout).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(%error, "a request to a group");
            Response::Failed(error.code())
        }
    }
}

/// Asks many groups at once; the answers stand in the order of the requests.
pub(super) async fn ask_all(handlers: &Handlers, requests: Vec<Request>) -> Vec<Response> {
    let answers = handlers.broker.groups().handle_all(requests, PROMPT).await;
    answers.into_iter().map(|answer| answer.unwrap_or_else(|error| Response::Failed(error.code()))).collect()
}

/// What went wrong, if an answer is not of the kind that was asked for.
pub(super) fn failure(response: &Response) -> ErrorCode {
    match response {
        Response::Failed(code) => *code,
        _ => ErrorCode::UnknownServerError,
    }
}

/// Text of a request that may be absent.
pub(super) fn owned(value: Option<StrBytes>) -> Option<String> {
    value.map(|value| value.to_string())
}
