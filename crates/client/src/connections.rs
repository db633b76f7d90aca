//! gRPC channels to brokers, one per address, for one user of the cluster.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};

use crate::ClientError;

/// The largest message that the client reads: a fetch response is bounded by what the client asks for, except that one
/// batch always comes whole.
pub(crate) const MAX_MESSAGE_BYTES: usize = 128 << 20;

/// How long one attempt to connect may take; Kafka's `socket.connection.setup.timeout.ms`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be silent before it is asked whether it lives. Together with [`KEEPALIVE_TIMEOUT`] about as long
/// as the cluster takes to elect others for a broker that froze or was cut off (`broker.session.timeout.ms`).
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a broker may take to say that it lives.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that one bulk stream may have in flight towards the client.
const BULK_STREAM_WINDOW: u32 = 16 << 20;

/// Bytes that one bulk connection may have in flight towards the client.
const BULK_CONNECTION_WINDOW: u32 = 32 << 20;

/// The largest HTTP/2 frame of a bulk connection: large messages cost much less in frames of 1 MiB than in the protocol's
/// default of 16 KiB.
const BULK_FRAME: u32 = 1 << 20;

/// Channels, made on first use. Everybody who moves bulk data (a producer, a consumer) has a set of its own, because
/// HTTP/2's flow control is per connection: a consumer that stops reading must not hold up anybody else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections {
    bulk: bool,
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Connections {
    /// For questions and changes.
    pub(crate) fn control() -> Self {
        Self::default()
    }

    /// For records.
    pub(crate) fn bulk() -> Self {
        Self { bulk: true, channels: Arc::default() }
    }

    /// The channel to `address` (`host:port`). It connects on first use, and again after it broke.
    pub(crate) fn channel(&self, address: &str) -> Result<Channel, ClientError> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = self.endpoint(address)?.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, ClientError> {
        let endpoint = Endpoint::from_str(&format!("http://{address}"))
            .map_err(|error| ClientError::InvalidOptions(format!("{address:?} is not host:port: {error}")))?
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        if !self.bulk {
            return Ok(endpoint);
        }
        Ok(endpoint
            .initial_stream_window_size(BULK_STREAM_WINDOW)
            .initial_connection_window_size(BULK_CONNECTION_WINDOW)
            .max_frame_size(BULK_FRAME))
    }
}
