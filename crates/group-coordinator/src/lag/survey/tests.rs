//! Who is how far behind, in which order it is told, and what the page says.

use std::sync::Arc;

use levada_groups::GroupConfig;
use levada_groups::api::{CommitPartition, CommitTopic, JoinGroup, OffsetCommit, Protocol, Request};
use levada_metadata::{Delta, Partition};
use levada_service::telemetry::Metrics;
use levada_shard::{Context, Core as _, Token};
use levada_types::{BrokerId, MetadataOffset, TopicName};
use uuid::Uuid;

use super::*;
use crate::lag::page;

const ORDERS: TopicId = TopicId(Uuid::from_u128(1));
const BILLS: TopicId = TopicId(Uuid::from_u128(2));
const GONE: TopicId = TopicId(Uuid::from_u128(3));

/// The topics `orders` and `bills`, of two partitions each.
fn image() -> Arc<Image> {
    image_of(&[("orders", ORDERS), ("bills", BILLS)])
}

fn image_of(topics: &[(&str, TopicId)]) -> Arc<Image> {
    let created = topics.iter().flat_map(|&(name, id)| {
        let partition = Arc::new(Partition::new(Vec::new(), Vec::new(), BrokerId(1)));
        let partition = move |index| Delta::PartitionSet { topic: id, index, partition: Arc::clone(&partition) };
        let topic = Delta::TopicCreated { id, name: TopicName::new(name).unwrap() };
        std::iter::once(topic).chain((0..2).map(partition))
    });
    Arc::new(Image::restore(MetadataOffset(9), None, &created.collect::<Vec<_>>()).unwrap())
}

/// Has a shard do something, while there is the topic `gone` too.
fn ask(shard: &mut Groups, request: Request) {
    let image = image_of(&[("orders", ORDERS), ("bills", BILLS), ("gone", GONE)]);
    let mut fresh = || Uuid::from_u128(7);
    let output = shard.handle(Token(1), request, &mut Context { now: 1_000, image: &image, fresh: &mut fresh });
    assert!(!output.writes.is_empty() || output.answers.is_empty(), "it was refused: {output:?}");
}

/// A shard with what these groups have committed: the group, the topic, the partition, the offset.
fn shard(committed: &[(&str, &str, PartitionIndex, Offset)]) -> Groups {
    let mut shard = Groups::new(Arc::new(GroupConfig::default()));
    for &(group, topic, partition, offset) in committed {
        let partitions = vec![CommitPartition { partition, offset, leader_epoch: None, metadata: None }];
        let topic_id = image().topic_by_name(topic).map(Topic::id).or(Some(GONE));
        let request = OffsetCommit {
            group_id: group.to_owned(),
            generation_id_or_member_epoch: -1,
            member_id: String::new(),
            group_instance_id: None,
            retention_time_ms: None,
            topics: vec![CommitTopic { name: topic.to_owned(), topic_id, partitions }],
            stream_number: None,
        };
        ask(&mut shard, Request::OffsetCommit(request));
    }
    shard
}

fn id(topic_id: TopicId, partition: PartitionIndex) -> TopicIdPartition {
    TopicIdPartition { topic_id, partition }
}

fn end(high_watermark: Offset, next_timestamp: Option<TimestampMs>) -> ReaderLag {
    ReaderLag { log_start_offset: 0, high_watermark, next_timestamp, offset_at_time: None }
}

fn ends<const N: usize>(ends: [(TopicIdPartition, Offset); N]) -> HashMap<TopicIdPartition, ReaderLag> {
    ends.map(|(partition, offset)| (partition, end(offset, None))).into()
}

/// Each row as group, topic, partition and lag.
fn rows(findings: &Findings) -> Vec<(&str, &str, PartitionIndex, i64)> {
    let group = |row: &Row| findings.groups[row.group].group_id.as_ref();
    findings.rows.iter().map(|row| (group(row), row.topic.as_ref(), row.index(), row.records())).collect()
}

fn sums(findings: &Findings) -> Vec<(&str, Option<i64>)> {
    findings.groups.iter().map(|group| (group.group_id.as_ref(), group.records)).collect()
}

#[test]
fn each_partition_is_asked_for_once_however_many_groups_read_it() {
    let one = shard(&[("a", "orders", 0, 3), ("a", "orders", 1, 3), ("b", "orders", 0, 7)]);
    let other = shard(&[("c", "orders", 0, 1), ("c", "bills", 0, 1)]);
    let survey = Survey::new(vec![one, other], image());
    let mut asked: Vec<_> = survey.ends().into_iter().map(|place| (place.partition, place.place)).collect();
    asked.sort_by_key(|(partition, _)| *partition);
    let expected = [id(ORDERS, 0), id(ORDERS, 1), id(BILLS, 0)];
    assert_eq!(asked, expected.map(|partition| (partition, Place::Ends)));
}

#[test]
fn the_largest_of_each_group_comes_first_and_sums_leave_nothing_out() {
    let groups = shard(&[
        ("big", "bills", 0, 0),
        ("big", "orders", 0, 0),
        ("big", "orders", 1, 0),
        ("ready", "orders", 0, 900),
        ("small", "orders", 0, 895),
        ("small", "orders", 1, 899),
    ]);
    let survey = Survey::new(vec![groups], image());
    let ends = ends([(id(ORDERS, 0), 900), (id(ORDERS, 1), 900), (id(BILLS, 0), 500)]);
    let all = survey.findings(&ends, 100);
    assert_eq!(all.left_out, 0);
    let in_order = [
        ("big", "orders", 0, 900),
        ("small", "orders", 0, 5),
        ("ready", "orders", 0, 0),
        ("big", "orders", 1, 900),
        ("big", "bills", 0, 500),
        ("small", "orders", 1, 1),
    ];
    assert_eq!(rows(&all), in_order);
    let bounded = survey.findings(&ends, 4);
    assert_eq!((rows(&bounded), bounded.left_out), (in_order[..4].to_vec(), 2));
    let expected = [("big", Some(2_300)), ("ready", Some(0)), ("small", Some(6))];
    assert_eq!((sums(&all), sums(&bounded)), (expected.to_vec(), expected.to_vec()));
}

