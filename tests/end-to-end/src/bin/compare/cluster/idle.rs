//! What processes take while nothing is asked of them.

use std::{thread, time::Duration};

use levada_end_to_end::Outcome;
use levada_harness::{ProcessFacts, Role, SandboxProcess};

use super::{subject::Subject, table::row};

/// Until what was done before has gone through.
const SETTLE: Duration = Duration::from_secs(5);

/// How long is looked.
const TIME: Duration = Duration::from_secs(40);

/// A cluster with one small topic.
pub(crate) fn run() -> Outcome {
    let subject = Subject::start("idle", 1, &[], &[])?;
    tell(&subject, "idle cluster")
}

/// Prints what the busiest process of each role takes, and the memory of the largest.
pub(crate) fn tell(subject: &Subject, name: &str) -> Outcome {
    thread::sleep(SETTLE);
    let before = facts(subject)?;
    thread::sleep(TIME);
    let after = facts(subject)?;
    for (role, role_name) in [(Role::Controller, "controller"), (Role::Broker, "broker")] {
        let processes = subject.sandbox.processes().iter().zip(before.iter().zip(&after));
        let of_role = processes.filter(|(process, _)| process.role == role).map(|(_, facts)| facts);
        let (mut busiest, mut largest) = (0.0_f64, 0.0_f64);
        for (before, after) in of_role {
            let cpu = after.cpu.saturating_sub(before.cpu);
            busiest = busiest.max(cpu.as_secs_f64() / TIME.as_secs_f64());
            largest = largest.max(after.resident_bytes as f64 / 1e6);
        }
        row(&format!("{name}: busiest {role_name}"), &format!("{:.1} % of a core", busiest * 100.0), "< 3 %");
        row(&format!("{name}: largest {role_name}"), &format!("{largest:.0} MB resident"), "");
    }
    Ok(())
}

fn facts(subject: &Subject) -> Outcome<Vec<ProcessFacts>> {
    Ok(subject.sandbox.processes().iter().map(SandboxProcess::facts).collect::<Result<_, _>>()?)
}
