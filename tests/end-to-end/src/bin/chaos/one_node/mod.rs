//! One node under load, killed, restarted and frozen, and a check of what the clients were told.
//!
//! Three librdkafka producers run all the while: acks=1, acks=all, and idempotent; a consumer follows each of their topics
//! by assignment. The consumers see no gap, no record out of its place, none that was not sent, and at no offset another
//! record than before, also when they read again after a fault. At the end nothing acknowledged is missing or changed, and
//! the idempotent producer's records are there once each and in order.
//!
//! With `--loss` every SIGKILL is a loss of power too: what was not synced is gone, but for a torn piece of it. The topics
//! then ask for a sync of every batch, and what was acknowledged must still be there.

mod load;
mod schedule;
mod subject;

use levada_end_to_end::Outcome;

use self::{
    load::Load,
    schedule::{Fault, Schedule, Step},
    subject::Subject,
};
use crate::Arguments;

/// What topics are asked for where power is lost: an acknowledgement means synced.
const SYNCED: &[(&str, &str)] = &[("flush.messages", "1")];

/// Goes through the schedule of `seed` while there are to be `more` than the `faults` so far, and checks everything.
pub(crate) fn run(arguments: &Arguments, seed: u64, more: impl Fn(usize) -> bool, faults: &mut usize) -> Outcome {
    let mut subject = Subject::start(arguments.loss)?;
    let mut load = Load::start(subject.kafka()?, if arguments.loss { SYNCED } else { &[] })?;
    for step in Schedule::new(seed) {
        if crate::interrupted() || !more(*faults) {
            break;
        }
        *faults += 1;
        println!("chaos: fault {faults} strikes the node: {step}");
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
    match step.fault {
        Fault::Kill => {
            subject.kill(step.survival)?;
            load.run_for(step.down)?;
            subject.start_again()?;
        }
        Fault::KillTwice(starting) => {
            subject.kill(step.survival)?;
            load.run_for(step.down)?;
            subject.kill_again(!step.survival, starting, |duration| load.run_for(duration))?;
        }
        Fault::Stop => {
            subject.terminate()?;
            load.run_for(step.down)?;
            subject.start_again()?;
        }
        Fault::Freeze(frozen) => {
            subject.freeze()?;
            load.run_for(frozen)?;
            subject.thaw()?;
        }
    }
    load.reread(step.reread);
    Ok(())
}
