//! Which cluster a command talks to.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use clap::Args;
use levada_client::{Client, ClientError, ClientOptions};
use tokio::runtime::{Builder, Runtime};

use crate::{CliError, output};

/// How long a broker may take to accept a connection before a command gives up on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the cluster is reached.
#[derive(Debug, Clone, Args)]
pub struct ConnectArgs {
    /// gRPC addresses of one or more brokers, with commas between them; the other brokers are learned from these.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090", value_delimiter = ',')]
    pub(crate) server: Vec<String>,
}

impl ConnectArgs {
    /// A client of the cluster.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        client(&self.server)
    }
}

/// A client of the cluster that is reached at `servers`. A client tries again for as long as a request may take, which is
/// right for programs; a person who mistyped an address is told at once.
pub(crate) fn client(servers: &[String]) -> Result<Client, CliError> {
    let mut failure = None;
    for (place, server) in servers.iter().enumerate() {
        match accepts(server) {
            Ok(()) => {
                // Those before it do not answer and are asked last.
                let (gone, alive) = servers.split_at(place);
                let in_turn = alive.iter().chain(gone);
                let options = ClientOptions { on_retry: Some(tell), ..ClientOptions::new(in_turn) };
                return Ok(Client::new(options)?);
            }
            Err(error) => failure = Some(error),
        }
    }
    let reason = failure.map_or_else(|| "no address is given".to_owned(), |error| error.to_string());
    let servers = servers.join(", ");
    Err(CliError::Failed(format!(
        "no broker serves gRPC at {servers}: {reason}; is it running? Of a cluster any broker will do, and several can be \
         given: --server HOST:PORT,HOST:PORT"
    )))
}

/// Says on standard error why nothing happens, once for each question that a broker does not answer.
fn tell(error: &ClientError) {
    output::tell(format_args!("{error}; trying again"));
}

/// Whether anybody accepts connections at `server`.
fn accepts(server: &str) -> io::Result<()> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in server.to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map(drop);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// What the commands' futures run on: one thread for questions and changes, more where records move.
pub(crate) fn runtime(threads: usize) -> Result<Runtime, CliError> {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(CliError::io("starting threads"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_where_nobody_is_fails_at_once_and_one_of_several_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap().to_string();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(client(&[gone.clone(), there]).is_ok());
        let error = client(std::slice::from_ref(&gone)).unwrap_err().to_string();
        assert!(error.contains(&gone) && error.contains("is it running?"), "{error}");
        assert!(client(&["nonsense".to_owned()]).is_err());
    }
}
