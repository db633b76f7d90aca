//! Consumers of librdkafka as members of groups: what they are given, what they commit, and that they go on from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use levada_end_to_end::{Admin, Member, MemberOptions, Outcome, Protocol, Recorder, RecorderOptions, Seen, Told};
use levada_harness::{Node, NodeOptions, Sandbox, SandboxOptions};

use crate::patience::wait_until;

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 4;

/// How long a member waits for a record before another one has its turn.
const TURN: Duration = Duration::from_millis(10);

const EVERY_PROTOCOL: [Protocol; 4] = [
    Protocol::Classic("range"),
    Protocol::Classic("roundrobin"),
    Protocol::Classic("cooperative-sticky"),
    Protocol::Consumer,
];

/// A node with the topic, on which groups do not wait for members that might come.
fn node() -> Outcome<Node> {
    let options = NodeOptions::default()
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.consumer.min.heartbeat.interval.ms", "100")
        .set("group.consumer.heartbeat.interval.ms", "100");
    let node = Node::start_with(options)?;
    Admin::connect(node.kafka()?)?.create_topic(TOPIC, PARTITIONS, &[])?;
    Ok(node)
}

/// Produces so many records to each partition.
fn produce(node: &Node, records: u64) -> Outcome {
    let mut recorder = Recorder::connect(node.kafka()?, &RecorderOptions::default())?;
    for number in 0..records {
        for partition in 0..PARTITIONS {
            recorder.send(TOPIC, Some(partition), "key", number.to_string().as_bytes())?;
        }
    }
    let history = recorder.finish()?;
    assert_eq!(history.failed, BTreeMap::new());
    Ok(())
}

/// Polls until so many records came.
fn take(member: &Member, records: usize) -> Outcome<Vec<Seen>> {
    let mut seen = Vec::new();
    wait_until("records come", || {
        seen.extend(member.poll(TURN)?);
        Ok(seen.len() >= records)
    })?;
    Ok(seen)
}

/// Has all members poll, in turns, until it is so. Nothing is ever owned by two of them.
fn poll_until(what: &str, members: &[&Member], is_so: impl Fn(&[BTreeSet<i32>]) -> bool) -> Outcome {
    wait_until(what, || {
        for member in members {
            member.poll(TURN)?;
        }
        let owned: Vec<BTreeSet<i32>> = members.iter().map(|member| member.owned()).collect::<Outcome<_>>()?;
        let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
        assert_eq!(all.len(), owned.iter().map(BTreeSet::len).sum::<usize>(), "a partition has two owners: {owned:?}");
        Ok(is_so(&owned))
    })
}

fn sizes(owned: &[BTreeSet<i32>]) -> Vec<usize> {
    let mut sizes: Vec<usize> = owned.iter().map(BTreeSet::len).collect();
    sizes.sort_unstable();
    sizes
}

/// What librdkafka's old list of groups tells of a group with so many members: nothing, if it is of the next generation.
fn classic(protocol: Protocol, members: usize) -> Option<(String, usize)> {
    matches!(protocol, Protocol::Classic(_)).then(|| ("Stable".to_owned(), members))
}

fn all_partitions() -> BTreeSet<i32> {
    (0..PARTITIONS).collect()
}

#[test]
fn a_group_goes_on_where_it_has_committed_after_its_own_end_and_that_of_the_node() -> Outcome {
    let mut node = node()?;
    produce(&node, 10)?;
    for protocol in [Protocol::Classic("range"), Protocol::Consumer] {
        let group = format!("resumes.{protocol:?}");
        let options = MemberOptions::new(&group, TOPIC, protocol);
        let first = Member::join(node.kafka()?, &options)?;
        assert_eq!(take(&first, 40)?.len(), 40, "{protocol:?}");
        let half: BTreeMap<i32, i64> = (0..PARTITIONS).map(|partition| (partition, 5 + i64::from(partition))).collect();
        first.commit(&half)?;
        assert_eq!(first.committed(0..PARTITIONS)?, half);
        drop(first);
        // Whoever comes first after that reads what was not committed, once.
        node.kill()?;
        node.start_again()?;
        let second = Member::join(node.kafka()?, &options)?;
        let seen = take(&second, 5 + 4 + 3 + 2)?;
        let places: BTreeSet<(i32, i64)> = seen.iter().map(|seen| (seen.partition, seen.offset)).collect();
        let due: BTreeSet<(i32, i64)> =
            half.iter().flat_map(|(partition, offset)| (*offset..10).map(|offset| (*partition, offset))).collect();
        assert_eq!(places, due, "{protocol:?}");
        assert_eq!(seen.len(), due.len(), "{protocol:?}: some came twice");
    }
    Ok(())
}

