//! One node under load that is killed, restarted and frozen, and a check of what the clients were told.
//!
//! Three librdkafka producers run all the while: acks=1, acks=all, and idempotent; a consumer follows each of their topics
//! by assignment. The consumers see no gap, no record out of its place, none that was not sent, and at no offset another
//! record than before, also when they read again after a fault. At the end nothing acknowledged is missing or changed, and
//! the idempotent producer's records are there once each and in order.
//!
//! With `--loss` every SIGKILL is a loss of power too: what was not synced is gone, but for a torn piece of it. The topics
//! then ask for a sync of every batch, and what was acknowledged must still be there.
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
use levada_end_to_end::{Outcome, Seeded};
use levada_harness::{LossyVolume, Node, NodeOptions};

use crate::{
    load::Load,
    schedule::{Fault, Schedule, Step},
};

/// What topics are asked for where power is lost: an acknowledgement means synced.
const SYNCED: &[(&str, &str)] = &[("flush.messages", "1")];

/// Kills, restarts and freezes a node under load and checks what the clients saw.
#[derive(Parser)]
struct Arguments {
    /// How long to go on.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// How many faults, in place of a time: what replays a run.
    #[arg(long, conflicts_with = "minutes")]
    faults: Option<usize>,
    /// SIGKILL also loses what was not synced; takes FUSE and the right to mount.
    #[arg(long)]
    loss: bool,
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
    let outcome = run(arguments.loss, Schedule::new(seed), more, &mut faults);
    let loss = if arguments.loss { " --loss" } else { "" };
    println!("chaos: the same faults again: cargo xtask chaos{loss} --seed {seed} --faults {faults}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The node under test, and the disk that it writes to if that can lose power.
struct Subject {
    // Gone before its disk is unmounted.
    node: Node,
    volume: Option<LossyVolume>,
}

impl Subject {
    fn start(loss: bool) -> Outcome<Self> {
        let volume = loss.then(LossyVolume::mount).transpose();
        let volume = volume.map_err(|error| format!("no volume that loses what is not synced: {error}"))?;
        let data_dir = volume.as_ref().map(|volume| volume.path().join("data"));
        Ok(Self { node: Node::start_with(NodeOptions { data_dir, ..NodeOptions::default() })?, volume })
    }

    /// SIGKILL, and the loss of power that it stands for.
    fn kill(&mut self, survival: u64) -> Outcome {
        self.node.kill()?;
        if let Some(volume) = &self.volume {
            let mut random = Seeded::new(survival);
            let lost = volume.lose_unsynced(|appended| random.below(appended + 1))?;
            println!("chaos: {} bytes in {} files were not synced and are gone", lost.bytes, lost.files);
        }
        Ok(())
    }
}

/// Goes through the schedule while there are to be `more` than the `faults` so far, and checks everything.
fn run(loss: bool, schedule: Schedule, more: impl Fn(usize) -> bool, faults: &mut usize) -> Outcome {
    let mut subject = Subject::start(loss)?;
    let mut load = Load::start(&subject.node, if loss { SYNCED } else { &[] })?;
    for step in schedule {
        if !more(*faults) {
            break;
        }
        *faults += 1;
        println!("chaos: fault {faults}: {step}");
        if let Err(error) = strike(&mut subject, &mut load, &step) {
            let findings = load.findings().join("\n");
            return Err(format!("{error}\n{findings}\nthe node wrote:\n{}", subject.node.log()).into());
        }
    }
    load.check(&subject.node).map_err(|error| format!("{error}\nthe node wrote:\n{}", subject.node.log()).into())
}

/// One step: calm, the fault, and the node as it was before.
fn strike(subject: &mut Subject, load: &mut Load, step: &Step) -> Outcome {
    load.run_until_acknowledged(step.calm)?;
    match step.fault {
        Fault::Kill => {
            subject.kill(step.survival)?;
            load.run_for(step.down)?;
            subject.node.start_again()?;
        }
        Fault::KillTwice(starting) => {
            subject.kill(step.survival)?;
            load.run_for(step.down)?;
            subject.node.launch()?;
            load.run_for(starting)?;
            subject.kill(!step.survival)?;
            subject.node.start_again()?;
        }
        Fault::Stop => {
            let status = subject.node.terminate()?;
            if !status.success() {
                return Err(format!("SIGTERM ended the node with {status}").into());
            }
            load.run_for(step.down)?;
            subject.node.start_again()?;
        }
        Fault::Freeze(frozen) => {
            subject.node.freeze()?;
            load.run_for(frozen)?;
            subject.node.thaw()?;
        }
    }
    load.reread(step.reread);
    Ok(())
}
