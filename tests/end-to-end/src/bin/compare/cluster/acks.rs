//! What replication costs: throughput with acks=all beside acks=1, latency, and what requests in flight are worth.

use std::process::Command;

use levada_end_to_end::{Admin, Outcome, fail};
use levada_harness::levada_binary;
use serde::Deserialize;

use super::{subject::Subject, table::row};
use crate::{figures::median, page_cache::PageCache};

const TOPIC: &str = "acks";

/// The topic whose acknowledgements mean fsynced.
const FSYNCED: &str = "fsynced";

/// Of acks=all and acks=1, in turn.
const SLICES: u64 = 3;

/// Pairs of runs with one request in flight and with five.
const PAIRS: usize = 5;

/// The load deletes behind itself, so that the disk holds it for as long as it likes: nobody reads it.
const TOPIC_SETTINGS: [(&str, &str); 4] = [
    ("min.insync.replicas", "2"),
    ("segment.bytes", "67108864"),
    ("retention.bytes", "268435456"),
    ("file.delete.delay.ms", "0"),
];
const BROKER_SETTINGS: [(&str, &str); 1] = [("log.retention.check.interval.ms", "1000")];

/// What `levada bench --output json` prints, as far as it is looked at.
#[derive(Deserialize)]
struct Run {
    mb_per_second: f64,
    records_per_second: f64,
    latency_ms: Latency,
}

#[derive(Deserialize)]
struct Latency {
    p50: f64,
    p99: f64,
    p99_9: f64,
}

/// Measures, with one partition and one connection, `seconds` of each.
pub(crate) fn run(seconds: u64) -> Outcome {
    let mut subject = Subject::start(TOPIC, 1, &TOPIC_SETTINGS, &BROKER_SETTINGS)?;
    PageCache::new()?.fill()?;
    bench(&mut subject, "produce --acks all --duration 5s")?;
    let before = subject.metadata_offset()?;

    let (mut all, mut one, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SLICES {
        let slice = (seconds / SLICES).max(1);
        let with_all = bench(&mut subject, &format!("produce --acks all --duration {slice}s"))?.mb_per_second;
        let with_one = bench(&mut subject, &format!("produce --acks 1 --duration {slice}s"))?.mb_per_second;
        // The followers may be behind; acks=all is not to pay for that.
        bench(&mut subject, "produce --acks all --records 1")?;
        all.push(with_all);
        one.push(with_one);
        ratios.push(with_all / with_one);
    }
    let (all, one, ratio) = (middle(all)?, middle(one)?, middle(ratios)?);
    row(
        "throughput of acks=all in multiples of acks=1, 64 KiB batches, 5 in flight",
        &format!("{ratio:.2} ({all:.0} and {one:.0} MB/s)"),
        "≥ 0.5",
    );

    let mut ratios = Vec::new();
    let (mut ones, mut fives) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let load = "produce --acks all --record-size 1000 --batch-size 1KiB --duration 4s --in-flight";
        let one = bench(&mut subject, &format!("{load} 1"))?.records_per_second;
        let five = bench(&mut subject, &format!("{load} 5"))?.records_per_second;
        ones.push(one);
        fives.push(five);
        ratios.push(five / one);
    }
    let (one, five, ratio) = (middle(ones)?, middle(fives)?, middle(ratios)?);
    row(
        "acks=all, one record a request: five in flight in multiples of one",
        &format!("{ratio:.2} ({five:.0}/s and {one:.0}/s)"),
        "≥ 2",
    );

    let Latency { p50, p99, p99_9 } =
        bench(&mut subject, &format!("latency --acks all --rate 1000 --duration {seconds}s"))?.latency_ms;
    row(
        "1 KiB at 1,000/s, acks=all: p50, p99, p99.9",
        &format!("{p50:.2} ms, {p99:.2} ms, {p99_9:.2} ms"),
        "p50 < 3 ms",
    );
    let changes = subject.metadata_offset()? - before;
    row("changes of the metadata meanwhile", &changes.to_string(), "0");
    fsynced(&mut subject)
}

/// What it costs that every in-sync replica fsyncs before it acknowledges.
fn fsynced(subject: &mut Subject) -> Outcome {
    let settings: Vec<_> = TOPIC_SETTINGS.into_iter().chain([("acks.fsync", "true")]).collect();
    let admin = Admin::connect(subject.sandbox.broker(1)?.kafka()?)?;
    admin.create_replicated_topic(FSYNCED, (1, 3), &settings)?;
    let latency = bench_on(subject, FSYNCED, "latency --acks all --rate 200 --duration 10s")?.latency_ms;
    row(
        "acks.fsync=true, 1 KiB at 200/s, acks=all: p50, p99, p99.9",
        &format!("{:.2} ms, {:.2} ms, {:.2} ms", latency.p50, latency.p99, latency.p99_9),
        "",
    );
    let produced = bench_on(subject, FSYNCED, "produce --acks all --duration 10s")?.mb_per_second;
    row("acks.fsync=true, acks=all, 64 KiB batches, 5 in flight", &format!("{produced:.0} MB/s"), "");
    Ok(())
}

fn middle(figures: Vec<f64>) -> Outcome<f64> {
    median(figures).ok_or_else(|| "nothing was measured".into())
}

/// Runs `levada bench` with these arguments.
fn bench(subject: &mut Subject, arguments: &str) -> Outcome<Run> {
    bench_on(subject, TOPIC, arguments)
}

fn bench_on(subject: &mut Subject, topic: &str, arguments: &str) -> Outcome<Run> {
    let leader = subject.leader()?;
    let output = Command::new(levada_binary()?)
        .arg("bench")
        .args(arguments.split(' '))
        .args(["--topic", topic, "--output", "json", "--addr", &subject.sandbox.broker(leader)?.kafka()?.to_string()])
        .output()?;
    if !output.status.success() {
        return fail(format!("levada bench {arguments}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let run: Run = serde_json::from_slice(&output.stdout)?;
    eprintln!("levada bench {arguments}: {:.1} MB/s, {:.0}/s", run.mb_per_second, run.records_per_second);
    Ok(run)
}
