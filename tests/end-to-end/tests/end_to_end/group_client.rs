//! The Rust client as a member of a group: members share, one inherits, offsets are kept, and a broker that is killed takes
//! nobody's place.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use levada_client::{
    Client, ClientOptions, ConsumedRecord, GroupConsumer, Membership, NewTopic, OffsetReset, ProducerRecord,
    RebalanceListener,
};
use levada_end_to_end::{Outcome, Tenures, fail};
use levada_harness::{Node, NodeOptions, Sandbox, SandboxOptions};
use levada_types::TopicPartition;

use crate::patience::LIMIT;

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 4;

/// How long a member waits for a record before another one has its turn.
const TURN: Duration = Duration::from_millis(10);

/// Settings that have members hear of each other soon.
const SOON: [(&str, &str); 2] =
    [("group.consumer.min.heartbeat.interval.ms", "100"), ("group.consumer.heartbeat.interval.ms", "100")];

/// Settings with which a member that died is soon missed.
const MISSED_SOON: [(&str, &str); 2] =
    [("group.consumer.min.session.timeout.ms", "6000"), ("group.consumer.session.timeout.ms", "6000")];

/// What members were told, in order: who, and what of.
type Diary = Arc<Mutex<Vec<(usize, &'static str, BTreeSet<i32>)>>>;

/// Notes what it is told.
struct Noting(usize, Diary);

impl Noting {
    fn note<'a>(
        &self,
        what: &'static str,
        partitions: &[TopicPartition],
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let numbers = partitions.iter().map(|at| at.partition).collect();
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push((self.0, what, numbers));
        Box::pin(std::future::ready(()))
    }
}

impl RebalanceListener for Noting {
    fn on_assigned<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        _: &'a Membership,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.note("assigned", partitions)
    }

    fn on_revoked<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        _: &'a Membership,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.note("revoked", partitions)
    }

    fn on_lost<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        _: &'a Membership,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.note("lost", partitions)
    }
}

fn told(diary: &Diary) -> Vec<(usize, &'static str, BTreeSet<i32>)> {
    diary.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Creates the topic, every partition with as many replicas.
async fn create(client: &Client, replicas: i32) -> Outcome {
    let topic = NewTopic::new(TOPIC).partitions(PARTITIONS).replication_factor(replicas);
    client.admin().create_topic(topic).await?;
    Ok(())
}

/// Sends these numbers to every partition, and waits until they are there.
async fn produce(client: &Client, numbers: std::ops::Range<u32>) -> Outcome {
    let producer = client.producer().build().await?;
    let mut deliveries = Vec::new();
    for number in numbers {
        for partition in 0..PARTITIONS {
            let record = ProducerRecord::to(TOPIC).partition(partition).value(number.to_string());
            deliveries.push(producer.send(record).await?);
        }
    }
    for delivery in deliveries {
        delivery.await?;
    }
    Ok(())
}

/// Keeps account of the member epochs in which it had which partitions.
#[derive(Clone, Default)]
struct Keeping(Arc<Mutex<Tenures>>);

impl Keeping {
    fn keep<'a>(
        &self,
        member: &Membership,
        change: impl FnOnce(&mut Tenures, &BTreeSet<i32>),
        partitions: &[TopicPartition],
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mut tenures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tenures.enter(member.member_epoch().unwrap_or(0));
        change(&mut tenures, &partitions.iter().map(|at| at.partition).collect());
        Box::pin(std::future::ready(()))
    }
}

impl RebalanceListener for Keeping {
    fn on_assigned<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        member: &'a Membership,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.keep(member, Tenures::begin, partitions)
    }

    fn on_revoked<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        member: &'a Membership,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.keep(member, Tenures::end, partitions)
    }

    fn on_lost<'a>(
        &'a mut self,
        partitions: &'a [TopicPartition],
        member: &'a Membership,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.keep(member, Tenures::end, partitions)
    }
}

async fn join(client: &Client, number: usize, diary: &Diary) -> Outcome<GroupConsumer> {
    let builder = client.subscribe("billing").topics([TOPIC]).auto_offset_reset(OffsetReset::Earliest);
    Ok(builder.max_poll_records(7).manual_commit().listener(Noting(number, diary.clone())).build().await?)
}

fn places(records: &[ConsumedRecord]) -> impl Iterator<Item = (i32, i64)> {
    records.iter().map(|record| (record.partition, record.offset))
}

