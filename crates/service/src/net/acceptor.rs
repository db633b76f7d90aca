//! Accepts TCP connections, and does not spin while the system cannot hand any over.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How long to wait after the system could not accept a connection for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound TCP socket.
#[derive(Debug)]
pub struct Acceptor {
    socket: TcpListener,
    /// The last attempt failed in a way that does not pass by itself.
    pause: bool,
}

impl Acceptor {
    /// Accepts what arrives at `socket`.
    #[must_use]
    pub fn new(socket: TcpListener) -> Self {
        Self { socket, pause: false }
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for the next connection, which has Nagle's algorithm off. May be dropped at any time without losing one.
    ///
    /// # Errors
    /// What became of one connection or of one attempt; there may be a next one. After an error such as too many open
    /// descriptors the next attempt waits a little.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.pause {
            tokio::time::sleep(PAUSE).await;
            self.pause = false;
        }
        let accepted = self.socket.accept().await;
        self.pause = accepted.as_ref().is_err_and(|error| !is_of_one_connection(error));
        let (stream, peer) = accepted?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }
}

/// Whether `error` is that of the connection that would have been accepted, so that the next one may do better at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected)
}
