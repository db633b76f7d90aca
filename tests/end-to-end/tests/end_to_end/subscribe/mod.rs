//! Members of groups over gRPC: what they are given, what is committed for them, and that they go on elsewhere; and groups
//! as operators see them.

mod subscriber;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use levada_end_to_end::{Admin, Outcome, Recorder, RecorderOptions};
use levada_harness::{Node, NodeOptions, Sandbox, SandboxOptions};
use levada_proto::v1::topic_ref::Topic;
use levada_proto::{
    status,
    v1::{self, groups_client::GroupsClient, reset_offsets_request::Target, subscribe_request::Kind as Say},
};
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, transport::Channel};

use crate::patience::wait_until;
use subscriber::{Subscriber, join};

const TOPIC: &str = "orders";
const GROUP: &str = "billing";
const PARTITIONS: i32 = 4;
const RECORDS: i64 = 60;

/// Settings that let a member that is silent be taken out soon, and none that a busy machine holds up.
const SOON: [(&str, &str); 4] = [
    ("group.consumer.min.heartbeat.interval.ms", "50"),
    ("group.consumer.heartbeat.interval.ms", "50"),
    ("group.consumer.min.session.timeout.ms", "6000"),
    ("group.consumer.session.timeout.ms", "6000"),
];

fn node() -> Outcome<Node> {
    let options = SOON.iter().fold(NodeOptions::default(), |options, (key, value)| options.set(key, value));
    let node = Node::start_with(options)?;
    fill(node.kafka()?)?;
    Ok(node)
}

/// Creates the topic with so many records in each partition.
fn fill(kafka: SocketAddr) -> Outcome {
    Admin::connect(kafka)?.create_topic(TOPIC, PARTITIONS, &[])?;
    let mut recorder = Recorder::connect(kafka, &RecorderOptions::default())?;
    for number in 0..RECORDS {
        for partition in 0..PARTITIONS {
            recorder.send(TOPIC, Some(partition), "key", number.to_string().as_bytes())?;
        }
    }
    assert_eq!(recorder.finish()?.failed, BTreeMap::new());
    Ok(())
}

/// Every record that was produced.
fn everything() -> BTreeSet<(i32, i64)> {
    (0..PARTITIONS).flat_map(|partition| (0..RECORDS).map(move |offset| (partition, offset))).collect()
}

/// Asks about groups.
struct Asker {
    runtime: Runtime,
    groups: GroupsClient<Channel>,
}

impl Asker {
    fn connect(broker: SocketAddr) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let channel = runtime.block_on(Channel::from_shared(format!("http://{broker}"))?.connect())?;
        Ok(Self { runtime, groups: GroupsClient::new(channel) })
    }

    fn describe(&mut self, group: &str) -> Outcome<v1::DescribeGroupResponse> {
        let request = v1::DescribeGroupRequest { group_id: group.to_owned(), without_offsets: false };
        Ok(self.runtime.block_on(self.groups.describe_group(request))?.into_inner())
    }

    /// What is committed, by partition.
    fn committed(&mut self) -> Outcome<BTreeMap<i32, i64>> {
        let offsets = self.describe(GROUP)?.offsets.into_iter();
        Ok(offsets.filter_map(|offset| Some((offset.partition, offset.committed_offset?))).collect())
    }

    fn reset(&mut self, target: Target, dry_run: bool) -> Outcome<Vec<(i32, Option<i64>, i64)>> {
        let request =
            v1::ResetOffsetsRequest { group_id: GROUP.to_owned(), topics: Vec::new(), target: Some(target), dry_run };
        let answer = self.runtime.block_on(self.groups.reset_offsets(request))?.into_inner();
        assert!(answer.results.iter().all(|result| result.error.is_none()), "{answer:?}");
        Ok(answer.results.iter().map(|result| (result.partition, result.old_offset, result.new_offset)).collect())
    }
}

/// No partition is owned by both.
fn check_apart(one: &Subscriber, other: &Subscriber) {
    let both: Vec<_> = one.owned.keys().filter(|partition| other.owned.contains_key(partition)).collect();
    assert!(both.is_empty(), "{both:?} have two owners");
}

