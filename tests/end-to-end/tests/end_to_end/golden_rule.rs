//! The golden rule of groups: a partition has one owner in a generation, whoever comes, waits or dies; and groups know nothing
//! of each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use levada_end_to_end::{
    Admin, Diary, Member, MemberOptions, Outcome, Protocol, Recorder, RecorderOptions, Seen, Tenures,
};
use levada_harness::{Node, NodeOptions, Role, Sandbox, SandboxOptions};

use crate::patience::wait_until;

const TOPIC: &str = "orders";

/// How long a member waits for a record before another one has its turn.
const TURN: Duration = Duration::from_millis(10);

/// Eager, cooperative, and the next generation.
const PROTOCOLS: [Protocol; 3] =
    [Protocol::Classic("roundrobin"), Protocol::Classic("cooperative-sticky"), Protocol::Consumer];

/// Until a member that died is missed: the least that brokers allow in a classic group.
const SESSION: Duration = Duration::from_secs(6);

/// Settings with which members hear of each other soon.
const SOON: [(&str, &str); 3] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "100"),
];

/// Settings with which one that died is soon missed.
const MISSED_SOON: [(&str, &str); 2] =
    [("group.consumer.min.session.timeout.ms", "6000"), ("group.consumer.session.timeout.ms", "6000")];

/// A group of static members, who do not take leave: when one is dropped, it has died as far as the group can tell.
struct Group {
    protocol: Protocol,
    members: Vec<Member>,
    /// Of those who died too.
    diaries: Vec<Diary>,
}

impl Group {
    fn new(protocol: Protocol) -> Self {
        Self { protocol, members: Vec::new(), diaries: Vec::new() }
    }

    /// So many more members join, by one broker after the other.
    fn join(&mut self, brokers: &[SocketAddr], members: usize) -> Outcome {
        let group = format!("golden.{:?}", self.protocol);
        for broker in brokers.iter().cycle().take(members) {
            let instance = format!("member-{}", self.diaries.len());
            let options = MemberOptions {
                instance: Some(&instance),
                session_timeout: SESSION,
                notes_tenures: true,
                ..MemberOptions::new(&group, TOPIC, self.protocol)
            };
            let member = Member::join(*broker, &options)?;
            self.diaries.push(member.diary());
            self.members.push(member);
        }
        Ok(())
    }

    /// One that has a partition dies.
    fn lose_an_owner(&mut self) -> Outcome {
        let is_owner = |member: &Member| member.owned().is_ok_and(|owned| !owned.is_empty());
        let owner = self.members.iter().position(is_owner).ok_or("nobody owns anything")?;
        drop(self.members.remove(owner));
        Ok(())
    }

    /// How many partitions each member has, ascending.
    fn sizes(&self) -> Outcome<Vec<usize>> {
        let mut sizes: Vec<usize> =
            self.members.iter().map(|member| Ok(member.owned()?.len())).collect::<Outcome<_>>()?;
        sizes.sort_unstable();
        Ok(sizes)
    }

    /// How often a partition has changed hands, none of which had it in the other's generation.
    fn check(&self) -> Outcome<usize> {
        let tenures: Vec<Tenures> = self.diaries.iter().map(Diary::tenures).collect();
        Tenures::check(&tenures).map_err(|error| format!("{:?}: {error}", self.protocol).into())
    }
}

/// Has all members of all groups poll until each group's partitions are shared like this.
fn poll_until(what: &str, groups: &[Group], shared: &[usize]) -> Outcome {
    wait_until(what, || {
        let mut are_shared = true;
        for group in groups {
            for member in &group.members {
                member.poll(TURN)?;
            }
            group.check()?;
            are_shared &= group.sizes()? == shared;
        }
        Ok(are_shared)
    })
}

#[test]
fn of_six_members_over_four_partitions_two_wait_and_one_takes_over_from_a_dead_one() -> Outcome {
    let options = SandboxOptions::new(1, 2).set_brokers("offsets.topic.num.partitions", "8");
    let settings = SOON.iter().chain(&MISSED_SOON);
    let options = settings.fold(options, |options, (key, value)| options.set_group_coordinators(key, value));
    let sandbox = Sandbox::start(&options)?;
    let brokers = sandbox.processes().iter().filter(|process| process.role == Role::Broker);
    let brokers: Vec<SocketAddr> = brokers.map(|broker| broker.kafka()).collect::<Result<_, _>>()?;
    let first = *brokers.first().ok_or("no broker")?;
    Admin::connect(first)?.create_replicated_topic(TOPIC, (4, 2), &[])?;

    let mut groups = Vec::new();
    for protocol in PROTOCOLS {
        let mut group = Group::new(protocol);
        group.join(&brokers, 2)?;
        groups.push(group);
    }
    poll_until("two members have two each", &groups, &[2, 2])?;
    for group in &mut groups {
        group.join(&brokers, 4)?;
    }
    poll_until("four members have one each", &groups, &[0, 0, 1, 1, 1, 1])?;
    for group in &mut groups {
        group.lose_an_owner()?;
    }
    poll_until("one of those who waited has taken over", &groups, &[0, 1, 1, 1, 1])?;
    for group in &groups {
        let changes = group.check()?;
        assert!(changes >= 3, "{:?}: two gave one away each and one died, but {changes} changed hands", group.protocol);
    }
    Ok(())
}

