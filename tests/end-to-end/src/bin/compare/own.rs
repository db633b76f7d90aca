//! Levada's own load generator against a node of its own, beside the bare loops of the same run.

use std::process::Command;

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Node, levada_binary};

/// What is measured: a subcommand of `levada bench` with its arguments, in the order in which it is printed.
const MEASUREMENTS: [&str; 8] = [
    "produce --protocol kafka --bare --record-size 1KiB --batch-size 64KiB --acks 1",
    "consume --protocol kafka --bare --record-size 1KiB --fetch-bytes 1MiB",
    "produce --protocol grpc --bare --record-size 1KiB --batch-size 256KiB --acks 1",
    "consume --protocol grpc --bare --record-size 1KiB --fetch-bytes 1MiB",
    "produce --protocol grpc-records --bare --record-size 1KiB --batch-size 256KiB --acks 1",
    "produce --protocol kafka --verify --records 5000000 --record-size 100",
    "latency --protocol kafka --rate 1000 --acks all --record-size 1KiB",
    "latency --protocol grpc --rate 1000 --acks all --record-size 1KiB",
];

/// Runs every measurement and prints what the load generator prints, then what the node holds at rest.
pub(crate) fn run(pairs: u32, megabytes: u64) -> Outcome {
    let idle = Node::start()?;
    println!("resident memory of an idle node: {:.1} MB", idle.facts()?.resident_bytes as f64 / 1e6);
    drop(idle);
    for measurement in MEASUREMENTS {
        let node = Node::start()?;
        let address = if measurement.contains("grpc") { node.grpc()? } else { node.kafka()? };
        let mut command = Command::new(levada_binary()?);
        command.arg("bench").args(measurement.split(' '));
        command.arg("--addr").arg(address.to_string());
        command.arg("--server-pid").arg(node.pid()?.to_string());
        if measurement.contains("--bare") {
            command.arg("--pairs").arg(pairs.to_string());
            command.arg("--bytes").arg(format!("{megabytes}MB"));
            command.arg("--directory").arg(node.data_dir());
        }
        println!("$ levada bench {measurement}");
        let status = command.status()?;
        if !status.success() {
            return fail(format!("levada bench {measurement}: {status}"));
        }
    }
    Ok(())
}
