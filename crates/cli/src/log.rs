//! `levada log`: what can be done with the files of a log, without a broker.

use clap::Subcommand;

use crate::CliError;
use crate::log_dump::{self, DumpArgs};
use crate::log_import::{self, ImportArgs};

/// What to do with files of a log.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Prints segments, indexes, snapshots and checkpoints of a data directory or of one partition's directory, and checks
    /// them. Fails if anything is wrong.
    Dump(DumpArgs),
    /// Copies the topics of a data directory that Kafka wrote into one of Levada: the same records at the same offsets.
    Import(ImportArgs),
}

/// Runs one of the commands.
pub(crate) fn run(command: LogCommand) -> Result<(), CliError> {
    match command {
        LogCommand::Dump(args) => log_dump::run(&args),
        LogCommand::Import(args) => log_import::run(&args),
    }
}
