//! The network of one process: TCP addresses as they are, and names for in-memory listeners.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use super::{Address, Dialer, Listener};

/// Bytes that one direction of an in-memory connection holds before its writer waits. The buffer grows to it on use.
const MEMORY_STREAM_BYTES: usize = 256 * 1024;

/// In-memory connections that may wait to be accepted, as the backlog of a socket.
const MEMORY_BACKLOG: usize = 64;

type Names = Mutex<HashMap<String, mpsc::Sender<DuplexStream>>>;

/// Binds listeners and makes dialers. Clones share their in-memory names.
#[derive(Debug, Clone, Default)]
pub struct Network {
    names: Arc<Names>,
}

impl Network {
    /// A network without in-memory listeners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds `address`. An in-memory name that is taken is an error, as a port that is taken would be.
    pub async fn bind(&self, address: &Address) -> io::Result<Listener> {
        match address {
            Address::Tcp(address) => Listener::bind_tcp(address).await,
            Address::Memory(name) => {
                let (sender, incoming) = mpsc::channel(MEMORY_BACKLOG);
                let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
                if names.get(name).is_some_and(|taken| !taken.is_closed()) {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{address} is in use")));
                }
                names.insert(name.clone(), sender);
                Ok(Listener::Memory { name: name.clone(), incoming })
            }
        }
    }

    /// The way to `address`. Nothing is connected yet, nor need anything listen there yet.
    #[must_use]
    pub fn dialer(&self, address: Address) -> Dialer {
        Dialer::new(self.clone(), address)
    }

    pub(super) async fn connect_memory(&self, name: &str) -> io::Result<DuplexStream> {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, format!("nothing listens at memory:{name}"));
        let listener = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.get(name).cloned().ok_or_else(refused)?
        };
        let (ours, theirs) = tokio::io::duplex(MEMORY_STREAM_BYTES);
        listener.send(theirs).await.map_err(|_| refused())?;
        Ok(ours)
    }
}
