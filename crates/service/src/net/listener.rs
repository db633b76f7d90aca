//! Where connections arrive.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;

use super::{Acceptor, Address, Connection};

/// A bound listener. Binding comes before everything else in a role's start, so that the address it announces is one
/// that it really has.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(Acceptor),
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
        TcpListener::bind(address).await.map(Acceptor::new).map(Self::Tcp)
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
            Self::Tcp(socket) => Some(socket.accept().await.map(|(stream, _)| Connection::Tcp(stream))),
            Self::Memory { incoming, .. } => incoming.recv().await.map(Connection::Memory).map(Ok),
        }
    }

    /// The connections as a stream. An error of one `accept` is an item, never the end.
    pub fn incoming(self) -> impl Stream<Item = io::Result<Connection>> + Send {
        futures::stream::unfold(self, |mut listener| async move {
            let connection = listener.accept().await?;
            Some((connection, listener))
        })
    }
}