#[test]
fn a_member_takes_over_from_one_that_dies_and_no_commit_is_ahead_of_what_was_acknowledged() -> Outcome {
    let node = node()?;
    let mut asker = Asker::connect(node.grpc()?)?;
    // The first one processes all but the last record of each response, so that it always holds some.
    let mut one = Subscriber::open(node.grpc()?, join(GROUP, TOPIC))?;
    wait_until("one has everything", || {
        one.turn(1, true)?;
        Ok(one.owned.len() == 4)
    })?;
    let mut other = Subscriber::open(node.grpc()?, join(GROUP, TOPIC))?;
    wait_until("they share", || {
        one.turn(1, true)?;
        other.turn(0, true)?;
        check_apart(&one, &other);
        Ok(one.owned.len() == 2 && other.owned.len() == 2)
    })?;
    wait_until("some is processed and committed", || {
        one.turn(1, true)?;
        Ok(!one.processed.is_empty() && asker.committed()?.values().any(|&offset| offset > 0))
    })?;
    for (partition, offset) in asker.committed()? {
        let acknowledged =
            one.processed.iter().chain(&other.processed).filter(|(processed, _)| *processed == partition);
        let acknowledged = acknowledged.map(|(_, offset)| offset + 1).max().unwrap_or(0);
        assert!(offset <= acknowledged, "{partition} is committed at {offset}, acknowledged up to {acknowledged}");
    }
    let mut processed = std::mem::take(&mut one.processed);
    drop(one);
    wait_until("the other one has taken over and everything is processed", || {
        other.turn(0, true)?;
        processed.extend(std::mem::take(&mut other.processed));
        Ok(other.owned.len() == 4 && processed == everything())
    })?;
    other.say(Say::Leave(v1::LeaveSubscription {}));
    wait_until("it has left", || {
        other.turn(0, true)?;
        Ok(other.ended.is_some())
    })?;
    assert!(matches!(&other.left, Some(left) if left.error.is_none()));
    assert!(matches!(other.ended, Some(Ok(()))), "{:?}", other.ended);
    let group = asker.describe(GROUP)?;
    assert_eq!(group.members.len(), 0);
    let standing: Vec<_> = group.offsets.iter().map(|o| (o.partition, o.committed_offset, o.lag, o.lag_ms)).collect();
    let expected: Vec<_> = (0..PARTITIONS).map(|p| (p, Some(RECORDS), Some(0), Some(0))).collect();
    assert_eq!(standing, expected);
    Ok(())
}

#[test]
fn a_member_goes_on_at_another_broker_with_its_partitions_and_its_old_stream_ends() -> Outcome {
    let mut sandbox = Sandbox::start(&SandboxOptions::new(1, 3))?;
    fill(sandbox.broker(1)?.kafka()?)?;
    let grpc = [sandbox.broker(1)?.grpc()?, sandbox.broker(2)?.grpc()?];
    let mut one = Subscriber::open(grpc[0], join(GROUP, TOPIC))?;
    wait_until("it reads from every leader", || {
        one.turn(0, true)?;
        Ok(one.owned.values().filter(|due| due.is_some_and(|due| due > 0)).count() == 4)
    })?;
    let mut again = Subscriber::open(grpc[1], one.resumption(join(GROUP, TOPIC)))?;
    again.owned.clone_from(&one.owned);
    wait_until("the old stream ends", || {
        one.turn(0, true)?;
        Ok(one.ended.is_some())
    })?;
    // What came on the old stream after the new one was told of it comes again.
    let ended = one.ended.take().and_then(Result::err);
    assert_eq!(ended.and_then(|status| status::code_of(&status)).map(|code| code.name()), Some("FENCED_INSTANCE_ID"));
    let mut processed = std::mem::take(&mut one.processed);
    wait_until("the new one goes on to the end", || {
        again.turn(0, true)?;
        processed.extend(std::mem::take(&mut again.processed));
        Ok(processed == everything())
    })?;
    let (before, after) = (one.joined.unwrap_or_default(), again.joined.clone().unwrap_or_default());
    assert_eq!(before.member_id, after.member_id);
    assert!(before.stream_number < after.stream_number);
    assert_eq!((again.owned.len(), again.revoked.len()), (4, 0));
    Ok(())
}

