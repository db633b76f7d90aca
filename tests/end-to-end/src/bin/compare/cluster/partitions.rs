//! Many partitions with three replicas: what they cost at rest, and what the kill of a broker costs that leads a third.

use std::time::Instant;

use levada_end_to_end::Outcome;

use super::{
    gap_watch::GapWatch,
    idle,
    subject::Subject,
    table::{median_and_greatest, row},
    time_of_day::now_us,
};

const TOPIC: &str = "many";

/// Creates the topic, looks at the idle cluster, and kills a broker `kills` times. What is measured is from the kill until a
/// client that starts then has an acknowledgement of every partition, whose replicas must all be in sync for it.
pub(crate) fn run(partitions: i32, kills: u32) -> Outcome {
    let begun = Instant::now();
    let mut subject = Subject::start(TOPIC, partitions, &[("min.insync.replicas", "2")], &[])?;
    let created = begun.elapsed().as_secs_f64();
    let name = format!("{partitions} partitions × 3 replicas");
    row(&format!("{name}: start of the cluster, creation, all in sync"), &format!("{created:.1} s"), "");
    idle::tell(&subject, &name)?;
    let mut round_ms = Vec::new();
    let mut failover_ms = Vec::new();
    for _ in 0..kills {
        let victim = subject.leader()?;
        let asked = subject.follower()?;
        let address = subject.sandbox.broker(asked)?.kafka()?.to_string();
        let started_us = now_us();
        let round = GapWatch::start_at(&address, TOPIC, &[])?;
        round_ms.push((round.begun_us - started_us) as f64 / 1e3);
        drop(round);
        let fault_us = now_us();
        subject.sandbox.broker(victim)?.kill()?;
        let after = GapWatch::start_at(&address, TOPIC, &["--retry", "10ms"])?;
        let took = (after.begun_us - fault_us) as f64 / 1e3;
        eprintln!("SIGKILL of broker {victim}: {took:.1} ms");
        failover_ms.push(took);
        drop(after);
        subject.sandbox.broker(victim)?.start_again()?;
        let begun = Instant::now();
        subject.wait_until_in_sync()?;
        eprintln!("all in sync {:.1} s after broker {victim} served again", begun.elapsed().as_secs_f64());
    }
    row(&format!("{name}: a record acknowledged by each, without a fault"), &median_and_greatest(&round_ms), "");
    row(
        &format!("{name}: SIGKILL of a broker to a record acknowledged by each"),
        &median_and_greatest(&failover_ms),
        "< 3,000 ms",
    );
    Ok(())
}
