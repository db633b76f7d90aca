//! Operator commands, as table or JSON, and the load generator.
//!
//! The `levada` binary embeds [`Command`] among its own subcommands and hands what was parsed to [`run`]. Everything goes
//! over the public gRPC API by `levada-client`, except `log dump`, which reads files, and the load generator, which speaks
//! the Kafka protocol too.

mod bench;
mod byte_size;
mod error;
mod output;

pub use bench::BenchCommand;
pub use error::CliError;
pub use output::{Format, OutputArgs};

use std::process::ExitCode;

use clap::Subcommand;

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measures a server: throughput, latency, and its CPU time beside bare loops.
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// Runs a command. Results go to standard output, errors to standard error as one line.
///
/// Exit codes: 0 success, 1 failure, 2 usage.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Bench(command) => bench::run(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}