/// Has all members poll, in turns, and commit what they got, until it is so. Nothing is ever owned by two.
async fn poll_until(
    members: &mut [&mut GroupConsumer],
    seen: &mut Vec<(i32, i64)>,
    is_so: impl Fn(&[BTreeSet<i32>], &[(i32, i64)]) -> bool,
) -> Outcome {
    let rounds = async {
        loop {
            for member in members.iter_mut() {
                if let Ok(records) = tokio::time::timeout(TURN, member.poll()).await {
                    seen.extend(places(&records?));
                    member.commit().await?;
                }
            }
            let owned: Vec<BTreeSet<i32>> = members.iter().map(|member| owned(member)).collect();
            let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
            if all.len() != owned.iter().map(BTreeSet::len).sum::<usize>() {
                return fail(format!("a partition has two owners: {owned:?}"));
            }
            if is_so(&owned, seen) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(LIMIT, rounds).await.unwrap_or_else(|_| fail("it has not come to be"))
}

/// The partitions that a member owns.
fn owned(member: &GroupConsumer) -> BTreeSet<i32> {
    member.assignment().iter().map(|at| at.partition).collect()
}

/// Offsets of all partitions.
fn due(offsets: std::ops::Range<i64>) -> BTreeSet<(i32, i64)> {
    (0..PARTITIONS).flat_map(|partition| offsets.clone().map(move |offset| (partition, offset))).collect()
}

/// What is left to consume, as a broker tells it, and as it is: the end of each partition less what is committed. Of a
/// partition of which nothing is committed no lag is told, as in Kafka: all of it is left.
async fn lag(client: &Client) -> Outcome<(i64, i64)> {
    let admin = client.admin();
    let group = admin.describe_group("billing").await?;
    let ends = admin.list_offsets(TOPIC, &[], levada_client::OffsetTarget::Latest).await?;
    let told = group.offsets.iter().filter_map(|offset| offset.lag.or(offset.log_end)).sum();
    let committed: i64 = group.offsets.iter().filter_map(|offset| offset.committed).sum();
    Ok((told, ends.iter().map(|end| end.offset).sum::<i64>() - committed))
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_one_inherits_and_the_group_goes_on_where_it_has_committed() -> Outcome {
    let options = SOON.iter().fold(NodeOptions::default(), |options, (key, value)| options.set(key, value));
    let node = Node::start_with(options)?;
    let client = Client::new(ClientOptions::new([node.grpc()?.to_string()]))?;
    create(&client, 1).await?;
    produce(&client, 0..20).await?;
    let (diary, mut seen) = (Diary::default(), Vec::new());
    let mut first = join(&client, 1, &diary).await?;
    poll_until(&mut [&mut first], &mut seen, |owned, seen| owned[0].len() == 4 && seen.len() >= 40).await?;
    assert_eq!(lag(&client).await?, (80 - count(&seen), 80 - count(&seen)));

    let mut second = join(&client, 2, &diary).await?;
    let both = &mut [&mut first, &mut second];
    poll_until(both, &mut seen, |owned, _| owned.iter().all(|owned| owned.len() == 2)).await?;
    produce(&client, 20..30).await?;
    poll_until(both, &mut seen, |_, seen| seen.len() >= 120).await?;
    assert_eq!(lag(&client).await?, (0, 0));
    let inherited = owned(&first);
    first.close().await?;
    poll_until(&mut [&mut second], &mut seen, |owned, _| owned[0].len() == 4).await?;
    produce(&client, 30..40).await?;
    poll_until(&mut [&mut second], &mut seen, |_, seen| seen.len() >= 140).await?;
    second.close().await?;
    let left = 160 - count(&seen);
    assert_eq!(lag(&client).await?, (left, left), "what was returned is committed, and nothing else");

    let mut third = join(&client, 3, &diary).await?;
    poll_until(&mut [&mut third], &mut seen, |_, seen| seen.len() >= 160).await?;
    assert_eq!((seen.len(), seen.iter().copied().collect()), (160, due(0..40)), "each record came once");
    assert_eq!(lag(&client).await?, (0, 0));
    let told = told(&diary);
    let of = |number, what| told.iter().filter(move |(who, change, _)| *who == number && *change == what);
    assert_eq!(of(1, "assigned").map(|(.., partitions)| partitions.len()).sum::<usize>(), 4);
    assert_eq!(
        of(1, "revoked").map(|(.., partitions)| partitions.len()).sum::<usize>(),
        4,
        "two for the second, two left"
    );
    assert!(of(2, "assigned").any(|(.., partitions)| inherited.is_subset(partitions)), "{told:?}");
    assert!(told.iter().all(|(_, what, _)| *what != "lost"), "{told:?}");
    third.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_broker_is_killed_goes_on_at_another_and_keeps_its_partitions() -> Outcome {
    let options = SandboxOptions::new(1, 3);
    let options = SOON.iter().fold(options, |options, (key, value)| options.set_group_coordinators(key, value));
    let mut sandbox = Sandbox::start(&options)?;
    let mut addresses = Vec::new();
    for broker in 1..=3 {
        addresses.push(sandbox.broker(broker)?.grpc()?.to_string());
    }
    // The first of them serves the member.
    let client = Client::new(ClientOptions::new(addresses.clone()))?;
    let producing = Client::new(ClientOptions::new(addresses.into_iter().rev()))?;
    create(&client, 3).await?;
    produce(&producing, 0..20).await?;
    let (diary, mut seen) = (Diary::default(), Vec::new());
    let mut member = join(&client, 1, &diary).await?;
    let id = member.membership().member_id();
    poll_until(&mut [&mut member], &mut seen, |owned, seen| owned[0].len() == 4 && seen.len() >= 50).await?;
    sandbox.broker(1)?.kill()?;
    produce(&producing, 20..40).await?;
    poll_until(&mut [&mut member], &mut seen, |_, seen| seen.len() >= 160).await?;
    assert_eq!((seen.len(), seen.iter().copied().collect()), (160, due(0..40)), "each record came once");
    assert_eq!((member.membership().member_id(), id.is_some()), (id, true), "it is the member that it was");
    assert_eq!(told(&diary), [(1, "assigned", (0..PARTITIONS).collect())]);
    member.close().await?;
    assert_eq!(lag(&producing).await?, (0, 0));
    Ok(())
}

/// Has each of the group's members poll, in turns, until their partitions are shared like this, and looks whether one had two
/// owners in an epoch, those who died included.
async fn keep_until(members: &mut [(GroupConsumer, Keeping)], all: &[Keeping], shared: &[usize]) -> Outcome<usize> {
    let rounds = async {
        loop {
            let mut sizes = Vec::new();
            for (member, keeping) in members.iter_mut() {
                if let Ok(records) = tokio::time::timeout(TURN, member.poll()).await {
                    records?;
                }
                let epoch = member.membership().member_epoch().unwrap_or(0);
                keeping.0.lock().unwrap_or_else(PoisonError::into_inner).enter(epoch);
                sizes.push(member.assignment().len());
            }
            let tenures: Vec<Tenures> =
                all.iter().map(|kept| kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect();
            let changes = Tenures::check(&tenures)?;
            sizes.sort_unstable();
            if sizes == shared {
                return Ok(changes);
            }
        }
    };
    tokio::time::timeout(LIMIT, rounds).await.unwrap_or_else(|_| fail(format!("it has not come to {shared:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_six_members_over_four_partitions_two_wait_and_one_takes_over_from_a_dead_one() -> Outcome {
    let options = SandboxOptions::new(1, 2);
    let settings = SOON.iter().chain(&MISSED_SOON);
    let options = settings.fold(options, |options, (key, value)| options.set_group_coordinators(key, value));
    let mut sandbox = Sandbox::start(&options)?;
    let mut clients = Vec::new();
    for broker in 1..=2 {
        clients.push(Client::new(ClientOptions::new([sandbox.broker(broker)?.grpc()?.to_string()]))?);
    }
    create(&clients[0], 2).await?;
    let (mut members, mut all) = (Vec::new(), Vec::new());
    for (count, shared) in [(2, [2, 2].as_slice()), (4, &[0, 0, 1, 1, 1, 1])] {
        for client in clients.iter().cycle().take(count) {
            let keeping = Keeping::default();
            all.push(keeping.clone());
            let builder = client.subscribe("billing").topics([TOPIC]).listener(keeping.clone());
            members.push((builder.build().await?, keeping));
        }
        keep_until(&mut members, &all, shared).await?;
    }
    let owner = members.iter().position(|(member, _)| !member.assignment().is_empty()).ok_or("nobody owns anything")?;
    // Its stream breaks, and that is all that anybody hears of it.
    drop(members.remove(owner));
    let changes = keep_until(&mut members, &all, &[0, 1, 1, 1, 1]).await?;
    assert!(changes >= 3, "two gave one away each, and one died: {changes} changed hands");
    for (member, _) in members {
        member.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_group_holds_up_no_other() -> Outcome {
    let node =
        Node::start_with(SOON.iter().fold(NodeOptions::default(), |options, (key, value)| options.set(key, value)))?;
    let client = Client::new(ClientOptions::new([node.grpc()?.to_string()]))?;
    create(&client, 1).await?;
    produce(&client, 0..50).await?;
    let mut groups = Vec::new();
    for (name, count, at_once) in [("slow", 3, 1), ("of-two", 2, 7), ("of-one", 1, 7)] {
        let mut members = Vec::new();
        for _ in 0..count {
            let builder = client.subscribe(name).topics([TOPIC]).auto_offset_reset(OffsetReset::Earliest);
            members.push(builder.max_poll_records(at_once).prefetch_records(at_once).manual_commit().build().await?);
        }
        groups.push((members, Vec::new()));
    }
    let (mut slow, mut held) = groups.remove(0);
    // Its first record is with the program, and stays there.
    poll_until(&mut slow.iter_mut().take(1).collect::<Vec<_>>(), &mut held, |_, seen| seen.len() == 1).await?;
    for (members, seen) in &mut groups {
        poll_until(&mut members.iter_mut().collect::<Vec<_>>(), seen, |_, seen| seen.len() >= 200).await?;
        assert_eq!((seen.len(), seen.iter().copied().collect()), (200, due(0..50)), "each record came once");
    }
    assert_eq!(held.len(), 1);
    poll_until(&mut slow.iter_mut().collect::<Vec<_>>(), &mut held, |_, seen| seen.len() >= 200).await?;
    assert_eq!((held.len(), held.iter().copied().collect()), (200, due(0..50)), "each record came once");
    for member in groups.into_iter().flat_map(|(members, _)| members).chain(slow) {
        member.close().await?;
    }
    Ok(())
}

fn count(seen: &[(i32, i64)]) -> i64 {
    i64::try_from(seen.len()).unwrap_or(i64::MAX)
}
