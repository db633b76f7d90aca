//! `levada dev`: every role in one process, reaching each other in memory.

use std::future;

use levada_service::shutdown::Drain;

use crate::arguments::DevArguments;
use crate::failure::Failure;
use crate::process::{Given, Process};

/// Runs until the process is asked to stop.
pub(crate) fn run(arguments: &DevArguments) -> Result<(), Failure> {
    let presets = [("http.listener", arguments.http_addr.clone())];
    let given = Given::read(presets, &arguments.options)?;
    given.run("dev", serve)
}

async fn serve(mut process: Process) -> Result<(), Failure> {
    println!("ready http={}", process.http);
    let outcome = process.until_stopped(future::pending()).await;
    process.drain(Drain::new()).await;
    outcome
}
