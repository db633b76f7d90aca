//! The limits of a gRPC server.

use serde::{Deserialize, Serialize};

/// The limits of a gRPC server. Beyond `max.concurrent.requests` a request is refused at once with
/// RESOURCE_EXHAUSTED rather than queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpcOptions {
    /// Connections that may be open; one more is closed at once. Each may make the server hold up to 8 MiB before a
    /// handler looks at it.
    #[serde(rename = "grpc.max.connections")]
    pub max_connections: usize,
    /// Handlers that may run at one time, over all connections. A stream counts until its handler has answered with
    /// the response's head.
    #[serde(rename = "grpc.max.concurrent.requests")]
    pub max_concurrent_requests: usize,
    /// Streams that one connection may have open.
    #[serde(rename = "grpc.max.concurrent.streams")]
    pub max_concurrent_streams: u32,
    /// Milliseconds that a handler may take to answer (a streaming one: to start answering). A client may ask for less.
    #[serde(rename = "grpc.request.timeout.ms")]
    pub request_timeout_ms: u64,
    /// The largest message accepted, in bytes; a larger one is refused with RESOURCE_EXHAUSTED as soon as its length has
    /// arrived. It bounds what one request can make the server hold.
    #[serde(rename = "grpc.max.message.bytes")]
    pub max_message_bytes: usize,
    /// Milliseconds that requests in flight have to finish when the server stops.
    #[serde(rename = "grpc.drain.timeout.ms")]
    pub drain_timeout_ms: u64,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            max_connections: 1_000,
            max_concurrent_requests: 4096,
            max_concurrent_streams: 1024,
            request_timeout_ms: 60_000,
            max_message_bytes: 64 << 20,
            drain_timeout_ms: 10_000,
        }
    }
}
