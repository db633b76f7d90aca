//! Consumer groups through one client: members join, leave, crash and come back, and nobody misses a record.
//!
//! Every member is a process that tells what happens to it. What they tell is checked as it comes (who owns what, which
//! records were seen) and once more at the end: no partition had two owners at one time.

mod ledger;
mod member;

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, KafkaServer, Outcome, Recorder, RecorderOptions, fail};
use levada_harness::{Node, NodeOptions};

use self::{
    ledger::Ledger,
    member::{Member, MemberOptions, Members},
};
use crate::plan::Client;

/// How many partitions the topic has.
const PARTITIONS: i32 = 4;

/// How many records are produced at each step, evenly over the partitions.
const RECORDS: i32 = 400;

/// How long any step may take. Longer than a session and a rebalance together.
const PATIENCE: Duration = Duration::from_secs(90);

/// After how long a silence a member counts as gone: the least that the classic protocol allows by default.
pub(super) const SESSION_MS: u32 = 6_000;

/// The protocol that is no assignor of the classic one (KIP-848).
const NEXT_GENERATION: &str = "consumer";

/// Runs every protocol that the client has, against a node, or against a real Kafka if its jars are given: what holds there
/// shows that what is asked here is what Kafka does.
pub(crate) fn run(client: &Client, kafka_jars: Option<&Path>) -> Outcome {
    let session = SESSION_MS.to_string();
    // The next-generation protocol's sessions are the server's matter, and last 45 seconds by default.
    let settings = [
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.consumer.min.session.timeout.ms", &session),
        ("group.consumer.session.timeout.ms", &session),
        ("group.consumer.min.heartbeat.interval.ms", "500"),
        ("group.consumer.heartbeat.interval.ms", "500"),
    ];
    if let Some(jars) = kafka_jars {
        let mut kafka = KafkaServer::prepare_with(jars, &settings)?;
        kafka.start()?;
        return run_all(client, kafka.address());
    }
    let options = settings.iter().fold(NodeOptions::default(), |options, (key, value)| options.set(key, value));
    let node = Node::start_with(options)?;
    Ok(run_all(client, node.kafka()?).map_err(|error| format!("{error}\n{}", node.log()))?)
}

fn run_all(client: &Client, bootstrap: SocketAddr) -> Outcome {
    for protocol in &client.group_protocols {
        Scenario::start(client, bootstrap, protocol)?.run().map_err(|error| format!("{protocol}: {error}"))?;
    }
    Ok(())
}

/// One group on one topic.
struct Scenario<'a> {
    client: &'a Client,
    bootstrap: SocketAddr,
    protocol: &'a str,
    topic: String,
    recorder: Recorder,
    members: Members,
    ledger: Ledger,
    /// How many records each partition has.
    produced: i64,
}

impl<'a> Scenario<'a> {
    fn start(client: &'a Client, bootstrap: SocketAddr, protocol: &'a str) -> Outcome<Self> {
        let topic = format!("{}.{protocol}", client.name);
        Admin::connect(bootstrap)?.create_topic(&topic, PARTITIONS, &[])?;
        Ok(Self {
            client,
            bootstrap,
            protocol,
            topic,
            recorder: Recorder::connect(bootstrap, &RecorderOptions::default())?,
            members: Members::new(),
            ledger: Ledger::default(),
            produced: 0,
        })
    }

    fn run(mut self) -> Outcome {
        let first = self.join(None)?;
        self.produce()?;
        self.until("the only member owns everything and has seen every record", |all| {
            all.owns(&first) == all.everything() && all.ledger.seen_all(all.produced)
        })?;

        let second = self.join(None)?;
        self.until("two members share the partitions", |all| all.share(&first, &second))?;
        self.produce()?;
        self.until("two members have seen every record", |all| all.ledger.seen_all(all.produced))?;

        self.leave(&second)?;
        self.until("the member that stays owns everything", |all| all.owns(&first) == all.everything())?;
        self.produce()?;
        self.until("it has seen every record", |all| all.ledger.seen_all(all.produced))?;

        let third = self.join(None)?;
        self.until("a third member gets its share", |all| all.share(&first, &third))?;
        self.produce()?;
        self.kill(&third)?;
        self.until("the other takes over from a member that was killed", |all| all.owns(&first) == all.everything())?;
        self.until("no record was lost with the member that was killed", |all| all.ledger.seen_all(all.produced))?;

        if self.client.static_protocols.iter().any(|protocol| protocol == self.protocol) {
            self.static_member(&first)?;
        }
        self.leave(&first)?;
        self.resume()?;
        self.ledger.check_owners()
    }

