//! What many topics cost: time to create them, time from start to serving them again, memory, open descriptors.

use std::time::Instant;

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, fail};
use levada_harness::Node;

const TOPICS: usize = 2_000;
const PARTITIONS: i32 = 5;

/// One topic in this many gets a record in each partition, so that not every log is empty.
const WRITTEN: usize = 10;

/// Creates the topics, stops and starts the node, and prints what it took.
pub(crate) fn run() -> Outcome {
    let mut node = Node::start()?;
    let admin = Admin::connect(node.kafka()?)?;
    let begun = Instant::now();
    for number in 0..TOPICS {
        admin.create_topic(&format!("scale-{number}"), PARTITIONS, &[])?;
    }
    println!("{TOPICS} topics with {PARTITIONS} partitions created in {:.1} s", begun.elapsed().as_secs_f64());

    let mut recorder = Recorder::connect(node.kafka()?, &RecorderOptions::default())?;
    for number in (0..TOPICS).step_by(WRITTEN) {
        for partition in 0..PARTITIONS {
            recorder.send(&format!("scale-{number}"), Some(partition), "key", b"value")?;
        }
    }
    let history = recorder.finish()?;
    if !history.failed.is_empty() {
        return fail(format!("{} records failed", history.failed.len()));
    }
    tell(&node, "after writing to some of them")?;

    for (how, stop) in [("SIGTERM", Node::terminate as fn(&mut Node) -> _), ("SIGKILL", Node::kill)] {
        stop(&mut node)?;
        let begun = Instant::now();
        node.start_again()?;
        println!("from start to serving after {how}: {:.2} s", begun.elapsed().as_secs_f64());
        let last = (TOPICS - 1) / WRITTEN * WRITTEN;
        let ranges = Reader::connect(node.kafka()?, &format!("scale-{last}"))?.ranges()?;
        if ranges.values().any(|range| range.end != 1) {
            return fail(format!("a topic came back with {ranges:?}"));
        }
        tell(&node, &format!("after {how} and start"))?;
    }
    Ok(())
}

fn tell(node: &Node, when: &str) -> Outcome {
    let facts = node.facts()?;
    let megabytes = facts.resident_bytes as f64 / 1e6;
    println!("{when}: {megabytes:.0} MB resident, {} open descriptors", facts.open_descriptors);
    Ok(())
}
