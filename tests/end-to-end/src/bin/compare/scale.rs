//! What many topics cost: time to create them, to stop, from start to serving them again, memory, open descriptors.

use std::time::Instant;

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, fail};
use levada_harness::Node;

const TOPICS: usize = 2_000;
const PARTITIONS: i32 = 5;

/// How the node is stopped, one after the other. Before each a record goes to every partition that is written at all, so
/// that the first start recovers logs without a recovery point, and the last one logs that have one.
const STOPS: [(&str, Stop); 3] = [("SIGKILL", Node::kill), ("SIGTERM", Node::terminate), ("SIGKILL", Node::kill)];

type Stop = fn(&mut Node) -> Result<std::process::ExitStatus, levada_harness::NodeError>;

/// Creates the topics, writes to one in `every`, stops and starts the node, and prints what it took.
pub(crate) fn run(every: usize) -> Outcome {
    let mut node = Node::start()?;
    let admin = Admin::connect(node.kafka()?)?;
    let begun = Instant::now();
    for number in 0..TOPICS {
        admin.create_topic(&topic(number), PARTITIONS, &[])?;
    }
    println!("{TOPICS} topics with {PARTITIONS} partitions created in {:.1} s", begun.elapsed().as_secs_f64());
    drop(admin);

    let written: Vec<usize> = (0..TOPICS).step_by(every.max(1)).collect();
    println!("each round writes a record to each of {} partitions", written.len() * PARTITIONS as usize);
    for (round, (signal, stop)) in STOPS.into_iter().enumerate() {
        write(&node, &written)?;
        tell(&node, "after writing")?;
        let begun = Instant::now();
        stop(&mut node)?;
        println!("from {signal} to the end of the process: {:.2} s", begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        node.start_again()?;
        println!("from start to serving after {signal}: {:.2} s", begun.elapsed().as_secs_f64());
        tell(&node, &format!("after {signal} and start"))?;
        for number in [written.first(), written.get(written.len() / 2), written.last()].into_iter().flatten() {
            let ranges = Reader::connect(node.kafka()?, &topic(*number))?.ranges()?;
            if ranges.len() != PARTITIONS as usize || ranges.values().any(|range| range.end != round as i64 + 1) {
                return fail(format!("{} came back with {ranges:?}", topic(*number)));
            }
        }
    }
    let begun = Instant::now();
    node.terminate()?;
    println!("from SIGTERM to the end of the process, nothing written: {:.2} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn topic(number: usize) -> String {
    format!("scale-{number}")
}

/// Sends a record to each partition of these topics.
fn write(node: &Node, topics: &[usize]) -> Outcome {
    let mut recorder = Recorder::connect(node.kafka()?, &RecorderOptions::default())?;
    for number in topics {
        for partition in 0..PARTITIONS {
            recorder.send(&topic(*number), Some(partition), "key", b"value")?;
        }
    }
    let history = recorder.finish()?;
    if history.failed.is_empty() { Ok(()) } else { fail(format!("{} records failed", history.failed.len())) }
}

fn tell(node: &Node, when: &str) -> Outcome {
    let facts = node.facts()?;
    let megabytes = facts.resident_bytes as f64 / 1e6;
    println!("{when}: {megabytes:.0} MB resident, {} open descriptors", facts.open_descriptors);
    Ok(())
}
