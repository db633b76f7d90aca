//! The `levada` binary: composes roles, faces and commands.
//!
//! `levada dev` runs every role in one process; `levada controller`, `levada broker` and `levada group-coordinator` run one;
//! `levada sandbox` starts a process for each; everything else is a command of an operator or of a benchmark. Roles are started by the same functions
//! in every mode.

mod arguments;
mod broker_role;
mod console;
mod controller_role;
mod dev;
mod failure;
mod group_coordinator_role;
mod listeners;
mod process;
mod role;
mod sandbox;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;

/// Small and fast under many threads; at the frame sizes of record batches it is worth a third of the throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Controller(arguments) => role::run_controller(&arguments),
        Command::Broker(arguments) => role::run_broker(&arguments),
        Command::GroupCoordinator(arguments) => role::run_group_coordinator(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments).map_err(Failure::from),
        Command::Tool(command) => return levada_cli::run(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::complain(&failure);
            failure.exit_code()
        }
    }
}
