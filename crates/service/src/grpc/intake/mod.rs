//! What a server does with a request that is none: it says what is wrong and which limit counts, and logs it.
//!
//! Left to itself tonic answers a message that cannot be decoded with INTERNAL and one that is too large with
//! OUT_OF_RANGE, which read as faults of the server, and says nothing in its log. Here the first is INVALID_ARGUMENT and
//! the second RESOURCE_EXHAUSTED, both with the typed detail that every error of the house bears. A compression flag where
//! no compression was agreed on stays INTERNAL, because gRPC's specification of compression demands that.

mod body;
mod framing;

use std::convert::Infallible;
use std::error::Error as _;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use levada_proto::codec::UnreadableMessage;
use levada_proto::status;
use levada_types::ErrorCode;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use crate::telemetry::LineLimit;
use body::CheckedBody;
use framing::FramingError;

/// Requests that could not be read, by what was wrong with them.
const INVALID: &str = "levada_grpc_server_invalid_requests_total";

/// The lines about them. One for the process, since a disk fills up whichever server the lines are about.
static LINES: LineLimit = LineLimit::of_clients_faults();

/// The largest message that a service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimit {
    /// Its size in bytes.
    pub bytes: usize,
    /// The setting that says so; `None` if nobody can change it.
    pub setting: Option<&'static str>,
}

/// A service whose requests are checked.
#[derive(Debug, Clone)]
pub(super) struct Intake<S> {
    inner: S,
    limit: MessageLimit,
}

impl<S> Intake<S> {
    pub(super) fn new(inner: S, limit: MessageLimit) -> Self {
        Self { inner, limit }
    }
}

impl<S: NamedService> NamedService for Intake<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Intake<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limit = self.limit;
        let answer = self.inner.call(request.map(|body| Body::new(CheckedBody::new(body, limit))));
        Box::pin(async move {
            let response = answer.await?;
            // A call that failed before its first answer bears the status itself, with its cause.
            Ok(match response.extensions().get::<Status>() {
                Some(status) if is_unreadable(status) => unreadable(status.clone()).into_http(),
                _ => response,
            })
        })
    }
}

/// The status of a request stream that failed: INVALID_ARGUMENT if a message could not be decoded, else `status` itself.
/// A handler that reads a stream maps its errors with this; requests of one message need nothing.
#[must_use]
pub fn unreadable(status: Status) -> Status {
    if !is_unreadable(&status) {
        return status;
    }
    note("unreadable", status.message());
    status::status_of(ErrorCode::InvalidRequest, status.message())
}

fn is_unreadable(status: &Status) -> bool {
    status.source().is_some_and(|source| source.is::<UnreadableMessage>())
}

fn refuse(error: FramingError, limit: MessageLimit) -> Status {
    match error {
        FramingError::TooLarge(_) => {
            let bytes = limit.bytes;
            let setting = limit.setting.map(|name| format!(" ({name})")).unwrap_or_default();
            let text = format!("{error}; this service takes at most {bytes}{setting}");
            note("too large", &text);
            status::status_as(Code::ResourceExhausted, &status::error(ErrorCode::MessageTooLarge, text))
        }
        FramingError::Compressed(_) => {
            note("compressed", error);
            status::status_as(Code::Internal, &status::error(ErrorCode::InvalidRequest, error.to_string()))
        }
        FramingError::Truncated => {
            note("truncated", error);
            status::status_of(ErrorCode::InvalidRequest, error.to_string())
        }
    }
}

fn note(kind: &'static str, reason: impl Display) {
    metrics::counter!(INVALID, "reason" => kind).increment(1);
    if let Some(left_out) = LINES.admit(Instant::now()) {
        tracing::warn!(%reason, left_out, "a gRPC request was refused: it cannot be read");
    }
}
