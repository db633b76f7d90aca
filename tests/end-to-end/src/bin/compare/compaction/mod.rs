//! Compaction of a large topic, and what a producer to the same partition feels of it.
//!
//! The topic is filled while its settings keep the cleaner off; then they let it go. The producer runs in windows of a few
//! seconds, of which those count that lie wholly within the compaction.

mod memory;
mod producer;

use std::{
    net::SocketAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use levada_end_to_end::{Admin, Outcome, fail};
use levada_harness::{Node, NodeOptions, levada_binary};

use self::{
    memory::Memory,
    producer::{Producer, Window},
};
use crate::{
    cluster::{
        metrics::metric,
        table::{head, row},
    },
    figures::median,
};

const TOPIC: &str = "accounts";

/// Keeps what is younger than a day from being compacted.
const OFF: &str = "min.compaction.lag.ms=86400000";
const ON: &str = "min.compaction.lag.ms=0";

/// A metric that is not 0 once compaction has begun, and one once it is over.
const BEGUN: &str = "levada_broker_throttled_bytes_total{throttle=\"cleaner\"}";
const ENDED: &str = "levada_broker_cleanings_total";

/// How often it is looked whether the compaction has begun, and whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// How long the compaction may take to begin, and to end.
const LIMIT: Duration = Duration::from_secs(600);

/// How large the topic is, and what is produced meanwhile.
#[derive(Args)]
pub(crate) struct Options {
    /// Mebibytes of values.
    #[arg(long, default_value_t = 5_300)]
    mebibytes: u64,
    /// Keys, each written about as often as the others.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u32,
    /// Bytes of a value.
    #[arg(long, default_value_t = 1_024)]
    record_bytes: u32,
    /// Records per second that a producer sends before and meanwhile, each in a request of its own.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// How many windows of the producer are measured before.
    #[arg(long, default_value_t = 6)]
    windows: u32,
    /// Options of the node, as `--set` takes them.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// Fills a topic, has it compacted, and prints a table.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut node = NodeOptions::default().set("log.cleaner.backoff.ms", "1000");
    for setting in &options.settings {
        let (key, value) = setting.split_once('=').ok_or("--set needs KEY=VALUE")?;
        node = node.set(key, value);
    }
    let node = Node::start_with(node)?;
    let (off, value) = OFF.split_once('=').ok_or("a setting has a value")?;
    Admin::connect(node.kafka()?)?.create_topic(TOPIC, 1, &[("cleanup.policy", "compact"), (off, value)])?;
    fill(&node, options)?;

    let producer = Producer { kafka: node.kafka()?, topic: TOPIC, keys: options.keys, rate: options.rate };
    // Until every cache is warm and what was written is on the disk.
    producer.window()?;
    let idle = (0..options.windows).map(|_| producer.window()).collect::<Outcome<Vec<_>>>()?;

    let before = node.facts()?;
    let http = node.http()?;
    let memory = Memory::watch(node.pid()?);
    alter(&node, ON)?;
    wait_for(http, BEGUN)?;
    let begun = Instant::now();
    let (during, ended) = thread::scope(|scope| -> Outcome<(Vec<Window>, Instant)> {
        let waiting = scope.spawn(|| wait_for(http, ENDED).map(|()| Instant::now()));
        let mut windows = Vec::new();
        while !waiting.is_finished() {
            let window = producer.window()?;
            if !waiting.is_finished() {
                windows.push(window);
            }
        }
        let ended = waiting.join().map_err(|_| "waiting for the compaction met a defect")??;
        Ok((windows, ended))
    })?;
    let peak = memory.peak()?;

    let seconds = (ended - begun).as_secs_f64();
    let bytes = metric(http, "levada_broker_compacted_bytes_total")?.unwrap_or(0);
    let freed = metric(http, "levada_broker_cleaned_bytes_total")?.unwrap_or(0);
    let Options { keys, record_bytes, rate, .. } = options;
    head();
    row(
        &format!(
            "{:.2} GB in closed segments, {keys} keys, values of {record_bytes} B: compacted at",
            bytes as f64 / 1e9
        ),
        &format!(
            "{:.0} MB/s ({seconds:.1} s; {:.2} GB are left)",
            bytes as f64 / 1e6 / seconds,
            (bytes - freed) as f64 / 1e9
        ),
        "100 MB/s",
    );
    let more = peak.anonymous.saturating_sub(before.anonymous_bytes);
    row("anonymous memory of the process, more than before at most", &format!("{:.0} MB", more as f64 / 1e6), "128 MB");
    row("resident memory of the process at most", &format!("{:.0} MB", peak.resident as f64 / 1e6), "");
    row(&format!("producer to the same partition, {rate}/s, acks=all, before"), &told(&idle), "");
    row("the same meanwhile", &told(&during), "p50 twice that at most");
    Ok(())
}

/// Puts the records there, as fast as they are taken.
fn fill(node: &Node, options: &Options) -> Outcome {
    let status = Command::new(levada_binary()?)
        .args(["bench", "produce", "--keep-topic", "--topic", TOPIC, "--addr", &node.kafka()?.to_string()])
        .args(["--keys", &options.keys.to_string(), "--record-size", &format!("{}B", options.record_bytes)])
        .args(["--bytes", &format!("{}MiB", options.mebibytes), "--batch-size", "64KiB", "--acks", "1"])
        .status()?;
    if status.success() { Ok(()) } else { fail(format!("filling the topic: {status}")) }
}

fn alter(node: &Node, setting: &str) -> Outcome {
    let server = node.grpc()?.to_string();
    let arguments = ["topic", "alter", TOPIC, "--config", setting, "--server", &server];
    let status = Command::new(levada_binary()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { fail(format!("{setting}: {status}")) }
}

/// Waits until a metric is not 0.
fn wait_for(http: SocketAddr, name: &str) -> Outcome {
    let begun = Instant::now();
    while metric(http, name)?.unwrap_or(0) == 0 {
        if begun.elapsed() > LIMIT {
            return fail(format!("{name} is still 0 after {LIMIT:?}"));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// The middle of the windows' medians, the greatest of them, and the middle of their 99th percentiles.
fn told(windows: &[Window]) -> String {
    let of = |figure: fn(&Window) -> f64| windows.iter().map(figure).collect::<Vec<_>>();
    let greatest = of(|window| window.p50).into_iter().fold(f64::NAN, f64::max);
    match (median(of(|window| window.p50)), median(of(|window| window.p99))) {
        (Some(p50), Some(p99)) => {
            format!("p50 {p50:.2} (greatest {greatest:.2}), p99 {p99:.2} ms, of {} windows", windows.len())
        }
        _ => "not measured: it was over before a window was".to_owned(),
    }
}
