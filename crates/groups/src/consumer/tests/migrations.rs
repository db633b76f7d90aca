//! From one protocol to the other.

use levada_types::{ErrorCode, PartitionIndex};

use super::{GROUP, alive, classic_joining, joining, of, owning, subscription};
use crate::{
    GroupConfig, MigrationPolicy,
    api::{
        ConsumerGroupHeartbeat, DescribeGroup, DescribeGroupAnswer, JoinGroup, JoinGroupAnswer, Protocol, Request,
        Response, SyncGroup,
    },
    consumer::embedded::write_assignment,
    read_assignment,
    world::World,
};

fn with_policy(policy: MigrationPolicy) -> World {
    World::with(GroupConfig { group_consumer_migration_policy: policy, ..GroupConfig::default() })
}

fn described_classic(world: &mut World) -> DescribeGroupAnswer {
    match world.answer(Request::DescribeGroup(DescribeGroup { group_id: GROUP.to_owned() })) {
        Response::DescribeGroup(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// A classic group of one member that has all four partitions of `t`, in generation 1. The member's id.
fn classic(world: &mut World, request: JoinGroup) -> String {
    let token = world.ask(Request::JoinGroup(request));
    world.pass(3_000);
    let Some(Response::JoinGroup(JoinGroupAnswer { error: ErrorCode::None, generation_id: 1, member_id, .. })) =
        world.take(token)
    else {
        panic!("it did not join");
    };
    let all = vec![("t".to_owned(), vec![0, 1, 2, 3])];
    let sync = SyncGroup {
        group_id: GROUP.to_owned(),
        generation_id: 1,
        member_id: member_id.clone(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![(member_id.clone(), write_assignment(&all, 1))],
    };
    match world.answer(Request::SyncGroup(sync)) {
        Response::SyncGroup(answer) => assert_eq!(read_assignment(&answer.assignment).unwrap(), all),
        other => panic!("{other:?}"),
    }
    member_id
}

#[test]
fn a_classic_group_takes_a_member_of_the_next_generation_and_its_member_keeps_on() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    let c = classic(&mut world, classic_joining("", &["t"], &[]));
    world.pass(1_000);
    // The newcomer waits for what the other has to give up.
    assert_eq!(world.well(joining("a", &["t"])), (2, Some(Vec::new())));
    assert!(world.check().classic.is_empty());
    assert_eq!(world.classic_alive(&c, 1), ErrorCode::RebalanceInProgress);
    let joined = world.classic_join(classic_joining(&c, &["t"], &[("t", &[0, 1, 2, 3])]));
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 1));
    let assignment = world.classic_sync(&c, 1).assignment;
    let kept = read_assignment(&assignment).unwrap();
    assert_eq!(kept.iter().map(|(_, partitions)| partitions.len()).sum::<usize>(), 2);
    let owned: Vec<(&str, &[PartitionIndex])> =
        kept.iter().map(|(t, partitions)| (t.as_str(), partitions.as_slice())).collect();
    assert_eq!(world.classic_join(classic_joining(&c, &["t"], &owned)).generation_id, 2);
    assert_eq!(read_assignment(&world.classic_sync(&c, 2).assignment).unwrap(), kept);
    let (epoch, assignment) = world.well(alive("a", 2));
    let others = (0..4).filter(|partition| !kept[0].1.contains(partition));
    assert_eq!((epoch, assignment), (2, Some(of(topic, others))));
    assert_eq!(world.consumer_state(), "Stable");
}

#[test]
fn when_the_last_member_of_the_next_generation_leaves_the_group_is_a_classic_one() {
    let mut world = World::new();
    world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    let joined = world.classic_join(classic_joining("", &["t"], &[]));
    let c = joined.member_id;
    world.classic_sync(&c, joined.generation_id);
    world.well(alive("a", -1));
    let hard = world.check();
    assert!(hard.consumer.is_empty());
    assert_eq!(hard.classic["g"].generation, 2);
    assert_eq!(described_classic(&mut world).state, "PreparingRebalance");
    assert_eq!(world.classic_alive(&c, 2), ErrorCode::RebalanceInProgress);
    let token = world.ask(Request::JoinGroup(classic_joining(&c, &["t"], &[])));
    match world.take(token) {
        Some(Response::JoinGroup(answer)) => {
            assert_eq!((answer.error, answer.generation_id, answer.leader), (ErrorCode::None, 3, c.clone()));
        }
        other => panic!("{other:?}"),
    }
    world.check();
}

#[test]
fn the_last_ones_session_over_makes_it_classic_too() {
    let mut world = World::new();
    world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    let joined = world.classic_join(classic_joining("", &["t"], &[]));
    world.classic_sync(&joined.member_id, joined.generation_id);
    for _ in 0..44 {
        world.pass(1_000);
        world.classic_alive(&joined.member_id, joined.generation_id);
    }
    assert_eq!(described_classic(&mut world).protocol_type, "consumer");
    assert!(world.check().consumer.is_empty());
}

#[test]
fn there_and_back_again_and_loaded_anew() {
    let mut world = World::new();
    world.create_topic("t", 4);
    let c = classic(&mut world, classic_joining("", &["t"], &[]));
    for round in 0..3 {
        let id = format!("a{round}");
        let (epoch, _) = world.well(joining(&id, &["t"]));
        assert!(epoch > 0);
        world.take_over();
        world.pass(1_000);
        assert_eq!(world.described_consumers().members.len(), 2);
        world.well(alive(&id, -1));
        world.take_over();
        world.check();
        assert_eq!(described_classic(&mut world).members.len(), 1, "{c}");
    }
}

#[test]
fn the_policy_says_which_way() {
    for (policy, may_upgrade) in [
        (MigrationPolicy::Bidirectional, true),
        (MigrationPolicy::Upgrade, true),
        (MigrationPolicy::Downgrade, false),
        (MigrationPolicy::Disabled, false),
    ] {
        let mut world = with_policy(policy);
        world.create_topic("t", 4);
        classic(&mut world, classic_joining("", &["t"], &[]));
        if may_upgrade {
            world.well(joining("a", &["t"]));
        } else {
            assert_eq!(world.refused(joining("a", &["t"])), ErrorCode::GroupIdNotFound);
        }
    }
    for (policy, may_downgrade) in [
        (MigrationPolicy::Bidirectional, true),
        (MigrationPolicy::Upgrade, false),
        (MigrationPolicy::Downgrade, true),
        (MigrationPolicy::Disabled, false),
    ] {
        let mut world = with_policy(policy);
        world.create_topic("t", 4);
        world.well(joining("a", &["t"]));
        world.classic_join(classic_joining("", &["t"], &[]));
        world.well(alive("a", -1));
        assert_eq!(world.check().consumer.is_empty(), may_downgrade, "{policy:?}");
    }
}

#[test]
fn a_group_that_is_not_of_consumers_or_cannot_be_read_stays_classic() {
    let mut world = World::new();
    world.create_topic("t", 4);
    let request = JoinGroup { protocol_type: "connect".to_owned(), ..classic_joining("", &["t"], &[]) };
    classic(&mut world, request);
    assert_eq!(world.refused(joining("a", &["t"])), ErrorCode::GroupIdNotFound);

    let mut world = World::new();
    world.create_topic("t", 4);
    let cut = subscription(&["t"], &[]).slice(..5);
    let protocols = vec![Protocol { name: "range".to_owned(), metadata: cut }];
    classic(&mut world, JoinGroup { protocols, ..classic_joining("", &["t"], &[]) });
    assert_eq!(world.refused(joining("a", &["t"])), ErrorCode::GroupIdNotFound);
}

#[test]
fn joins_that_wait_in_a_classic_group_are_sent_to_the_new_one() {
    let mut world = World::new();
    world.create_topic("t", 4);
    let waiting = world.ask(Request::JoinGroup(classic_joining("", &["t"], &[])));
    world.well(joining("a", &["t"]));
    match world.take(waiting) {
        Some(Response::JoinGroup(answer)) => {
            assert_eq!(answer.error, ErrorCode::RebalanceInProgress);
            assert_eq!(world.classic_join(classic_joining(&answer.member_id, &["t"], &[])).error, ErrorCode::None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_static_member_goes_over_and_back() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    let named = |request: JoinGroup| JoinGroup { group_instance_id: Some("i".to_owned()), ..request };
    let name = |request| ConsumerGroupHeartbeat { instance_id: Some("i".to_owned()), ..request };
    let classic_id = classic(&mut world, named(classic_joining("", &["t"], &[])));
    // It is started again with the other protocol, and has what it had.
    assert_eq!(world.well(name(joining("a", &["t"]))), (1, Some(of(topic, 0..4))));
    assert_eq!(world.classic_alive(&classic_id, 1), ErrorCode::UnknownMemberId);
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    world.well(name(alive("a", 1)));
    world.well(name(owning("a", 1, &of(topic, 0..2))));
    // And with the old one again: the other member keeps the group as it is.
    let joined = world.classic_join(named(classic_joining("", &["t"], &[])));
    assert_eq!(joined.error, ErrorCode::None);
    assert_eq!(world.consumer_state(), "Reconciling");
    world.well(alive("b", -1));
    assert!(world.check().consumer.is_empty());
}

#[test]
fn the_last_member_of_the_next_generation_may_come_back_as_a_classic_one() {
    for with_others in [false, true] {
        let mut world = World::new();
        world.create_topic("t", 4);
        world.well(ConsumerGroupHeartbeat { instance_id: Some("i".to_owned()), ..joining("a", &["t"]) });
        world.pass(1_000);
        let other = with_others.then(|| world.classic_join(classic_joining("", &["t"], &[])).member_id);
        let request = JoinGroup { group_instance_id: Some("i".to_owned()), ..classic_joining("", &["t"], &[]) };
        let token = world.ask(Request::JoinGroup(request));
        world.check();
        if let Some(other) = other {
            world.ask(Request::JoinGroup(classic_joining(&other, &["t"], &[])));
        }
        world.pass(3_000);
        match world.take(token) {
            Some(Response::JoinGroup(answer)) => assert_eq!(answer.error, ErrorCode::None),
            answer => panic!("{answer:?}"),
        }
        assert!(world.check().consumer.is_empty());
        assert_eq!(described_classic(&mut world).members.len(), 1 + usize::from(with_others));
    }
}
