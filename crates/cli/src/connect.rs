//! Which cluster a command talks to.

use clap::Args;
use levada_client::{Client, ClientOptions};
use tokio::runtime::{Builder, Runtime};

use crate::CliError;

/// Where the cluster is reached.
#[derive(Debug, Clone, Args)]
pub struct ConnectArgs {
    /// gRPC addresses of one or more brokers, with commas between them; the other brokers are learned from these.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090", value_delimiter = ',')]
    pub(crate) server: Vec<String>,
}

impl ConnectArgs {
    /// A client of the cluster. Connects on first use.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        Ok(Client::new(ClientOptions::new(self.server.clone()))?)
    }
}

/// What the commands' futures run on: one thread for questions and changes, more where records move.
pub(crate) fn runtime(threads: usize) -> Result<Runtime, CliError> {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(CliError::io("starting threads"))
}
