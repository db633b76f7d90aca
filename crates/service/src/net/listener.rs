//! Where connections arrive.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;

use super::{Address, Connection};

/// How long to wait after the system could not accept a connection for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener. Binding comes before everything else in a role's start, so that the address it announces is one
/// that it really has.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A name in this process's [`super::Network`], which is free again when this is dropped.
    Memory {
        /// The name.
        name: String,
        /// Connections made to it.
        incoming: mpsc::Receiver<tokio::io::DuplexStream>,
    },
}

impl Listener {
    /// Binds a TCP socket; port 0 takes a free one.
    pub async fn bind_tcp(address: &str) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self::Tcp)
    }

    /// The address that was really bound.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(|address| Address::Tcp(address.to_string())),
            Self::Memory { name, .. } => Ok(Address::Memory(name.clone())),
        }
    }

    /// The socket address that was really bound, if this is TCP.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Memory { .. } => None,
        }
    }

    /// Waits for the next connection. `None` when no more can come. TCP connections have Nagle's algorithm off.
    pub async fn accept(&mut self) -> Option<io::Result<Connection>> {
        match self {
            Self::Tcp(socket) => Some(match socket.accept().await {
                Ok((stream, _)) => stream.set_nodelay(true).map(|()| Connection::Tcp(stream)),
                Err(error) => Err(error),
            }),
            Self::Memory { incoming, .. } => incoming.recv().await.map(Connection::Memory).map(Ok),
        }
    }

    /// The connections as a stream. An error of one `accept` is an item, never the end; after one that will not pass
    /// by itself, such as too many open descriptors, the next attempt waits a little.
    pub fn incoming(self) -> impl Stream<Item = io::Result<Connection>> + Send {
        futures::stream::unfold((self, false), |(mut listener, pause)| async move {
            if pause {
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            let connection = listener.accept().await?;
            let pause = connection.as_ref().is_err_and(|error| !is_of_one_connection(error));
            Some((connection, (listener, pause)))
        })
    }
}

/// Whether `error` is that of the connection that would have been accepted, so that the next one may do better at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected)
}
