//! Plans, and clusters that carry them out.

use std::collections::BTreeSet;
use std::sync::Arc;

use levada_types::{BrokerEpoch, DirectoryId, TopicId, TopicName};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    BrokerRegistration, CoordinatorKind, Delta, IsrMember, LevelRange, MetadataLevel, Partition, Replica, TopicRef,
};

const ALL: PlanOptions = PlanOptions { balance: true, max_moves: usize::MAX };

fn register(state: &mut State, id: i32, rack: Option<&str>, change: impl FnOnce(&mut BrokerRegistration)) {
    let mut broker = BrokerRegistration {
        id: BrokerId(id),
        epoch: BrokerEpoch(i64::from(id)),
        incarnation: Uuid::from_u128(id as u128),
        boot_id: None,
        directories: vec![DirectoryId(Uuid::from_u128(100 + id as u128))],
        endpoints: Vec::new(),
        internal_address: String::new(),
        rack: rack.map(str::to_owned),
        levels: LevelRange::SUPPORTED,
        fenced: false,
        stopping: false,
        draining: false,
    };
    change(&mut broker);
    state.apply(&Delta::BrokerRegistered { broker: Arc::new(broker) }).unwrap();
}

fn cluster(brokers: i32) -> State {
    let mut state = State::new();
    state.apply(&Delta::LevelFinalized { level: MetadataLevel::LATEST }).unwrap();
    (1..=brokers).for_each(|id| register(&mut state, id, None, |_| ()));
    state
}

fn set(state: &mut State, topic: TopicId, index: i32, brokers: &[BrokerId]) {
    let replicas = brokers.iter().map(|id| Replica { broker: *id, directory: DirectoryId::UNASSIGNED });
    let isr = brokers.iter().map(|id| IsrMember { broker: *id, epoch: BrokerEpoch(i64::from(id.0)) });
    let partition = Arc::new(Partition::new(replicas.collect(), isr.collect(), brokers[0]));
    state.apply(&Delta::PartitionSet { topic, index, partition }).unwrap();
}

fn topic(state: &mut State, name: &str, assignments: &[&[i32]]) -> TopicId {
    let id = TopicId(Uuid::from_u128(0x7000 + state.topic_count() as u128));
    state.apply(&Delta::TopicCreated { id, name: TopicName::new(name).unwrap() }).unwrap();
    for (index, brokers) in (0..).zip(assignments) {
        let brokers: Vec<BrokerId> = brokers.iter().map(|id| BrokerId(*id)).collect();
        set(state, id, index, &brokers);
    }
    id
}

fn plan(state: &State, options: PlanOptions) -> Plan {
    Plan::new(state, options)
}

/// As if every move were done.
fn carry_out(state: &mut State, plan: &Plan) {
    for reassignment in &plan.moves {
        let TopicRef::Id(topic) = reassignment.topic else { panic!("{reassignment:?}") };
        set(state, topic, reassignment.partition, reassignment.replicas.as_ref().unwrap());
    }
}

fn loads(state: &State, brokers: i32) -> Vec<u32> {
    (1..=brokers).map(|id| state.replica_count(BrokerId(id))).collect()
}

#[test]
fn a_new_broker_gets_its_share_and_nothing_else_moves() {
    let mut state = cluster(3);
    topic(&mut state, "a", &[&[1, 2], &[2, 1], &[1, 2], &[2, 1], &[1, 2], &[2, 1]]);
    let plan_of_all = plan(&state, ALL);
    assert_eq!(plan_of_all.moves.len(), 4, "as many as it takes: {plan_of_all:?}");
    carry_out(&mut state, &plan_of_all);
    assert_eq!(loads(&state, 3), [4, 4, 4]);
    assert_eq!([1, 2, 3].map(|id| state.preferred_count(BrokerId(id))), [2, 2, 2]);
    assert_eq!(plan(&state, ALL), Plan::default(), "there is nothing left to do");
}

#[test]
fn a_plan_moves_no_more_than_it_may() {
    let mut state = cluster(3);
    topic(&mut state, "a", &[&[1, 2], &[2, 1], &[1, 2], &[2, 1], &[1, 2], &[2, 1]]);
    let mut rounds = 0;
    loop {
        let next = plan(&state, PlanOptions { max_moves: 1, ..ALL });
        assert!(next.moves.len() <= 1);
        if next.moves.is_empty() {
            break;
        }
        carry_out(&mut state, &next);
        rounds += 1;
        assert!(rounds < 20, "it comes to an end");
    }
    assert_eq!(loads(&state, 3), [4, 4, 4]);
}

#[test]
fn a_broker_is_emptied_and_what_has_nowhere_to_go_is_told() {
    let mut state = cluster(3);
    register(&mut state, 2, None, |broker| broker.draining = true);
    let two = topic(&mut state, "two", &[&[2, 1], &[1, 3]]);
    let three = topic(&mut state, "three", &[&[1, 2, 3]]);
    let drain = PlanOptions { balance: false, max_moves: 10 };
    let found = plan(&state, drain);
    let moved = Reassignment { topic: TopicRef::Id(two), partition: 0, replicas: Some(vec![BrokerId(3), BrokerId(1)]) };
    assert_eq!(found.moves, [moved]);
    let partition = TopicIdPartition { topic_id: three, partition: 0 };
    assert_eq!(found.stuck, [StuckReplica { partition, broker: BrokerId(2) }]);
    register(&mut state, 4, None, |_| ());
    let found = plan(&state, drain);
    carry_out(&mut state, &found);
    assert_eq!(state.replica_count(BrokerId(2)), 0);
    assert_eq!(plan(&state, drain), Plan::default());
}

