//! A compacted topic in a running node: of each key the newest record stays, at its offset.

use std::collections::BTreeMap;

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions};
use levada_harness::{Node, NodeOptions};

use crate::metrics::metric;
use crate::patience::wait_until;

const TOPIC: &str = "accounts";

/// Keys that are written again and again.
const KEYS: usize = 20;

/// How often each is written.
const ROUNDS: usize = 60;

/// Bytes of a value: all of them fill several segments, of which the least has a mebibyte.
const VALUE_BYTES: usize = 4_000;

#[test]
fn a_compacted_topic_comes_to_hold_the_last_value_of_each_key() -> Outcome {
    let mut node = Node::start_with(NodeOptions::default().set("log.cleaner.backoff.ms", "50"))?;
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.01")];
    Admin::connect(node.kafka()?)?.create_topic(TOPIC, 1, &settings)?;
    let mut recorder = Recorder::connect(node.kafka()?, &RecorderOptions::default())?;
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            recorder.send(TOPIC, Some(0), &key_of(key), value_of(key, round).as_bytes())?;
        }
    }
    let history = recorder.finish()?;
    assert_eq!(history.failed, BTreeMap::new());

    wait_until("most records are gone", || {
        Ok(metric(&node, "levada_broker_cleaned_records_total")? > (KEYS * ROUNDS / 2) as u64)
    })?;
    check(&node)?;
    node.terminate()?;
    node.start_again()?;
    check(&node)
}

fn key_of(key: usize) -> String {
    format!("account {key}")
}

fn value_of(key: usize, round: usize) -> String {
    format!("{:-<VALUE_BYTES$}", format!("{key} stands at {round} "))
}

/// Every record that is left: its offset, key and value.
fn records(node: &Node) -> Outcome<Vec<(i64, String, String)>> {
    let reader = Reader::connect(node.kafka()?, TOPIC)?;
    let end = i64::try_from(KEYS * ROUNDS)?;
    let mut records = Vec::new();
    let mut offset = 0;
    while offset < end {
        let seen = reader.read_at(0, offset)?;
        offset = seen.offset + 1;
        records.push((seen.offset, seen.key, String::from_utf8(seen.value)?));
    }
    Ok(records)
}

/// The last record of each key is there, and what is left stands where it stood.
fn check(node: &Node) -> Outcome {
    let records = records(node)?;
    assert!(records.len() < KEYS * ROUNDS / 2, "{} are left", records.len());
    let mut last = BTreeMap::new();
    for (offset, key, value) in records {
        let written = usize::try_from(offset)?;
        assert_eq!((&key, &value), (&key_of(written % KEYS), &value_of(written % KEYS, written / KEYS)), "at {offset}");
        last.insert(key, value);
    }
    let expected: BTreeMap<_, _> = (0..KEYS).map(|key| (key_of(key), value_of(key, ROUNDS - 1))).collect();
    assert_eq!(last, expected);
    Ok(())
}
