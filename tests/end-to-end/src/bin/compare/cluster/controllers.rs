//! SIGKILL of the active controller: how long until the cluster takes its next decision.

use std::{
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, fail};

use super::{
    subject::Subject,
    table::{median_and_greatest, row},
};

const TOPIC: &str = "failover";

/// The pause before a decision that failed is asked for again, as the failover of a leader is measured too.
const RETRY: Duration = Duration::from_millis(10);

/// How long the cluster may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kills the active controller so many times, and asks for a new topic at once; it is started again before the next kill.
pub(crate) fn run(kills: u32) -> Outcome {
    let mut subject = Subject::start(TOPIC, 1, &[], &[])?;
    let admin = Admin::connect(subject.sandbox.broker(1)?.kafka()?)?;
    let mut times_ms = Vec::new();
    for kill in 0..kills {
        let controller = subject.active_controller()?;
        let killed = Instant::now();
        subject.sandbox.controller(controller)?.kill()?;
        decide(&admin, &format!("decided-{kill}"))?;
        let took_ms = killed.elapsed().as_secs_f64() * 1e3;
        eprintln!("SIGKILL of the active controller: {took_ms:.1} ms");
        times_ms.push(took_ms);
        subject.sandbox.controller(controller)?.start_again()?;
        subject.wait_until_controllers_agree()?;
    }
    row("SIGKILL of the active controller to the next topic created", &median_and_greatest(&times_ms), "< 1,000 ms");
    Ok(())
}

/// Creates a topic, again and again until there is one.
fn decide(admin: &Admin, topic: &str) -> Outcome {
    let begun = Instant::now();
    loop {
        match admin.create_replicated_topic(topic, (1, 3), &[]) {
            Ok(()) => return Ok(()),
            // An attempt whose outcome was unknown has made it.
            Err(error) if error.to_string().contains("TopicAlreadyExists") => return Ok(()),
            Err(_) if begun.elapsed() < PATIENCE => thread::sleep(RETRY),
            Err(error) => return fail(format!("{PATIENCE:?} without a decision: {error}")),
        }
    }
}
