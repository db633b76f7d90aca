//! A compacted topic in a running node: of each key the newest record stays, at its offset.

use std::{collections::BTreeMap, fs};

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, client_config};
use levada_harness::{Node, NodeOptions};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::{
    metrics::metric,
    operator::{levada, written},
    patience::{LIMIT, until, wait_until},
};

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

/// When the records of the small tests were made, in milliseconds; later ones close the segment of those before.
const THEN: i64 = 1_700_000_000_000;

/// Keys A, B and C, and a tombstone for B.
const FIVE: [(&str, Option<&str>); 5] =
    [("A", Some("1")), ("B", Some("2")), ("A", Some("3")), ("C", Some("4")), ("B", None)];

fn small_node() -> Outcome<Node> {
    Ok(Node::start_with(NodeOptions::default().set("log.cleaner.backoff.ms", "50"))?)
}

/// A topic that is compacted whenever a segment was closed, which a record does that is a second younger.
fn create(node: &Node, topic: &str, settings: &[(&str, &str)]) -> Outcome {
    let all = [&[("cleanup.policy", "compact"), ("segment.ms", "999"), ("min.cleanable.dirty.ratio", "0")], settings];
    Admin::connect(node.kafka()?)?.create_topic(topic, 1, &all.concat())
}

/// Produces these records, made at this time, one after the other.
fn send(node: &Node, topic: &str, timestamp: i64, records: &[(&str, Option<&str>)]) -> Outcome {
    let producer: BaseProducer = client_config(node.kafka()?).set("acks", "all").set("linger.ms", "0").create()?;
    for (key, value) in records {
        let mut record = BaseRecord::to(topic).partition(0).key(*key).timestamp(timestamp);
        record.payload = *value;
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(LIMIT)?;
    }
    Ok(())
}

/// Everything that is there, up to the record at `last`: offset, key and value, which is empty for a tombstone.
fn all_up_to(node: &Node, topic: &str, last: i64) -> Outcome<Vec<(i64, String, String)>> {
    let reader = Reader::connect(node.kafka()?, topic)?;
    let (mut records, mut next) = (Vec::new(), 0);
    while next <= last {
        let seen = reader.read_at(0, next)?;
        next = seen.offset + 1;
        records.push((seen.offset, seen.key, String::from_utf8(seen.value)?));
    }
    Ok(records)
}

fn record(offset: i64, key: &str, value: &str) -> (i64, String, String) {
    (offset, key.to_owned(), value.to_owned())
}

#[test]
fn of_five_records_the_last_of_each_key_are_left_with_the_tombstone() -> Outcome {
    let node = small_node()?;
    create(&node, "kept", &[])?;
    send(&node, "kept", THEN, &FIVE)?;
    send(&node, "kept", THEN + 1_000, &[("D", Some("5"))])?;
    wait_until("two records are gone", || Ok(metric(&node, "levada_broker_cleaned_records_total")? == 2))?;
    let left = [record(2, "A", "3"), record(3, "C", "4"), record(4, "B", ""), record(5, "D", "5")];
    assert_eq!(all_up_to(&node, "kept", 5)?, left);
    Ok(())
}

#[test]
fn a_tombstone_goes_when_its_time_is_over() -> Outcome {
    let node = small_node()?;
    create(&node, "short", &[("delete.retention.ms", "0")])?;
    send(&node, "short", THEN, &FIVE)?;
    let mut sent = 0;
    let has_no_b = |records: &Vec<(i64, String, String)>| records.iter().all(|(_, key, _)| key != "B");
    // Each closes a segment, without which there is nothing new to compact.
    let go_on = || {
        sent += 1;
        send(&node, "short", THEN + 1_000 * sent, &[("D", Some("5"))])?;
        all_up_to(&node, "short", 4 + sent)
    };
    let left = until(go_on, has_no_b)?;
    assert_eq!(left[..2], [record(2, "A", "3"), record(3, "C", "4")]);
    Ok(())
}

#[test]
fn a_log_that_cannot_be_compacted_is_told_with_the_reason_and_the_others_are_compacted() -> Outcome {
    let node = small_node()?;
    let corrupt = "levada_broker_uncleanable_partitions{reason=\"corrupt\"}";
    create(&node, "damaged", &[("min.compaction.lag.ms", "9000000000000")])?;
    send(&node, "damaged", THEN, &FIVE)?;
    send(&node, "damaged", THEN + 1_000, &[("D", Some("5"))])?;
    let segment = node.data_dir().join("logs/damaged-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment)?;
    bytes[80] ^= 1;
    fs::write(&segment, bytes)?;
    let alter = ["topic", "alter", "damaged", "--config", "min.compaction.lag.ms=0"];
    written(&alter, levada(&node.grpc()?.to_string(), &alter)?)?;
    wait_until("the damage is told", || Ok(metric(&node, corrupt)? == 1))?;

    create(&node, "sound", &[])?;
    send(&node, "sound", THEN, &FIVE)?;
    send(&node, "sound", THEN + 1_000, &[("D", Some("5"))])?;
    wait_until("two records are gone", || Ok(metric(&node, "levada_broker_cleaned_records_total")? == 2))?;
    assert_eq!(metric(&node, corrupt)?, 1);
    Admin::connect(node.kafka()?)?.delete_topic("damaged")?;
    wait_until("it is forgotten", || Ok(metric(&node, corrupt)? == 0))
}
