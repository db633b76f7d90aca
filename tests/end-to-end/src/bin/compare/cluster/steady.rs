//! Full load without faults: whoever is slow is neither fenced nor thrown out of an in-sync set.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Role, levada_binary};
use serde::Deserialize;

use super::{metrics::metric, subject::Subject, table::row};

const TOPIC: &str = "steady";
const PARTITIONS: i32 = 12;

/// The load deletes behind itself: at full speed it would fill any disk.
const TOPIC_SETTINGS: [(&str, &str); 4] = [
    ("min.insync.replicas", "2"),
    ("segment.bytes", "16777216"),
    ("retention.bytes", "67108864"),
    ("file.delete.delay.ms", "0"),
];
const BROKER_SETTINGS: [(&str, &str); 1] = [("log.retention.check.interval.ms", "1000")];

/// Load before the counting begins.
const WARM_UP: Duration = Duration::from_secs(5);

/// What `levada bench produce --output json` prints, as far as it is looked at.
#[derive(Deserialize)]
struct Produced {
    mb_per_second: f64,
}

/// Produces as fast as it goes for so many minutes, with acks=all to partitions on every broker.
pub(crate) fn run(minutes: u64) -> Outcome {
    let mut subject = Subject::start(TOPIC, PARTITIONS, &TOPIC_SETTINGS, &BROKER_SETTINGS)?;
    let address = subject.sandbox.broker(1)?.kafka()?.to_string();
    // What follows a creation, such as in which directory each replica was put, is over then.
    produce(&address, WARM_UP)?;
    let before = subject.metadata_offset()?;
    let produced = produce(&address, Duration::from_secs(minutes * 60))?;
    let name = format!("{minutes} minutes of full load");
    row(&format!("{name}: acks=all to {PARTITIONS} partitions"), &format!("{:.0} MB/s", produced.mb_per_second), "");
    let changes = subject.metadata_offset()? - before;
    row(&format!("{name}: changes of the metadata (fencings, in-sync sets)"), &changes.to_string(), "0");
    for (what, role, counter) in [
        ("sessions that were over", Role::Controller, "levada_controller_sessions_expired_total"),
        ("replicas taken out of an in-sync set", Role::Broker, "levada_broker_isr_shrinks_total"),
    ] {
        let mut count = 0;
        for process in subject.sandbox.processes().iter().filter(|process| process.role == role) {
            count += metric(process.http, counter)?.unwrap_or(0);
        }
        row(&format!("{name}: {what}"), &count.to_string(), "0");
    }
    subject.wait_until_in_sync()
}

/// Produces to the topic for so long.
fn produce(address: &str, load: Duration) -> Outcome<Produced> {
    let output = Command::new(levada_binary()?)
        .args(["bench", "produce", "--acks", "all", "--topic", TOPIC, "--output", "json", "--addr", address])
        .args(["--duration", &format!("{}s", load.as_secs())])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return fail(format!("levada bench produce ended with {}", output.status));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
