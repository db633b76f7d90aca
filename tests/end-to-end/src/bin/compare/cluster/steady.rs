//! Full load without faults: whoever is slow is neither fenced nor thrown out of an in-sync set, no coordinator is counted out,
//! and no member of a group loses its place.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::{Role, levada_binary};
use serde::Deserialize;

use super::{metrics::metric, steady_groups::SteadyGroups, subject::Subject, table::row};

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

/// Produces as fast as it goes for so many minutes, with acks=all to partitions on every broker; with groups that read along,
/// if there are to be any.
pub(crate) fn run(minutes: u64, with_groups: bool) -> Outcome {
    let mut subject = Subject::start(TOPIC, PARTITIONS, &TOPIC_SETTINGS, &BROKER_SETTINGS)?;
    let address = subject.sandbox.broker(1)?.kafka()?.to_string();
    // What follows a creation, such as in which directory each replica was put, is over then.
    let groups = match with_groups {
        true => Some(SteadyGroups::start(&subject.bootstrap(), TOPIC, PARTITIONS)?),
        false => None,
    };
    produce(&address, WARM_UP)?;
    let before = subject.metadata_offset()?;
    let met_before = groups.as_ref().map(SteadyGroups::met).unwrap_or_default();
    let produced = produce(&address, Duration::from_secs(minutes * 60))?;
    let met = groups.as_ref().map(SteadyGroups::met).unwrap_or_default();
    let with = if with_groups { ", three groups of three reading along" } else { "" };
    let name = format!("{minutes} minutes of full load{with}");
    row(&format!("{name}: acks=all to {PARTITIONS} partitions"), &format!("{:.0} MB/s", produced.mb_per_second), "");
    let changes = subject.metadata_offset()? - before;
    row(&format!("{name}: changes of the metadata (fencings, in-sync sets)"), &changes.to_string(), "0");
    for (what, role, counter) in [
        (
            "sessions of brokers and coordinators that were over",
            Role::Controller,
            "levada_controller_sessions_expired_total",
        ),
        ("replicas taken out of an in-sync set", Role::Broker, "levada_broker_isr_shrinks_total"),
    ] {
        let mut count = 0;
        for process in subject.sandbox.processes().iter().filter(|process| process.role == role) {
            count += metric(process.http, counter)?.unwrap_or(0);
        }
        row(&format!("{name}: {what}"), &count.to_string(), "0");
    }
    if let Some(groups) = groups {
        let read = (met.bytes - met_before.bytes) as f64 / (minutes * 60) as f64 / 1e6;
        row(&format!("{name}: read by all members"), &format!("{read:.0} MB/s"), "");
        row(&format!("{name}: partitions given or taken"), &(met.rebalances - met_before.rebalances).to_string(), "0");
        row(&format!("{name}: commits"), &(met.commits - met_before.commits).to_string(), "");
        let failed = (met.failed_commits - met_before.failed_commits).to_string();
        row(&format!("{name}: commits that failed"), &failed, "0");
        let why = groups.stop()?;
        if !why.is_empty() {
            println!("commits failed: {why:?}");
        }
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