    /// A static member that goes and comes back at once gets its partitions back, and nobody else notices. In the classic
    /// protocol it may be killed; in the next-generation one it has to say that it goes for a while.
    fn static_member(&mut self, other: &Member) -> Outcome {
        let before = self.join(Some("static-1"))?;
        self.until("a static member gets its share", |all| all.share(other, &before))?;
        let share = self.owns(&before);
        let quiet_since = self.ledger.changes_of(other.number);
        if self.protocol == NEXT_GENERATION {
            self.leave(&before)?;
        } else {
            self.kill(&before)?;
        }
        let after = self.join(Some("static-1"))?;
        self.until("a static member that came back has its partitions", |all| all.owns(&after) == share)?;
        self.produce()?;
        self.until("with it every record is seen", |all| all.ledger.seen_all(all.produced))?;
        if self.ledger.changes_of(other.number) != quiet_since {
            return fail("a static member came back, and the other one's partitions changed");
        }
        self.leave(&after)?;
        // It keeps its place until its session is over.
        self.until("a static member that is gone loses its place", |all| all.owns(other) == all.everything())
    }

    /// A new life of the group begins where the last one has committed.
    fn resume(&mut self) -> Outcome {
        let known = self.produced;
        self.produce()?;
        let next = self.join(None)?;
        self.until("a new life of the group sees every record", |all| all.ledger.seen_all(all.produced))?;
        if let Some((partition, offset)) = self.ledger.seen_by(next.number).find(|(_, offset)| *offset < known) {
            return fail(format!("{partition} at {offset} was committed, and it came again"));
        }
        self.leave(&next)
    }

    fn join(&mut self, instance: Option<&str>) -> Outcome<Member> {
        self.members.start(
            self.client,
            &MemberOptions {
                bootstrap: self.bootstrap,
                topic: &self.topic,
                // A group of its own, so that what one protocol leaves behind is not the next one's beginning.
                group: &self.topic,
                protocol: self.protocol,
                instance,
            },
        )
    }

    /// Has a member leave, and waits until its process has ended.
    fn leave(&mut self, member: &Member) -> Outcome {
        self.members.ask_to_leave(member)?;
        self.until("a member that was asked to has left", |all| all.ledger.has_left(member.number))?;
        self.members.wait(member)
    }

    /// Kills a member, and takes in what it had still told.
    fn kill(&mut self, member: &Member) -> Outcome {
        let at = self.members.kill(member)?;
        self.until("a member that was killed has ended", |all| all.ledger.has_ended(member.number))?;
        self.ledger.killed(member.number, at);
        Ok(())
    }

    fn produce(&mut self) -> Outcome {
        for number in 0..RECORDS {
            self.recorder.send(&self.topic, Some(number % PARTITIONS), "key", number.to_string().as_bytes())?;
        }
        let enough = self.recorder.sent();
        let begun = Instant::now();
        while (self.recorder.acknowledged() as u64) < enough {
            if begun.elapsed() > PATIENCE {
                return fail("the records of a step were not acknowledged");
            }
            self.recorder.poll(Duration::from_millis(100));
        }
        self.produced += i64::from(RECORDS / PARTITIONS);
        Ok(())
    }

    fn owns(&self, member: &Member) -> Vec<i32> {
        self.ledger.owned_by(member.number)
    }

    fn everything(&self) -> Vec<i32> {
        (0..PARTITIONS).collect()
    }

    /// Whether two members own half of the partitions each.
    fn share(&self, one: &Member, other: &Member) -> bool {
        let (mut all, half) = (self.owns(one), self.owns(other));
        let is_half = all.len() == half.len();
        all.extend(half);
        all.sort_unstable();
        is_half && all == self.everything()
    }

    /// Takes in what members tell until `holds`.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> Outcome {
        let begun = Instant::now();
        while !holds(self) {
            let Some(left) = PATIENCE.checked_sub(begun.elapsed()) else {
                return fail(format!("not within {PATIENCE:?}: {what}; {}", self.ledger));
            };
            if let Some(told) = self.members.next(left)? {
                self.ledger.take(told).map_err(|error| format!("until {what}: {error}"))?;
            }
        }
        Ok(())
    }
}
