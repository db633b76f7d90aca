//! One node under load that is killed, restarted and frozen at random, and a check of what the clients were told.
//!
//! Three librdkafka producers run all the while: acks=1, acks=all, and idempotent. At the end nothing acknowledged may be
//! missing or changed, offsets have no gap, and the idempotent producer's records are there once each and in order. The
//! seed decides the faults; the times at which they strike depend on the machine, so a seed narrows a failure down and
//! does not replay it exactly.

mod load;

use std::{
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use levada_end_to_end::{Outcome, Seeded};
use levada_harness::Node;

use crate::load::Load;

/// Kills, restarts and freezes a node under load and checks what the clients saw.
#[derive(Parser)]
struct Arguments {
    /// How long to go on.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// The seed of the faults; without it one is drawn.
    #[arg(long)]
    seed: Option<u64>,
}

/// The longest time between two faults, in milliseconds.
const MAX_CALM_MS: u64 = 3_000;

/// The longest time that the node stays frozen, in milliseconds.
const MAX_FROZEN_MS: u64 = 2_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = arguments.seed.unwrap_or(drawn);
    println!("chaos: seed {seed}");
    match run(Duration::from_secs(arguments.minutes * 60), &mut Seeded::new(seed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(duration: Duration, random: &mut Seeded) -> Outcome {
    let mut node = Node::start()?;
    let mut load = Load::start(&node)?;
    let (mut kills, mut stops, mut freezes) = (0, 0, 0);
    let begun = Instant::now();
    while begun.elapsed() < duration {
        load.run_for(Duration::from_millis(random.below(MAX_CALM_MS)))?;
        match random.below(4) {
            0 | 1 => {
                node.kill()?;
                kills += 1;
            }
            2 => {
                let status = node.terminate()?;
                if !status.success() {
                    return Err(format!("SIGTERM ended the node with {status}; it wrote:\n{}", node.log()).into());
                }
                stops += 1;
            }
            _ => {
                node.freeze()?;
                load.run_for(Duration::from_millis(random.below(MAX_FROZEN_MS)))?;
                node.thaw()?;
                freezes += 1;
                continue;
            }
        }
        load.run_for(Duration::from_millis(random.below(MAX_CALM_MS / 10)))?;
        node.start_again()?;
    }
    println!("chaos: {kills} kills, {stops} stops, {freezes} freezes");
    load.check(&node)
}