#[test]
fn racks_stay_apart() {
    let mut state = cluster(0);
    for (id, rack) in [(1, "a"), (2, "b"), (3, "a")] {
        register(&mut state, id, Some(rack), |_| ());
    }
    topic(&mut state, "a", &[&[1, 2], &[2, 1], &[1, 2], &[2, 1]]);
    let found = plan(&state, ALL);
    carry_out(&mut state, &found);
    assert_eq!(loads(&state, 3), [2, 4, 2], "the only broker of its rack keeps what must be there");
}

#[test]
fn replicas_that_share_a_rack_are_spread() {
    let mut state = cluster(0);
    for (id, rack) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
        register(&mut state, id, Some(rack), |_| ());
    }
    let id = topic(&mut state, "a", &[&[1, 2], &[2, 1], &[3, 4], &[4, 3]]);
    let found = plan(&state, ALL);
    carry_out(&mut state, &found);
    for (_, partition) in state.topic(id).unwrap().partitions() {
        let racks: BTreeSet<_> =
            partition.replicas.iter().map(|r| state.broker(r.broker).unwrap().rack.clone()).collect();
        assert_eq!(racks.len(), 2, "{partition:?}");
    }
    assert_eq!(loads(&state, 4), [2, 2, 2, 2]);
    assert_eq!(plan(&state, ALL), Plan::default());
}

#[test]
fn topics_of_coordinators_grow_with_the_cluster() {
    let mut state = cluster(1);
    let offsets = topic(&mut state, "__consumer_offsets", &[&[1], &[1]]);
    let shards = Delta::ShardTopicSet { kind: CoordinatorKind::Group, topic: offsets, replication_factor: 3 };
    state.apply(&shards).unwrap();
    topic(&mut state, "orders", &[&[1]]);
    let grow = PlanOptions { balance: false, max_moves: 10 };
    assert_eq!((plan(&state, grow), state.has_growing_shards()), (Plan::default(), false));
    (2..=4).for_each(|id| register(&mut state, id, None, |_| ()));
    assert!(state.has_growing_shards());
    let found = plan(&state, grow);
    assert_eq!(found.moves.iter().map(|m| m.replicas.as_ref().unwrap().len()).collect::<Vec<_>>(), [3, 3]);
    carry_out(&mut state, &found);
    assert_eq!((plan(&state, grow), state.has_growing_shards()), (Plan::default(), false));
}

#[test]
fn what_moves_already_and_what_is_on_the_dead_is_left_alone() {
    let mut state = cluster(3);
    register(&mut state, 1, None, |broker| broker.fenced = true);
    let id = topic(&mut state, "a", &[&[1, 2], &[2], &[2]]);
    let mut partition = (**state.partition(id, 1).unwrap()).clone();
    partition.replicas.insert(0, Replica { broker: BrokerId(3), directory: DirectoryId::UNASSIGNED });
    partition.adding = vec![BrokerId(3)];
    partition.removing = vec![BrokerId(2)];
    state.apply(&Delta::PartitionSet { topic: id, index: 1, partition: Arc::new(partition) }).unwrap();
    assert_eq!(plan(&state, ALL), Plan::default());
}

prop_compose! {
    fn assignment()(brokers in Just([1, 2, 3, 4, 5]).prop_shuffle(), factor in 1..4usize) -> Vec<i32> {
        brokers[..factor].to_vec()
    }
}

proptest! {
    #[test]
    fn carried_out_a_plan_leaves_brokers_even_and_nothing_to_do(
        topics in prop::collection::vec(prop::collection::vec(assignment(), 1..12), 1..5),
        draining in prop::option::of(1..6i32),
        fresh in 0..3i32,
    ) {
        let mut state = cluster(5 + fresh);
        for (n, assignments) in topics.iter().enumerate() {
            let assignments: Vec<&[i32]> = assignments.iter().map(Vec::as_slice).collect();
            topic(&mut state, &format!("t{n}"), &assignments);
        }
        if let Some(id) = draining {
            register(&mut state, id, None, |broker| broker.draining = true);
        }
        let total: u32 = loads(&state, 5 + fresh).iter().sum();
        let found = plan(&state, ALL);
        prop_assert!(found.stuck.is_empty());
        for reassignment in &found.moves {
            let replicas = reassignment.replicas.as_ref().unwrap();
            let distinct: BTreeSet<&BrokerId> = replicas.iter().collect();
            prop_assert_eq!(distinct.len(), replicas.len());
        }
        carry_out(&mut state, &found);
        let takers = (1..=5 + fresh).filter(|id| Some(*id) != draining).map(BrokerId);
        let held: Vec<u32> = takers.map(|id| state.replica_count(id)).collect();
        prop_assert_eq!(held.iter().sum::<u32>(), total, "no replica is lost or added, none stays behind");
        prop_assert!(held.iter().max().unwrap() - held.iter().min().unwrap() <= 1, "{:?}", held);
        prop_assert_eq!(plan(&state, ALL), Plan::default());
    }
}