#[test]
fn what_nobody_can_tell_is_counted_and_in_no_figure() {
    let groups =
        shard(&[("half", "orders", 0, 1), ("half", "orders", 1, 1), ("lost", "gone", 0, 5), ("past", "orders", 0, 50)]);
    let findings = Survey::new(vec![groups], image()).findings(&ends([(id(ORDERS, 0), 10)]), 100);
    assert_eq!(sums(&findings), [("half", Some(9)), ("lost", None), ("past", Some(0))]);
    assert_eq!(rows(&findings), [("half", "orders", 0, 9), ("past", "orders", 0, 0)]);
    assert_eq!((findings.unknown, findings.left_out), (2, 0));
}

#[test]
fn time_is_asked_for_only_where_something_is_left_to_read() {
    let groups = shard(&[
        ("a", "bills", 0, 4),
        ("a", "orders", 0, 10),
        ("a", "orders", 1, 7),
        ("b", "orders", 1, 9),
        ("c", "orders", 1, 10),
    ]);
    let ends = ends([(id(ORDERS, 0), 10), (id(ORDERS, 1), 10), (id(BILLS, 0), 5)]);
    let mut findings = Survey::new(vec![groups], image()).findings(&ends, 100);
    let place = |partition, offset| ReaderPlace { partition, place: Place::Offset(offset) };
    assert_eq!(findings.places(), [place(id(ORDERS, 1), 7), place(id(ORDERS, 1), 9), place(id(BILLS, 0), 4)]);
    // More was produced meanwhile, of one the leader does not tell.
    findings.take_in(vec![Ok(end(30, Some(400))), Err(ErrorCode::RequestTimedOut), Ok(end(5, Some(100)))]);
    assert_eq!(sums(&findings), [("a", Some(4)), ("b", Some(1)), ("c", Some(0))]);
    let seconds = |row: &Row| row.lag.milliseconds(row.committed, 1_000);
    let told: Vec<_> = findings.rows.iter().map(|row| (row.index(), row.records(), seconds(row))).collect();
    let expected = [(1, 3, Some(600)), (1, 1, None), (1, 0, Some(0)), (0, 1, Some(900)), (0, 0, Some(0))];
    assert_eq!(told, expected);
    assert_eq!(findings.longest(1_000), BTreeMap::from([(0, 900), (2, 0)]));
}

#[test]
fn the_page_tells_of_groups_as_prometheus_reads_it() {
    let mut groups = shard(&[("a\"b\n", "orders", 0, 7), ("none", "gone", 0, 1)]);
    let join = JoinGroup {
        group_id: "workers".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: String::new(),
        group_instance_id: None,
        protocol_type: "connect".to_owned(),
        protocols: vec![Protocol { name: "p".to_owned(), metadata: Vec::new().into() }],
        client_id: String::new(),
        client_host: String::new(),
        reason: None,
        requires_known_member_id: false,
        supports_skipping_assignment: false,
    };
    ask(&mut groups, Request::JoinGroup(join));
    let mut findings = Survey::new(vec![groups], image()).findings(&ends([(id(ORDERS, 0), 10)]), 100);
    findings.take_in(vec![Ok(end(10, Some(400)))]);
    let metrics = Metrics::detached();
    metrics.page().replace(|| page::record(&findings, 2_000));
    let text = metrics.render();
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("levada_consumer_group")).collect();
    let group = r#"group="a\"b\n""#;
    let place = format!(r#"{{{group},topic="orders",partition="0"}}"#);
    let expected = [
        format!("levada_consumer_group_lag_records{place} 3"),
        format!("levada_consumer_group_lag_seconds{place} 1.6"),
        format!("levada_consumer_group_committed_offset{place} 7"),
        format!("levada_consumer_group_total_lag_records{{{group}}} 3"),
        format!("levada_consumer_group_max_lag_seconds{{{group}}} 1.6"),
        format!("levada_consumer_group_members{{{group}}} 0"),
        format!(r#"levada_consumer_group_state{{{group},state="Empty"}} 1"#),
        r#"levada_consumer_group_members{group="none"} 0"#.to_owned(),
        r#"levada_consumer_group_state{group="none",state="Empty"} 1"#.to_owned(),
        r#"levada_consumer_group_members{group="workers"} 1"#.to_owned(),
        r#"levada_consumer_group_state{group="workers",state="PreparingRebalance"} 1"#.to_owned(),
        r#"levada_consumer_groups{state="Empty"} 2"#.to_owned(),
        r#"levada_consumer_groups{state="PreparingRebalance"} 1"#.to_owned(),
        "levada_consumer_group_partitions_left_out 0".to_owned(),
        "levada_consumer_group_partitions_unknown 1".to_owned(),
        "levada_consumer_group_records_not_understood 0".to_owned(),
    ];
    let missing: Vec<_> = expected.iter().filter(|line| !told.contains(&line.as_str())).collect();
    assert!(missing.is_empty() && told.len() == expected.len(), "{missing:?} is not in {text}");
}
