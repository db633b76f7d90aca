//! A client that administers a cluster: what it asks of one of which nobody is missing, and of one that a broker has left
//! for good.

use std::process::Command;

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Role, Sandbox, SandboxOptions};

use crate::{plan::Client, program};

/// Who leaves.
const LEAVES: u32 = 3;

/// Runs both phases against a cluster of its own.
pub(crate) fn run(client: &Client) -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(3, 3))?;
    let brokers = sandbox.processes().iter().filter(|process| process.role == Role::Broker);
    let bootstrap = brokers.map(|broker| Ok(broker.kafka()?.to_string())).collect::<Outcome<Vec<_>>>()?.join(",");

    let mut command = program::command(client)?;
    command.arg("administer").arg("--bootstrap").arg(&bootstrap);
    phase("administer", command, &sandbox)?;
    sandbox.broker(LEAVES)?.terminate()?;
    let mut command = program::command(client)?;
    command.arg("take-out").arg("--bootstrap").arg(&bootstrap).arg("--broker").arg(LEAVES.to_string());
    phase("take-out", command, &sandbox)
}

fn phase(name: &str, mut command: Command, sandbox: &Sandbox) -> Outcome {
    let status = command.status()?;
    if status.success() { Ok(()) } else { fail(format!("{name}: {status}\n{}", sandbox.log())) }
}
