//! SIGTERM and start of every broker in turn, under a producer.

use std::{thread, time::Duration};

use levada_end_to_end::Outcome;

use super::{
    gap_watch::GapWatch,
    rdkafka_watch::RdkafkaWatch,
    subject::{BROKERS, Subject},
    table::{median_and_greatest, row},
};

const TOPIC: &str = "rolling";

/// More than one, so that each broker leads some.
const PARTITIONS: i32 = 6;

/// How long the producers go on after all replicas are in sync again.
const SETTLE: Duration = Duration::from_millis(500);

/// Restarts every broker `rounds` times and tells of the longest gap of each restart, from SIGTERM until every replica was
/// in sync again.
pub(crate) fn run(rounds: u32) -> Outcome {
    let mut subject = Subject::start(TOPIC, PARTITIONS, &[("min.insync.replicas", "2")], &[])?;
    let mut own = GapWatch::start(&mut subject, &["--retry", "10ms", "--longer-than", "1ms"])?;
    let other = RdkafkaWatch::start(subject.bootstrap(), TOPIC)?;
    let mut longest_ms = Vec::new();
    for broker in (0..rounds).flat_map(|_| BROKERS) {
        own.gaps()?;
        subject.sandbox.broker(broker)?.terminate()?;
        subject.sandbox.broker(broker)?.start_again()?;
        subject.wait_until_in_sync()?;
        thread::sleep(SETTLE);
        let longest = own.gaps()?.iter().map(|gap| gap.gap_ms).fold(0.0, f64::max);
        eprintln!("restart of broker {broker}: {longest:.1} ms");
        longest_ms.push(longest);
    }
    row("restart by SIGTERM, longest gap of acks=all", &median_and_greatest(&longest_ms), "< 250 ms");
    other.finish()?;
    row("records that failed after the client's retries", "0", "0");
    Ok(())
}
