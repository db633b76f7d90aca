//! Levada's own load generator against a node of its own.

use std::process::Command;

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Node, levada_binary};

/// Runs `levada bench produce`, `consume` and `latency`.
pub(crate) fn run(pairs: u32, megabytes: u64) -> Outcome {
    let node = Node::start()?;
    let _ = (pairs, megabytes);
    for what in ["produce", "consume", "latency"] {
        let mut command = Command::new(levada_binary()?);
        command.args(["bench", what]).arg("--kafka-addr").arg(node.kafka()?.to_string());
        let status = command.status()?;
        if !status.success() {
            return fail(format!("levada bench {what}: {status}"));
        }
    }
    Ok(())
}