#[test]
fn two_members_share_and_one_inherits() -> Outcome {
    let node = node()?;
    for protocol in EVERY_PROTOCOL {
        let group = format!("shares.{protocol:?}");
        let options = MemberOptions::new(&group, TOPIC, protocol);
        let first = Member::join(node.kafka()?, &options)?;
        poll_until("the first has all", &[&first], |owned| owned[0] == all_partitions())?;
        let second = Member::join(node.kafka()?, &options)?;
        poll_until("each has half", &[&first, &second], |owned| sizes(owned) == [2, 2])?;
        assert_eq!(first.describe(&group)?, classic(protocol, 2), "{protocol:?}");
        let expected = if protocol.is_cooperative() { 2 } else { 4 };
        assert_eq!(first.most_revoked(), expected, "{protocol:?}: {:?}", first.told());
        drop(second);
        poll_until("the first has all again", &[&first], |owned| owned[0] == all_partitions())?;
        assert_eq!(first.most_revoked(), expected, "{protocol:?}: {:?}", first.told());
        assert_eq!(first.describe(&group)?, classic(protocol, 1), "{protocol:?}");
    }
    Ok(())
}

#[test]
fn a_static_member_comes_back_to_what_it_had_and_nobody_else_notices() -> Outcome {
    let node = node()?;
    for protocol in [Protocol::Classic("range"), Protocol::Consumer] {
        let group = format!("static.{protocol:?}");
        let named = |instance| MemberOptions {
            instance: Some(instance),
            session_timeout: Duration::from_secs(60),
            ..MemberOptions::new(&group, TOPIC, protocol)
        };
        let stays = Member::join(node.kafka()?, &named("stays"))?;
        let goes = Member::join(node.kafka()?, &named("goes"))?;
        poll_until("each has half", &[&stays, &goes], |owned| sizes(owned) == [2, 2])?;
        let (told, had) = (stays.told(), goes.owned()?);
        drop(goes);
        let back = Member::join(node.kafka()?, &named("goes"))?;
        poll_until("it has what it had", &[&stays, &back], |owned| owned[1] == had)?;
        assert_eq!(stays.told(), told, "{protocol:?}");
        assert_eq!(back.told(), [Told::Assigned(had)], "{protocol:?}");
    }
    Ok(())
}

#[test]
fn partitions_that_are_added_are_given_to_members() -> Outcome {
    let node = node()?;
    for (protocol, count) in [(Protocol::Classic("cooperative-sticky"), 6), (Protocol::Consumer, 8)] {
        let group = format!("grows.{protocol:?}");
        let options = MemberOptions::new(&group, TOPIC, protocol);
        let members = [Member::join(node.kafka()?, &options)?, Member::join(node.kafka()?, &options)?];
        let both = [&members[0], &members[1]];
        poll_until("each has half", &both, |owned| owned.iter().all(|owned| owned.len() == (count - 2) / 2))?;
        Admin::connect(node.kafka()?)?.create_partitions(TOPIC, count)?;
        poll_until("each has half of more", &both, |owned| owned.iter().all(|owned| owned.len() == count / 2))?;
    }
    Ok(())
}

/// Groups that are kept by both of two coordinators, since their shards are spread.
const GROUPS: usize = 8;

#[test]
fn members_keep_what_they_have_when_their_coordinator_is_killed() -> Outcome {
    let options = SandboxOptions::new(1, 1)
        .set_brokers("offsets.topic.num.partitions", "8")
        .set_group_coordinators("group.initial.rebalance.delay.ms", "0")
        .set_group_coordinators("group.consumer.min.heartbeat.interval.ms", "100")
        .set_group_coordinators("group.consumer.heartbeat.interval.ms", "100");
    let mut sandbox = Sandbox::start(&options)?;
    let bootstrap = sandbox.broker(1)?.kafka()?;
    Admin::connect(bootstrap)?.create_topic(TOPIC, PARTITIONS, &[])?;
    let protocols = EVERY_PROTOCOL.into_iter().cycle();
    let named: Vec<(String, Protocol)> = (0..GROUPS).map(|number| format!("group.{number}")).zip(protocols).collect();
    let members = named
        .iter()
        .map(|(group, protocol)| Member::join(bootstrap, &MemberOptions::new(group, TOPIC, *protocol)))
        .collect::<Outcome<Vec<Member>>>()?;
    let owns_all = |member: &Member| -> Outcome<bool> {
        member.poll(TURN)?;
        Ok(member.owned()? == all_partitions())
    };
    for member in &members {
        wait_until("a member has all", || owns_all(member))?;
    }
    let told: Vec<Vec<Told>> = members.iter().map(Member::told).collect();

    for (coordinator, offset) in [(2001, 1), (2002, 2)] {
        sandbox.group_coordinator(coordinator)?.kill()?;
        let offsets: BTreeMap<i32, i64> = (0..PARTITIONS).map(|partition| (partition, offset)).collect();
        for member in &members {
            // Under the generation or epoch that it had, which the new owner of the shard knows from the log.
            wait_until("a commit succeeds", || Ok(member.commit(&offsets).is_ok()))?;
            assert_eq!(member.committed(0..PARTITIONS)?, offsets);
            assert!(owns_all(member)?);
        }
        let now: Vec<Vec<Told>> = members.iter().map(Member::told).collect();
        assert_eq!(now, told, "nobody lost anything");
        sandbox.group_coordinator(coordinator)?.start_again()?;
    }
    // And groups go on changing.
    for (member, (group, protocol)) in members.iter().zip(&named) {
        let second = Member::join(bootstrap, &MemberOptions::new(group, TOPIC, *protocol))?;
        poll_until("each has half", &[member, &second], |owned| sizes(owned) == [2, 2])?;
    }
    Ok(())
}
