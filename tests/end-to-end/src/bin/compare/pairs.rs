//! Levada and Kafka in alternated pairs.

use std::time::{Duration, Instant};

use levada_end_to_end::{KafkaServer, Outcome};
use levada_harness::Node;

use crate::{
    figures::print_pair,
    kafka_server,
    measure::{Latencies, Moved, consume, first_record, latency, produce},
    page_cache::PageCache,
    server::Server,
};

const RECORD_SIZES: [(usize, &str); 3] = [(100, "100 B"), (1024, "1 KiB"), (100 * 1024, "100 KiB")];

/// How long each latency measurement goes on, at `LATENCY_RATE` records a second.
const LATENCY_TIME: Duration = Duration::from_secs(10);
const LATENCY_RATE: u32 = 1_000;

/// Measures everything and prints a table in Markdown.
pub(crate) fn run(pairs: u32, megabytes: u64) -> Outcome {
    println!("| what | Levada | Kafka | ratio |");
    println!("|---|---|---|---|");
    let (levada, kafka) = start(pairs)?;
    let mut pages = PageCache::new()?;
    let bytes = megabytes * 1_000_000;
    for (size, name) in RECORD_SIZES {
        // A small record costs a client more than a server; a smaller volume keeps a run within minutes.
        let bytes = if size < 1024 { bytes / 4 } else { bytes };
        let mut figures = Both::default();
        // The first round warms both up: buffers, the JVM's compiler.
        for round in 0..=pairs {
            let one = transfer(&levada, &mut pages, &format!("t{size}-{round}"), size, bytes)?;
            let other = transfer(&kafka, &mut pages, &format!("t{size}-{round}"), size, bytes)?;
            if round > 0 {
                figures.levada.push(one);
                figures.kafka.push(other);
            }
        }
        figures.print(&format!("produce {name}: throughput"), "MB/s", |(produced, _)| produced.megabytes_per_second);
        figures.print(&format!("produce {name}: server CPU"), "s/GB", |(produced, _)| produced.cpu_per_gigabyte);
        figures.print(&format!("consume {name}: throughput"), "MB/s", |(_, consumed)| consumed.megabytes_per_second);
        figures.print(&format!("consume {name}: server CPU"), "s/GB", |(_, consumed)| consumed.cpu_per_gigabyte);
        figures.print(&format!("resident after {name}"), "MB", |(_, consumed)| consumed.resident_megabytes);
    }
    let mut figures: Both<Latencies> = Both::default();
    for round in 0..pairs {
        figures.levada.push(latency(&levada, &format!("latency-{round}"), LATENCY_RATE, LATENCY_TIME)?);
        figures.kafka.push(latency(&kafka, &format!("latency-{round}"), LATENCY_RATE, LATENCY_TIME)?);
    }
    figures.print("1 KiB at 1,000/s, acks=all: p50", "ms", |latencies| latencies.p50.as_secs_f64() * 1e3);
    figures.print("1 KiB at 1,000/s, acks=all: p99", "ms", |latencies| latencies.p99.as_secs_f64() * 1e3);
    figures.print("1 KiB at 1,000/s, acks=all: p99.9", "ms", |latencies| latencies.p999.as_secs_f64() * 1e3);
    Ok(())
}

/// Starts both servers as often as there are pairs, and keeps the last ones.
fn start(pairs: u32) -> Outcome<(Node, KafkaServer)> {
    let mut started: Both<(f64, f64)> = Both::default();
    loop {
        let begun = Instant::now();
        let levada = Node::start()?;
        first_record(&levada)?;
        started.levada.push((begun.elapsed().as_secs_f64(), resident(&levada)?));

        let mut kafka = kafka_server::prepare()?;
        let begun = Instant::now();
        kafka.start()?;
        first_record(&kafka)?;
        started.kafka.push((begun.elapsed().as_secs_f64(), resident(&kafka)?));
        if started.levada.len() >= pairs as usize {
            started.print("start to first acknowledged record", "s", |(seconds, _)| *seconds);
            started.print("resident after the first record", "MB", |(_, megabytes)| *megabytes);
            return Ok((levada, kafka));
        }
    }
}

fn resident(server: &impl Server) -> Outcome<f64> {
    Ok(server.facts()?.resident_bytes as f64 / 1e6)
}

fn transfer(
    server: &impl Server,
    pages: &mut PageCache,
    topic: &str,
    size: usize,
    bytes: u64,
) -> Outcome<(Moved, Moved)> {
    pages.fill()?;
    let produced = produce(server, topic, size, bytes)?;
    let consumed = consume(server, topic, size)?;
    levada_end_to_end::Admin::connect(server.kafka()?)?.delete_topic(topic)?;
    Ok((produced, consumed))
}

/// The figures of both sides, pair by pair.
struct Both<T> {
    levada: Vec<T>,
    kafka: Vec<T>,
}

impl<T> Default for Both<T> {
    fn default() -> Self {
        Self { levada: Vec::new(), kafka: Vec::new() }
    }
}

impl<T> Both<T> {
    fn print(&self, name: &str, unit: &str, figure: impl Fn(&T) -> f64) {
        let levada: Vec<f64> = self.levada.iter().map(&figure).collect();
        let kafka: Vec<f64> = self.kafka.iter().map(&figure).collect();
        print_pair(name, unit, &levada, &kafka);
    }
}
