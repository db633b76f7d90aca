//! One node, or with `--cluster` three controllers and three brokers, under load, killed, restarted and frozen, and a check
//! of what the clients were told.
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
mod subject;

use std::{
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use levada_end_to_end::Outcome;

use crate::{
    load::Load,
    schedule::{Fault, Schedule, Step},
    subject::Subject,
};

/// What topics are asked for where power is lost: an acknowledgement means synced.
const SYNCED: &[(&str, &str)] = &[("flush.messages", "1")];

/// Kills, restarts and freezes processes under load and checks what the clients saw.
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
    /// Three controllers and three brokers in place of one node; a fault strikes one of them, or two neighbours.
    #[arg(long, conflicts_with = "loss")]
    cluster: bool,
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
    let outcome = run(&arguments, Schedule::new(seed), more, &mut faults);
    let kind = match (arguments.cluster, arguments.loss) {
        (true, _) => " --cluster",
        (_, true) => " --loss",
        _ => "",
    };
    println!("chaos: the same faults again: cargo xtask chaos{kind} --seed {seed} --faults {faults}");
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: seed {seed}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Goes through the schedule while there are to be `more` than the `faults` so far, and checks everything.
fn run(arguments: &Arguments, schedule: Schedule, more: impl Fn(usize) -> bool, faults: &mut usize) -> Outcome {
    let mut subject = if arguments.cluster { Subject::cluster()? } else { Subject::node(arguments.loss)? };
    let mut load = Load::start(subject.kafka()?, if arguments.loss { SYNCED } else { &[] })?;
    for step in schedule {
        if !more(*faults) {
            break;
        }
        *faults += 1;
        println!("chaos: fault {faults} strikes {}: {step}", subject.name(step.victim));
        if let Err(error) = strike(&mut subject, &mut load, &step) {
            let findings = load.findings().join("\n");
            return Err(format!("{error}\n{findings}\n{}", subject.log()).into());
        }
    }
    load.check(subject.kafka()?).map_err(|error| format!("{error}\n{}", subject.log()).into())
}

/// One step: calm, the fault, and the subject as it was before.
fn strike(subject: &mut Subject, load: &mut Load, step: &Step) -> Outcome {
    load.run_until_acknowledged(step.calm)?;
    let victim = step.victim;
    match step.fault {
        Fault::Kill => {
            subject.kill(victim, step.survival)?;
            load.run_for(step.down)?;
            subject.start_again(victim)?;
        }
        Fault::KillTwice(starting) => {
            subject.kill(victim, step.survival)?;
            load.run_for(step.down)?;
            subject.kill_again(victim, !step.survival, starting, |duration| load.run_for(duration))?;
        }
        Fault::Stop => {
            subject.terminate(victim)?;
            load.run_for(step.down)?;
            subject.start_again(victim)?;
        }
        Fault::Freeze(frozen) => {
            subject.freeze(victim)?;
            load.run_for(frozen)?;
            subject.thaw(victim)?;
        }
    }
    load.reread(step.reread);
    Ok(())
}
