//! Topics and settings through a foreign admin client.

use levada_end_to_end::{Admin, Outcome, Reader};
use levada_harness::Node;

use crate::records::produce;

#[test]
fn topics_and_settings_live_through_a_crash() -> Outcome {
    let mut node = Node::start()?;
    let admin = Admin::connect(node.kafka()?)?;
    admin.create_topic("settings", 2, &[("retention.ms", "3600000")])?;
    assert_eq!(admin.topic_config("settings", "retention.ms")?.as_deref(), Some("3600000"));
    assert_eq!(admin.topic_config("settings", "segment.bytes")?.as_deref(), Some("1073741824"), "Kafka's default");
    admin.create_partitions("settings", 4)?;

    node.kill()?;
    node.start_again()?;
    assert_eq!(admin.topic_config("settings", "retention.ms")?.as_deref(), Some("3600000"));
    assert_eq!(Reader::connect(node.kafka()?, "settings")?.ranges()?.len(), 4);
    Ok(())
}

#[test]
fn what_cannot_be_done_is_refused_with_kafkas_error() -> Outcome {
    let node = Node::start()?;
    let admin = Admin::connect(node.kafka()?)?;
    admin.create_topic("taken", 3, &[])?;
    let refusal = |outcome: Outcome| outcome.err().map(|error| error.to_string()).unwrap_or_default();

    assert!(refusal(admin.create_topic("taken", 3, &[])).contains("already exists"));
    assert!(refusal(admin.create_topic("no/slashes", 1, &[])).contains("Invalid topic"));
    assert!(refusal(admin.create_topic("settings", 1, &[("retention.ms", "soon")])).contains("onfiguration"));
    assert!(refusal(admin.create_topic("empty", 0, &[])).contains("partitions"));
    assert!(refusal(admin.create_partitions("taken", 2)).contains("partitions"));
    assert!(refusal(admin.delete_topic("missing")).contains("nknown topic"));
    Ok(())
}

#[test]
fn deleted_records_and_deleted_topics_are_gone() -> Outcome {
    let node = Node::start()?;
    let admin = Admin::connect(node.kafka()?)?;
    admin.create_topic("short", 1, &[])?;
    produce(node.kafka()?, "short", "all", vec!["value"; 100])?;
    admin.delete_records("short", 0, 40)?;

    let reader = Reader::connect(node.kafka()?, "short")?;
    let mut offsets = Vec::new();
    reader.read_all(|seen| {
        offsets.push(seen.offset);
        Ok(())
    })?;
    assert_eq!(offsets, (40..100).collect::<Vec<i64>>());

    // A topic deleted and created again under its name is another topic.
    admin.delete_topic("short")?;
    admin.create_topic("short", 1, &[])?;
    produce(node.kafka()?, "short", "all", ["value"; 3])?;
    let reader = Reader::connect(node.kafka()?, "short")?;
    let ranges = reader.ranges()?;
    assert_eq!(ranges.get(&0).map(|range| (range.start, range.end)), Some((0, 3)));
    Ok(())
}
