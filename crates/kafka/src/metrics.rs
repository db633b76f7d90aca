//! What the Kafka face counts. Handles are made once, so that counting is an atomic addition.

use std::time::Duration;

use levada_types::ErrorCode;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::wire::api::{APIS, Api};

/// The face's metrics.
pub(crate) struct FaceMetrics {
    /// By position in [`APIS`].
    apis: Vec<ApiMetrics>,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections that were accepted.
    pub(crate) accepted: Counter,
    /// Frames that were no valid request.
    pub(crate) invalid: Counter,
    /// Bytes of `queued.max.request.bytes` that requests hold.
    pub(crate) request_memory: Gauge,
    /// Bytes of receive buffers that are kept for reuse, those in use included.
    pub(crate) receive_buffers: Gauge,
}

struct ApiMetrics {
    requests: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
    seconds: Histogram,
}

impl FaceMetrics {
    pub(crate) fn new() -> Self {
        Self {
            apis: APIS.iter().map(ApiMetrics::new).collect(),
            connections: gauge!("levada_kafka_connections"),
            accepted: counter!("levada_kafka_connections_accepted_total"),
            invalid: counter!("levada_kafka_invalid_requests_total"),
            request_memory: gauge!("levada_kafka_request_memory_bytes"),
            receive_buffers: gauge!("levada_kafka_receive_buffer_bytes"),
        }
    }

    /// A request of so many bytes has begun.
    pub(crate) fn request(&self, api: usize, bytes: usize) {
        if let Some(metrics) = self.apis.get(api) {
            metrics.requests.increment(1);
            metrics.request_bytes.increment(bytes as u64);
        }
    }

    /// The answer of a request is ready.
    pub(crate) fn answered(&self, api: usize, after: Duration) {
        if let Some(metrics) = self.apis.get(api) {
            metrics.seconds.record(after.as_secs_f64());
        }
    }

    /// The answer of a request was handed to the socket.
    pub(crate) fn response(&self, api: usize, bytes: usize) {
        if let Some(metrics) = self.apis.get(api) {
            metrics.response_bytes.increment(bytes as u64);
        }
    }
}

impl ApiMetrics {
    fn new(api: &Api) -> Self {
        Self {
            requests: counter!("levada_kafka_requests_total", "api" => api.name),
            request_bytes: counter!("levada_kafka_request_bytes_total", "api" => api.name),
            response_bytes: counter!("levada_kafka_response_bytes_total", "api" => api.name),
            seconds: histogram!("levada_kafka_request_seconds", "api" => api.name),
        }
    }
}

/// Counts an error that a client is told.
pub(crate) fn count_error(api: &'static str, code: ErrorCode) {
    if !code.is_none() {
        counter!("levada_kafka_errors_total", "api" => api, "error" => code.name()).increment(1);
    }
}