/// A group that reads a topic by several members, each of which notes what it got.
struct Reading {
    members: Vec<Member>,
    seen: Vec<Seen>,
}

impl Reading {
    fn join(node: &Node, (group, topic): (&str, &str), protocol: Protocol, members: usize) -> Outcome<Self> {
        let options = MemberOptions::new(group, topic, protocol);
        let join = |_| Member::join(node.kafka()?, &options);
        Ok(Self { members: (0..members).map(join).collect::<Outcome<_>>()?, seen: Vec::new() })
    }

    /// Has each member poll once; how many partitions each has.
    fn poll(&mut self) -> Outcome<Vec<usize>> {
        for member in &self.members {
            self.seen.extend(member.poll(TURN)?);
        }
        self.members.iter().map(|member| Ok(member.owned()?.len())).collect()
    }

    /// What was seen, as the offsets of each partition, none twice.
    fn offsets(&self) -> BTreeMap<i32, BTreeSet<i64>> {
        let mut offsets: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
        for seen in &self.seen {
            assert!(offsets.entry(seen.partition).or_default().insert(seen.offset), "{seen:?} came twice");
        }
        offsets
    }

    /// Commits what was seen, each member of the partitions that it has.
    fn commit(&self) -> Outcome {
        for member in &self.members {
            let owned = member.owned()?;
            let next =
                self.offsets().into_iter().filter_map(|(partition, offsets)| Some((partition, offsets.last()? + 1)));
            let next: BTreeMap<i32, i64> = next.filter(|(partition, _)| owned.contains(partition)).collect();
            if !next.is_empty() {
                member.commit(&next)?;
            }
        }
        Ok(())
    }

    fn committed(&self) -> Outcome<BTreeMap<i32, i64>> {
        self.members.first().ok_or("no member")?.committed(0..3)
    }
}

#[test]
fn groups_of_three_two_and_one_have_offsets_of_their_own_and_a_slow_one_holds_up_no_other() -> Outcome {
    const RECORDS: i64 = 200;
    let node =
        Node::start_with(SOON.iter().fold(NodeOptions::default(), |options, (key, value)| options.set(key, value)))?;
    for (protocol, slow) in PROTOCOLS.into_iter().zip(0..) {
        let topic = format!("three-{slow}");
        Admin::connect(node.kafka()?)?.create_topic(&topic, 3, &[])?;
        let mut groups = Vec::new();
        for members in [3, 2, 1] {
            let group = format!("of-{members}.{protocol:?}");
            groups.push(Reading::join(&node, (&group, &topic), protocol, members)?);
        }
        for group in &mut groups {
            wait_until("a group shares three partitions", || {
                let shares = group.poll()?;
                Ok(shares.iter().sum::<usize>() == 3 && !shares.contains(&0))
            })?;
        }
        let mut recorder = Recorder::connect(node.kafka()?, &RecorderOptions::default())?;
        for number in 0..RECORDS {
            for partition in 0..3 {
                recorder.send(&topic, Some(partition), "key", number.to_string().as_bytes())?;
            }
        }
        assert_eq!(recorder.finish()?.failed, BTreeMap::new());

        // One group is held at its first record, and the others have all of theirs.
        let all: BTreeMap<i32, BTreeSet<i64>> = (0..3).map(|partition| (partition, (0..RECORDS).collect())).collect();
        let ends: BTreeMap<i32, i64> = (0..3).map(|partition| (partition, RECORDS)).collect();
        let mut held = groups.remove(slow);
        wait_until("the slow group gets a record", || {
            let member = held.members.first().ok_or("no member")?;
            held.seen.extend(member.poll(TURN)?);
            Ok(!held.seen.is_empty())
        })?;
        held.commit()?;
        for group in &mut groups {
            wait_until("a fast group gets all records", || {
                group.poll()?;
                Ok(group.seen.len() >= all.len() * RECORDS as usize)
            })?;
            assert_eq!(group.offsets(), all, "{protocol:?}");
            group.commit()?;
            assert_eq!(group.committed()?, ends, "{protocol:?}");
        }
        let first = held.seen.first().ok_or("nothing was seen")?;
        assert_eq!((held.seen.len(), held.committed()?), (1, BTreeMap::from([(first.partition, 1)])), "{protocol:?}");

        // It goes on where it was, and has all of it in the end.
        wait_until("the slow group gets the rest", || {
            held.poll()?;
            Ok(held.seen.len() >= all.len() * RECORDS as usize)
        })?;
        assert_eq!(held.offsets(), all, "{protocol:?}");
        held.commit()?;
        assert_eq!(held.committed()?, ends, "{protocol:?}");
    }
    Ok(())
}
