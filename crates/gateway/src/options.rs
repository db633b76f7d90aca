//! The limits of the public gRPC services, by name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the gateway allows one client. The limits of the server itself are in `levada_service::grpc::GrpcOptions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayOptions {
    /// Batches of one produce stream that may be unanswered; at the bound the stream is not read.
    #[serde(rename = "grpc.produce.stream.max.unanswered")]
    pub produce_stream_max_unanswered: usize,
    /// Bytes of produce requests, on all connections together, that may have arrived without being handed to the log
    /// threads; at the bound streams are not read.
    #[serde(rename = "grpc.queued.max.request.bytes")]
    pub queued_max_request_bytes: usize,
    /// Milliseconds that a stream waits for its share of them before it is refused.
    #[serde(rename = "grpc.queued.max.wait.ms")]
    pub queued_max_wait_ms: u64,
    /// The largest fetch response, in bytes of stored batches, whatever a client asks for. One larger batch is sent whole.
    #[serde(rename = "grpc.fetch.max.response.bytes")]
    pub fetch_max_response_bytes: u32,
    /// Bytes of fetch responses, on all connections together, that may be waiting to be sent before responses become
    /// small.
    #[serde(rename = "grpc.fetch.max.buffered.bytes")]
    pub fetch_max_buffered_bytes: usize,
    /// Partitions that one fetch stream may read.
    #[serde(rename = "grpc.fetch.max.partitions")]
    pub fetch_max_partitions: usize,
    /// Members of groups that this broker may serve at one time (`Consumer.Subscribe`).
    #[serde(rename = "grpc.subscribe.max.streams")]
    pub subscribe_max_streams: usize,
    /// Topics that one member of a group may name.
    #[serde(rename = "grpc.subscribe.max.topics")]
    pub subscribe_max_topics: usize,
    /// Topics that one page of a listing may have.
    #[serde(rename = "grpc.list.max.page.size")]
    pub list_max_page_size: usize,
}

impl GatewayOptions {
    /// `grpc.queued.max.wait.ms`.
    pub(crate) fn queued_max_wait(&self) -> Duration {
        Duration::from_millis(self.queued_max_wait_ms)
    }
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            // Far more than a stream needs to be busy, and small enough that all answers fit HTTP/2's smallest window.
            produce_stream_max_unanswered: 256,
            // Four of the largest messages.
            queued_max_request_bytes: 256 << 20,
            queued_max_wait_ms: 30_000,
            // Larger responses cost no less per byte.
            fetch_max_response_bytes: 8 << 20,
            fetch_max_buffered_bytes: 256 << 20,
            fetch_max_partitions: 10_000,
            // What ten connections can have open.
            subscribe_max_streams: 10_240,
            subscribe_max_topics: 10_000,
            // About a megabyte of topics with short names.
            list_max_page_size: 10_000,
        }
    }
}
