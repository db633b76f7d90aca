//! Counts and times the calls of a server.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use tonic::Code;
use tower::{Layer, Service};

/// Calls answered, by method and status.
const HANDLED: &str = "levada_grpc_server_handled_total";

/// Time to the answer; of a stream, to its beginning.
const HANDLING: &str = "levada_grpc_server_handling_seconds";

/// The header in which a call that failed before its first message bears its status.
const GRPC_STATUS: &str = "grpc-status";

/// Adds [`Measured`] to a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeasuredLayer;

/// A service whose calls are counted and timed.
#[derive(Debug, Clone)]
pub(super) struct Measured<S> {
    inner: S,
}

impl<S> Layer<S> for MeasuredLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = request.uri().path().to_owned();
        let began = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(response) = &answer {
                record(method, code_of(response), began);
            }
            answer
        })
    }
}

fn code_of<R>(response: &Response<R>) -> Code {
    response.headers().get(GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn record(method: String, code: Code, began: Instant) {
    // A caller may make up any number of methods; each label value costs memory for good.
    let method = if code == Code::Unimplemented { "unknown".to_owned() } else { method };
    metrics::counter!(HANDLED, "method" => method.clone(), "code" => format!("{code:?}")).increment(1);
    metrics::histogram!(HANDLING, "method" => method).record(began.elapsed());
}
