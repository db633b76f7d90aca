//! What groups cost: an assignment, a sign of life, alone and while a write is under way (the runtime then holds a copy of the
//! shard), and loading.
//!
//! `cargo bench -p levada-groups`.

use std::{hint::black_box, sync::Arc};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use levada_groups::{
    GroupConfig, Groups,
    api::{ConsumerGroupHeartbeat, Request, Response},
    assignor::{Assignor, MemberSpec, Spec, TopicSpec},
    records::{OffsetKey, OffsetValue, Record},
};
use levada_metadata::{Delta, Entry, Image, Partition, Replica};
use levada_shard::{Context, Core, Replayed, Token};
use levada_types::{BrokerId, DirectoryId, MetadataOffset, TopicId, TopicName};
use uuid::Uuid;

/// Members and partitions: a group that is large, and one that is very large.
const SHAPES: [(usize, u32); 2] = [(100, 500), (1_000, 10_000)];

fn spec(members: usize, partitions: u32) -> Spec {
    let member = MemberSpec { topics: (0..10).collect(), ..MemberSpec::default() };
    let topic = TopicSpec { partitions: partitions / 10, racks: Vec::new() };
    Spec { topics: vec![topic; 10], members: vec![member; members] }
}

fn assign(c: &mut Criterion) {
    let mut group = c.benchmark_group("assign");
    for (members, partitions) in SHAPES {
        group.throughput(Throughput::Elements(partitions.into()));
        for assignor in Assignor::ALL {
            let fresh = spec(members, partitions);
            let assignment = assignor.assign(&fresh);
            let mut one_more = spec(members + 1, partitions);
            for (member, owned) in one_more.members.iter_mut().zip(assignment) {
                member.owned = owned;
            }
            let shape = format!("{members}x{partitions}");
            for (what, spec) in [("fresh", &fresh), ("one more", &one_more)] {
                let id = BenchmarkId::new(format!("{} {what}", assignor.name()), &shape);
                group.bench_with_input(id, spec, |b, spec| b.iter(|| black_box(assignor.assign(spec))));
            }
        }
    }
    group.finish();
}

/// A shard and what its members know.
struct Shard {
    groups: Groups,
    image: Image,
    now: i64,
    members: Vec<(String, String, i32)>,
}

impl Shard {
    /// A shard of so many groups with so many members each, that all have what they shall have.
    fn new(groups: usize, members: usize) -> Self {
        let mut shard = Self {
            groups: Groups::new(Arc::new(GroupConfig::default())),
            image: image(members),
            now: 1_000_000,
            members: Vec::new(),
        };
        for group in 0..groups {
            shard.members.extend((0..members).map(|member| (format!("group-{group}"), format!("member-{member}"), 0)));
        }
        // They join, and then learn what they got and give up what they shall.
        for _ in 0..4 {
            for at in 0..shard.members.len() {
                shard.beat(at, true);
            }
            shard.now += 1_000;
            let Shard { groups, image, now, .. } = &mut shard;
            let mut fresh = Uuid::nil;
            black_box(groups.tick(&mut Context { now: *now, image, fresh: &mut fresh }));
        }
        shard
    }

    fn beat(&mut self, at: usize, owns_nothing: bool) {
        let (group, member, epoch) = &mut self.members[at];
        let joins = *epoch == 0;
        let request = ConsumerGroupHeartbeat {
            group_id: group.clone(),
            member_id: member.clone(),
            member_epoch: *epoch,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: if joins { 300_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec!["t".to_owned()]),
            subscribed_topic_regex: None,
            server_assignor: None,
            topic_partitions: owns_nothing.then(Vec::new),
            client_id: "bench".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            stream_number: None,
        };
        let mut fresh = Uuid::nil;
        let mut context = Context { now: self.now, image: &self.image, fresh: &mut fresh };
        let output = self.groups.handle(Token(0), Request::ConsumerGroupHeartbeat(request), &mut context);
        match output.answers.first() {
            Some((_, Response::ConsumerGroupHeartbeat(answer))) if answer.error.is_none() => {
                *epoch = answer.member_epoch;
            }
            other => unreachable!("{other:?}"),
        }
        assert!(owns_nothing || output.writes.is_empty());
    }
}

/// A topic `t` of so many partitions.
fn image(partitions: usize) -> Image {
    let mut image = Image::new();
    let id = TopicId(Uuid::from_u128(1));
    let Ok(name) = TopicName::new("t") else { unreachable!("it is a name") };
    let mut deltas = vec![Delta::TopicCreated { id, name }];
    deltas.extend((0..partitions as i32).map(|index| {
        let replica = Replica { broker: BrokerId(1), directory: DirectoryId(Uuid::from_u128(1)) };
        let partition = Arc::new(Partition::new(vec![replica], Vec::new(), BrokerId(1)));
        Delta::PartitionSet { topic: id, index, partition }
    }));
    let applied = image.apply(MetadataOffset(1), &Entry::Barrier).and_then(|_| match image.next_position() {
        Some(position) => image.apply(MetadataOffset(2), &Entry::Deltas { position, deltas }),
        None => unreachable!("a barrier begins a run"),
    });
    assert!(applied.is_ok());
    image
}

fn heartbeat(c: &mut Criterion) {
    let mut group = c.benchmark_group("heartbeat");
    group.throughput(Throughput::Elements(1));
    for (groups, members) in [(2_000, 5), (1, 1_000)] {
        let mut shard = Shard::new(groups, members);
        let mut at = 0;
        let mut next = |shard: &Shard| {
            at = (at + 1) % shard.members.len();
            at
        };
        let shape = format!("{groups} groups of {members}");
        group.bench_function(BenchmarkId::new("alone", &shape), |b| {
            b.iter(|| {
                let at = next(&shard);
                shard.beat(at, false);
            });
        });
        group.bench_function(BenchmarkId::new("while a write is under way", &shape), |b| {
            b.iter_batched(
                || (),
                |()| {
                    let copy = shard.groups.clone();
                    let at = next(&shard);
                    shard.beat(at, false);
                    black_box(copy)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Commits of 20 groups for 1,000 partitions each, shown to a shard that has those offsets already, as all but the first are.
fn replay(c: &mut Criterion) {
    const GROUPS: usize = 20;
    const PARTITIONS: i32 = 1_000;
    let names: Vec<String> = (0..GROUPS).map(|number| format!("group-{number}")).collect();
    let value = OffsetValue {
        offset: 1_000_000,
        leader_epoch: None,
        metadata: "",
        committed_at: 1_000_000,
        expires_at: None,
        topic_id: None,
    };
    let keys = names.iter().flat_map(|group| (0..PARTITIONS).map(move |partition| (group, partition)));
    let records: Vec<_> = keys
        .map(|(group, partition)| Record::Offset(OffsetKey { group, topic: "orders", partition }, Some(value)).encode())
        .collect();
    let mut shard = Groups::new(Arc::new(GroupConfig::default()));
    let mut group = c.benchmark_group("replay");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("commits", |b| {
        b.iter(|| {
            for (key, value) in &records {
                let (offset, timestamp, producer, value) = (0, 1_000_000, None, value.as_deref());
                shard.replay(Replayed::Record { offset, timestamp, producer, key, value });
            }
        });
    });
    group.finish();
}

criterion_group!(benches, assign, heartbeat, replay);
criterion_main!(benches);
