//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::sandbox::SandboxArguments;

/// A distributed event streaming platform with the semantics of Apache Kafka.
#[derive(Debug, Parser)]
#[command(name = "levada", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every role in one process, with nothing to configure.
    Dev(DevArguments),
    /// Run a controller: cluster metadata on Raft.
    Controller(OptionArguments),
    /// Run a broker: partition logs and the faces that clients see.
    Broker(OptionArguments),
    /// Run a group coordinator: consumer groups and committed offsets, which it keeps on the brokers.
    GroupCoordinator(OptionArguments),
    /// Run a whole cluster on this machine, every role in a process of its own.
    Sandbox(SandboxArguments),
    /// A command of an operator, or of the load generator.
    #[command(flatten)]
    Tool(levada_cli::Command),
}

/// Arguments of `levada dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Where all data is kept [default: ./levada-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where Kafka clients connect; port 0 takes a free one [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) kafka_addr: Option<String>,
    /// Where gRPC clients connect; port 0 takes a free one [default: 127.0.0.1:9090]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) grpc_addr: Option<String>,
    /// Where metrics and health are served; port 0 takes a free one [default: 127.0.0.1:9644]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http_addr: Option<String>,
    #[command(flatten)]
    pub(crate) options: OptionArguments,
}

/// Where options come from, beside the environment.
#[derive(Debug, Args)]
pub(crate) struct OptionArguments {
    /// A TOML file with options, under Kafka's names.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One option; stands above the file and the environment (LEVADA_NUM__PARTITIONS for num.partitions).
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}
