//! The options of the Kafka face, under Kafka's names.

use std::time::Duration;

use levada_broker::DEFAULT_QUEUED_BYTES;
use serde::{Deserialize, Serialize};

/// What an operator may set. The names on the wire of the configuration are Kafka's; where Kafka has no such setting,
/// the comment says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaOptions {
    /// Where to listen: `NAME://host:port`, or `host:port` for the name PLAINTEXT. Port 0 lets the system choose. A
    /// client that comes in through a listener is told the brokers' addresses of that name.
    #[serde(rename = "listeners")]
    pub listeners: String,
    /// The address that clients are told, in the same form; the one listened at if empty. Port 0 stands for the port
    /// that was bound.
    #[serde(rename = "advertised.listeners")]
    pub advertised_listeners: String,
    /// The largest request in bytes, length field excluded.
    #[serde(rename = "socket.request.max.bytes")]
    pub socket_request_max_bytes: usize,
    /// How many connections may be open; one more is closed as soon as it is accepted.
    #[serde(rename = "max.connections")]
    pub max_connections: usize,
    /// How many connections one address may have open.
    #[serde(rename = "max.connections.per.ip")]
    pub max_connections_per_ip: usize,
    /// A connection on which nothing happened for this long is closed, in milliseconds.
    #[serde(rename = "connections.max.idle.ms")]
    pub connections_max_idle_ms: u64,
    /// How many requests of one connection may be unanswered; at the bound it is not read. Kafka allows one at a time.
    #[serde(rename = "connection.queued.max.requests")]
    pub connection_queued_max_requests: usize,
    /// How many bytes the unanswered requests of one connection may hold; at the bound it is not read. One request
    /// may exceed it alone. Not a setting of Kafka's.
    #[serde(rename = "connection.queued.max.request.bytes")]
    pub connection_queued_max_request_bytes: usize,
    /// How many bytes of requests, arriving or unanswered, all connections may hold together; at least the size of one
    /// request, and a sixteenth more for small ones. -1, Kafka's default and no bound there, means
    /// [`DEFAULT_QUEUED_BYTES`] here.
    #[serde(rename = "queued.max.request.bytes")]
    pub queued_max_request_bytes: i64,
    /// How long a connection waits for its share of `queued.max.request.bytes` before it is closed, in milliseconds.
    /// Not a setting of Kafka's.
    #[serde(rename = "queued.max.wait.ms")]
    pub queued_max_wait_ms: u64,
    /// How many connections the kernel holds before they are accepted.
    #[serde(rename = "socket.listen.backlog.size")]
    pub socket_listen_backlog_size: u32,
    /// Whether records leave by `sendfile`; otherwise they are read into a buffer and written. Not a setting of Kafka's.
    #[serde(rename = "fetch.sendfile.enable")]
    pub fetch_sendfile_enable: bool,
    /// At most this many bytes in the answer to one fetch, whatever the client asks for.
    #[serde(rename = "fetch.max.bytes")]
    pub fetch_max_bytes: u32,
    /// How many fetch sessions are kept (KIP-227).
    #[serde(rename = "max.incremental.fetch.session.cache.slots")]
    pub max_incremental_fetch_session_cache_slots: usize,
    /// At most this many partitions in one answer to DescribeTopicPartitions.
    #[serde(rename = "max.request.partition.size.limit")]
    pub max_request_partition_size_limit: usize,
    /// How long a shutdown, or a client that has closed its side, waits for requests in flight, in milliseconds. Not a
    /// setting of Kafka's.
    #[serde(rename = "connection.shutdown.wait.ms")]
    pub connection_shutdown_wait_ms: u64,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            listeners: "PLAINTEXT://127.0.0.1:9092".to_owned(),
            advertised_listeners: String::new(),
            // Kafka's default.
            socket_request_max_bytes: 104_857_600,
            // Kafka has no bound; a connection costs some kilobytes and a descriptor.
            max_connections: 10_000,
            max_connections_per_ip: 10_000,
            // Kafka's default, ten minutes.
            connections_max_idle_ms: 600_000,
            // Twenty times what the Java producer keeps in flight.
            connection_queued_max_requests: 100,
            // Five requests in flight (the Java producer's most) of 1 MiB (its largest) and some room. A client that
            // bounds nothing itself, as librdkafka does, fills whatever is allowed here.
            connection_queued_max_request_bytes: 8 << 20,
            queued_max_request_bytes: -1,
            queued_max_wait_ms: 30_000,
            // Kafka's default is 50; a storm of reconnecting clients is larger.
            socket_listen_backlog_size: 1_024,
            fetch_sendfile_enable: true,
            // Kafka's default, 55 MiB.
            fetch_max_bytes: 57_671_680,
            max_incremental_fetch_session_cache_slots: 1_000,
            max_request_partition_size_limit: 2_000,
            connection_shutdown_wait_ms: 5_000,
        }
    }
}

impl KafkaOptions {
    /// `connections.max.idle.ms`.
    pub(crate) fn max_idle(&self) -> Duration {
        Duration::from_millis(self.connections_max_idle_ms)
    }

    /// The memory for requests: `queued.max.request.bytes`, in which the largest request must fit.
    pub(crate) fn queued_bytes(&self) -> usize {
        let wanted = usize::try_from(self.queued_max_request_bytes).unwrap_or(DEFAULT_QUEUED_BYTES);
        wanted.max(self.socket_request_max_bytes.saturating_add(1 << 20))
    }

    /// `queued.max.wait.ms`.
    pub(crate) fn queued_max_wait(&self) -> Duration {
        Duration::from_millis(self.queued_max_wait_ms)
    }

    /// `connection.shutdown.wait.ms`.
    pub(crate) fn shutdown_wait(&self) -> Duration {
        Duration::from_millis(self.connection_shutdown_wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_default_is_a_bound_and_the_largest_request_fits_any() {
        let bytes = |queued_max_request_bytes| {
            KafkaOptions { queued_max_request_bytes, socket_request_max_bytes: 100, ..KafkaOptions::default() }
                .queued_bytes()
        };
        assert_eq!((bytes(-1), KafkaOptions::default().queued_bytes()), (DEFAULT_QUEUED_BYTES, DEFAULT_QUEUED_BYTES));
        assert_eq!((bytes(2 << 20), bytes(0)), (2 << 20, (1 << 20) + 100));
    }
}
