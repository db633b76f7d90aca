//! What a connection asks of the broker behind it.

use std::net::SocketAddr;

use futures::future::BoxFuture;

use super::pipeline::Order;
use crate::wire::answer::Answer;
use crate::wire::request::{Call, Request};

/// What a request came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This goes back.
    Answer(Answer),
    /// Nothing goes back: the request was a Produce with acks=0.
    Silent,
    /// The connection is closed, for the reason given: an error that the client cannot be told in an answer.
    Close(String),
}

/// Handles requests. The broker, or in tests something smaller.
pub(crate) trait Service: Send + Sync + 'static {
    /// Starts a request. What must happen in the order of the requests of a connection (queueing records, stepping a
    /// fetch session) has happened when this returns; the future is the rest.
    fn start(&self, call: Call, peer: SocketAddr) -> BoxFuture<'static, Outcome>;

    /// Resolves when the broker wants more records; asked after each Produce.
    fn room(&self) -> BoxFuture<'static, ()>;
}

/// When a request may start.
pub(crate) fn order_of(request: &Request) -> Order {
    match request {
        Request::Fetch(fetch) => Order::Beside { session: (fetch.session_id != 0).then_some(fetch.session_id) },
        Request::Produce(_) | Request::ListOffsets(_) | Request::Metadata(_) => Order::Beside { session: None },
        _ => Order::Alone,
    }
}
