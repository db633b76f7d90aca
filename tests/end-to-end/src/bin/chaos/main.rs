//! One node under load that is killed, restarted and frozen, and a check of what the clients were told.
//!
//! Three librdkafka producers run all the while: acks=1, acks=all, and idempotent; a consumer follows each of their topics
//! by assignment. The consumers see no gap, no record out of its place, none that was not sent, and at no offset another
//! record than before, also when they read again after a fault. At the end nothing acknowledged is missing or changed, and
//! the idempotent producer's records are there once each and in order.
//!
//! The seed decides the faults, their order and their size; a fault strikes when so many records were acknowledged since
//! the one before. What processes and threads do between two faults is theirs.

mod load;
mod schedule;

use std::{
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use levada_end_to_end::Outcome;
use levada_harness::Node;

use crate::{
    load::Load,
    schedule::{Fault, Schedule, Step},
};

/// Kills, restarts and freezes a node under load and checks what the clients saw.
#[derive(Parser)]
struct Arguments {
    /// How long to go on.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// How many faults, in place of a time: what replays a run.
    #[arg(long, conflicts_with = "minutes")]
    faults: Option<usize>,
    /// The seed of the faults; without it one is drawn.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = arguments.seed.unwrap_or(drawn);
    println!("chaos: seed {seed}");
    let begun = Instant::now();
    let more = |faults: usize| match arguments.faults {
        Some(limit) => faults < limit,
        None => begun.elapsed() < Duration::from_secs(arguments.minutes * 60),
    };
    let mut faults = 0;
    let outcome = run(Schedule::new(seed), more, &mut faults);
    println!("chaos: the same faults again: cargo xtask chaos --seed {seed} --faults {faults}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Goes through the schedule while there are to be `more` than the `faults` so far, and checks everything.
fn run(schedule: Schedule, more: impl Fn(usize) -> bool, faults: &mut usize) -> Outcome {
    let mut node = Node::start()?;
    let mut load = Load::start(&node)?;
    for step in schedule {
        if !more(*faults) {
            break;
        }
        *faults += 1;
        println!("chaos: fault {faults}: {step}");
        if let Err(error) = strike(&mut node, &mut load, &step) {
            let findings = load.findings();
            return Err(format!("{error}\n{}\nthe node wrote:\n{}", findings.join("\n"), node.log()).into());
        }
    }
    load.check(&node).map_err(|error| format!("{error}\nthe node wrote:\n{}", node.log()).into())
}

/// One step: calm, the fault, and the node as it was before.
fn strike(node: &mut Node, load: &mut Load, step: &Step) -> Outcome {
    load.run_until_acknowledged(step.calm)?;
    match step.fault {
        Fault::Kill => {
            node.kill()?;
            load.run_for(step.down)?;
            node.start_again()?;
        }
        Fault::KillTwice(starting) => {
            node.kill()?;
            load.run_for(step.down)?;
            node.launch()?;
            load.run_for(starting)?;
            node.kill()?;
            node.start_again()?;
        }
        Fault::Stop => {
            let status = node.terminate()?;
            if !status.success() {
                return Err(format!("SIGTERM ended the node with {status}").into());
            }
            load.run_for(step.down)?;
            node.start_again()?;
        }
        Fault::Freeze(frozen) => {
            node.freeze()?;
            load.run_for(frozen)?;
            node.thaw()?;
        }
    }
    load.reread(step.reread);
    Ok(())
}