#[test]
fn a_group_is_described_reset_and_deleted() -> Outcome {
    let node = node()?;
    let mut asker = Asker::connect(node.grpc()?)?;
    let mut member =
        Subscriber::open(node.grpc()?, v1::JoinSubscription { manual_commit: true, ..join(GROUP, TOPIC) })?;
    wait_until("it has processed something", || {
        member.turn(0, true)?;
        Ok(member.owned.values().all(|due| due.is_some_and(|due| due >= 20)) && member.owned.len() == 4)
    })?;
    let topic = || Some(v1::TopicRef { topic: Some(Topic::Name(TOPIC.to_owned())) });
    let offset = |partition, offset| v1::OffsetToCommit {
        topic: topic(),
        partition,
        offset,
        leader_epoch: None,
        metadata: "mine".to_owned(),
    };
    let offsets = vec![offset(0, 10), offset(3, 20), offset(9, 1)];
    member.say(Say::Commit(v1::CommitSubscription { request_id: 5, offsets }));
    wait_until("the commit is answered", || {
        member.turn(0, true)?;
        Ok(!member.committed.is_empty())
    })?;
    let codes: Vec<_> = member.committed[0].results.iter().map(|r| r.error.as_ref().map(|e| e.name.as_str())).collect();
    assert_eq!(codes, [None, None, Some("UNKNOWN_TOPIC_OR_PARTITION")]);

    let group = asker.describe(GROUP)?;
    let listing = group.group.clone().unwrap_or_default();
    assert_eq!((listing.state.as_str(), listing.r#type()), ("Stable", v1::GroupType::Consumer));
    assert_eq!(group.members.len(), 1);
    assert_eq!(group.members[0].assigned[0].partitions, [0, 1, 2, 3]);
    let standing: Vec<_> =
        group.offsets.iter().map(|o| (o.partition, o.committed_offset, o.log_end_offset, o.lag)).collect();
    let end = Some(RECORDS);
    let expected =
        [(0, Some(10), end, Some(50)), (1, None, end, None), (2, None, end, None), (3, Some(20), end, Some(40))];
    assert_eq!(standing, expected);
    assert!(group.offsets[0].lag_ms.is_some_and(|waited| waited >= 0) && group.offsets[0].metadata == "mine");
    assert!(group.offsets.iter().all(|offset| offset.member_id.as_ref() == Some(&group.members[0].member_id)));

    let refused = asker.reset(Target::ShiftBy(-5), true).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("has members"), "{refused}");
    member.say(Say::Leave(v1::LeaveSubscription {}));
    wait_until("it has left", || {
        member.turn(0, true)?;
        Ok(member.ended.is_some())
    })?;
    let shifted = [(0, Some(10), 5), (3, Some(20), 15)];
    assert_eq!(asker.reset(Target::ShiftBy(-5), true)?, shifted);
    assert_eq!(asker.committed()?, BTreeMap::from([(0, 10), (3, 20)]), "nothing was done");
    assert_eq!(asker.reset(Target::ShiftBy(-5), false)?, shifted);
    assert_eq!(asker.reset(Target::Offset(1_000), false)?, [(0, Some(5), 60), (3, Some(15), 60)]);
    assert_eq!(asker.reset(Target::TimestampMs(0), false)?, [(0, Some(60), 0), (3, Some(60), 0)]);
    let latest = Target::Position(v1::OffsetPosition::Latest.into());
    assert_eq!(asker.reset(latest, false)?, [(0, Some(0), 60), (3, Some(0), 60)]);

    let topics = vec![v1::ResetTopic { topic: topic(), partitions: vec![3] }];
    let request = v1::DeleteOffsetsRequest { group_id: GROUP.to_owned(), topics };
    asker.runtime.block_on(asker.groups.delete_offsets(request))?;
    assert_eq!(asker.committed()?, BTreeMap::from([(0, 60)]));
    let listed = asker.runtime.block_on(asker.groups.list_groups(v1::ListGroupsRequest::default()))?.into_inner();
    let listed: Vec<_> = listed.groups.iter().map(|group| (group.group_id.as_str(), group.state.as_str())).collect();
    assert_eq!(listed, [(GROUP, "Empty")]);
    let delete = || v1::DeleteGroupRequest { group_id: GROUP.to_owned() };
    asker.runtime.block_on(asker.groups.delete_group(delete()))?;
    let gone = asker.runtime.block_on(asker.groups.delete_group(delete())).err();
    assert_eq!(gone.map(|status| status.code()), Some(Code::NotFound));
    Ok(())
}
