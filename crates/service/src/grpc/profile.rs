//! The transport settings of a connection: for bulk data or for control messages.

use tonic::transport::{Endpoint, Server};

use crate::net::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};

/// Bytes of one bulk stream that may be on their way to a client, which asked for them.
const BULK_CLIENT_STREAM_WINDOW: u32 = 16 << 20;

/// Bytes of one bulk connection that may be on their way to a client, over all its streams.
const BULK_CLIENT_CONNECTION_WINDOW: u32 = 32 << 20;

/// Bytes of one bulk stream that may be on their way to a server. A quarter of the client's, since every connection can
/// make a server hold as much before a handler has looked at it; it costs no throughput that could be measured.
const BULK_SERVER_STREAM_WINDOW: u32 = 4 << 20;

/// Bytes of one bulk connection that may be on their way to a server, over all its streams.
const BULK_SERVER_CONNECTION_WINDOW: u32 = 8 << 20;

/// The largest HTTP/2 frame of a bulk connection. At the protocol's default of 16 KiB a message of 256 KiB or more
/// costs about 1.7 times the CPU; beyond 1 MiB it gets slower again.
const BULK_FRAME: u32 = 1 << 20;

/// Bytes that one control stream may have in flight; enough for a metadata snapshot to flow.
const CONTROL_STREAM_WINDOW: u32 = 1 << 20;

/// Bytes that one control connection may have in flight over all its streams.
const CONTROL_CONNECTION_WINDOW: u32 = 2 << 20;

/// What a connection is for. Both kinds may lead to the same server; each needs a connection of its own, because a
/// 1 MiB frame makes a heartbeat behind it wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Record batches: wide windows and large frames.
    Bulk,
    /// Heartbeats, metadata, consensus: small windows, the protocol's default frames.
    Control,
}

impl Profile {
    pub(crate) fn tune_client(self, endpoint: Endpoint) -> Endpoint {
        let endpoint = endpoint
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        match self {
            Self::Bulk => endpoint
                .initial_stream_window_size(BULK_CLIENT_STREAM_WINDOW)
                .initial_connection_window_size(BULK_CLIENT_CONNECTION_WINDOW)
                .max_frame_size(BULK_FRAME),
            Self::Control => endpoint
                .initial_stream_window_size(CONTROL_STREAM_WINDOW)
                .initial_connection_window_size(CONTROL_CONNECTION_WINDOW),
        }
    }

    pub(crate) fn tune_server(self, server: Server) -> Server {
        let server = server
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
        match self {
            Self::Bulk => server
                .initial_stream_window_size(BULK_SERVER_STREAM_WINDOW)
                .initial_connection_window_size(BULK_SERVER_CONNECTION_WINDOW)
                .max_frame_size(BULK_FRAME),
            Self::Control => server
                .initial_stream_window_size(CONTROL_STREAM_WINDOW)
                .initial_connection_window_size(CONTROL_CONNECTION_WINDOW),
        }
    }
}
