//! The span of a request, continuing the caller's trace if it sent one.

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header that bears the caller's trace (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The span of `request`.
pub(super) fn request_span(request: &http::Request<()>) -> Span {
    let span = tracing::debug_span!("grpc", method = request.uri().path());
    if !span.is_disabled() && request.headers().contains_key(TRACEPARENT) {
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        if let Err(error) = span.set_parent(parent) {
            tracing::trace!(%error, "the span does not continue the caller's trace");
        }
    }
    span
}
