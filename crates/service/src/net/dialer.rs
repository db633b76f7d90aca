//! The way to one address.

use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::{Address, Connection, Network};
use crate::grpc::Profile;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may be silent before it is asked whether it lives. A dead peer is noticed after this and
/// [`KEEPALIVE_TIMEOUT`].
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a peer may take to say that it lives.
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to one address, over TCP or in memory.
#[derive(Debug, Clone)]
pub struct Dialer {
    network: Network,
    address: Address,
}

impl Dialer {
    pub(super) fn new(network: Network, address: Address) -> Self {
        Self { network, address }
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// One new connection.
    pub async fn connect(&self) -> io::Result<Connection> {
        match &self.address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }
            Address::Memory(name) => self.network.connect_memory(name).await.map(Connection::Memory),
        }
    }

    /// A gRPC channel that connects on first use and again whenever its connection broke. Take one for bulk data and
    /// another for control messages, which must not wait behind bulk frames.
    #[must_use]
    pub fn channel(&self, profile: Profile) -> Channel {
        // The URI only fills the :authority header; where the channel leads is the connector's affair.
        let endpoint = profile.tune_client(Endpoint::from(Uri::from_static("http://levada.internal")));
        let dialer = self.clone();
        endpoint.connect_timeout(CONNECT_TIMEOUT).connect_with_connector_lazy(service_fn(move |_: Uri| {
            let dialer = dialer.clone();
            async move { dialer.connect().await.map(TokioIo::new) }
        }))
    }
}
