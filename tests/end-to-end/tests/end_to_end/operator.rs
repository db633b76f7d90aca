//! `levada` as an operator calls it, against running brokers.

use std::process::{Command, Output};

use levada_end_to_end::{Outcome, fail};
use levada_harness::levada_binary;

/// Runs `levada` against these brokers and returns what it did.
pub(crate) fn levada(servers: &str, arguments: &[&str]) -> Outcome<Output> {
    Ok(Command::new(levada_binary()?).args(arguments).args(["--server", servers]).output()?)
}

/// What it wrote to stdout, if it succeeded.
pub(crate) fn written(arguments: &[&str], output: Output) -> Outcome<Vec<u8>> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    fail(format!("{arguments:?}: {} {}", output.status, String::from_utf8_lossy(&output.stderr)))
}
