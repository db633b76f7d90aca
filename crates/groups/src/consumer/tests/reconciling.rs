//! From one assignment to the next.

use levada_types::ErrorCode;

use super::{GROUP, alive, count, joining, of, owning};
use crate::{
    GroupConfig,
    api::{CommitPartition, CommitTopic, ConsumerGroupHeartbeat, FetchOffsets, OffsetCommit, Request, Response},
    world::World,
};

/// Two members, the second of which has joined and has nothing yet.
fn two(world: &mut World) -> levada_types::TopicId {
    let topic = world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    assert_eq!(world.well(joining("b", &["t"])), (2, Some(Vec::new())));
    topic
}

#[test]
fn a_partition_is_given_on_once_its_owner_has_given_it_up() {
    let mut world = World::new();
    let topic = two(&mut world);
    // The owner is told what it may keep, in its old epoch; the other waits.
    assert_eq!(world.well(alive("a", 1)), (1, Some(of(topic, 0..2))));
    assert_eq!(world.consumer_state(), "Reconciling");
    assert_eq!(world.well(alive("b", 2)), (2, None));
    // It still owns one of them.
    assert_eq!(world.well(owning("a", 1, &of(topic, 0..3))), (1, None));
    assert_eq!(world.well(alive("b", 2)), (2, None));
    assert_eq!(world.well(owning("a", 1, &of(topic, 0..2))), (2, None));
    assert_eq!(world.well(alive("b", 2)), (2, Some(of(topic, 2..4))));
    assert_eq!(world.consumer_state(), "Stable");
}

#[test]
fn whoever_waits_is_asked_to_come_back_soon() {
    let mut world = World::new();
    let topic = two(&mut world);
    assert_eq!(world.beat(alive("b", 2)).heartbeat_interval_ms, 500);
    world.well(alive("a", 1));
    world.well(owning("a", 1, &of(topic, 0..2)));
    let answer = world.beat(alive("b", 2));
    assert_eq!(answer.assignment.as_deref().map(count), Some(2));
    assert_eq!(answer.heartbeat_interval_ms, 5_000);
}

#[test]
fn whoever_does_not_give_up_in_time_is_gone() {
    let mut world = World::new();
    let topic = two(&mut world);
    world.well(alive("a", 1));
    for _ in 0..29 {
        world.pass(1_000);
        world.well(owning("a", 1, &of(topic, 0..4)));
        world.well(alive("b", 2));
    }
    world.pass(1_000);
    assert_eq!(world.refused(owning("a", 1, &of(topic, 0..2))), ErrorCode::UnknownMemberId);
    let (epoch, assignment) = world.well(alive("b", 2));
    assert_eq!((epoch, assignment), (3, Some(of(topic, 0..4))));
}

#[test]
fn the_time_to_give_up_begins_anew_after_a_takeover() {
    let mut world = World::new();
    let topic = two(&mut world);
    world.well(alive("a", 1));
    world.pass(29_000);
    world.take_over();
    world.pass(29_000);
    assert_eq!(world.well(owning("a", 1, &of(topic, 0..2))), (2, None));
    world.pass(10_000);
    assert_eq!(world.well(alive("a", 2)), (2, None));
}

#[test]
fn members_that_come_together_cost_two_assignments() {
    let mut world = World::new();
    let topic = world.create_topic("t", 8);
    world.well(joining("a", &["t"]));
    for member in ["b", "c", "d"] {
        // The first assignment is not a second old.
        assert_eq!(world.well(joining(member, &["t"])), (1, Some(Vec::new())));
    }
    assert_eq!(world.consumer_state(), "Assigning");
    assert_eq!(world.beat(alive("b", 1)).heartbeat_interval_ms, 500);
    world.pass(1_000);
    let described = world.described_consumers();
    assert_eq!((described.group_epoch, described.assignment_epoch), (4, 4));
    assert_eq!(world.well(alive("a", 1)), (1, Some(of(topic, 0..2))));
    assert_eq!(world.well(owning("a", 1, &of(topic, 0..2))), (4, None));
    for member in ["b", "c", "d"] {
        let (epoch, assignment) = world.well(alive(member, 1));
        assert_eq!((epoch, assignment.as_deref().map(count)), (4, Some(2)));
    }
    assert_eq!(world.consumer_state(), "Stable");
}

#[test]
fn no_interval_assigns_at_once() {
    let mut world = World::with(GroupConfig { group_consumer_assignment_interval_ms: 0, ..GroupConfig::default() });
    world.create_topic("t", 8);
    world.well(joining("a", &["t"]));
    world.well(joining("b", &["t"]));
    let described = world.described_consumers();
    assert_eq!((described.group_epoch, described.assignment_epoch), (2, 2));
}

#[test]
fn the_assignor_that_most_want_assigns() {
    let mut world = World::with(GroupConfig { group_consumer_assignment_interval_ms: 0, ..GroupConfig::default() });
    world.create_topic("t", 2);
    let wanting = |id: &str, assignor: &str| ConsumerGroupHeartbeat {
        server_assignor: Some(assignor.to_owned()),
        ..joining(id, &["t"])
    };
    world.well(joining("a", &["t"]));
    assert_eq!(world.described_consumers().assignor, "uniform");
    world.well(wanting("b", "range"));
    assert_eq!(world.described_consumers().assignor, "range");
    world.well(wanting("c", "uniform"));
    assert_eq!(world.described_consumers().assignor, "uniform");
    world.well(wanting("d", "range"));
    assert_eq!(world.described_consumers().assignor, "range");
    world.well(alive("d", -1));
    world.well(alive("b", -1));
    assert_eq!(world.described_consumers().assignor, "uniform");
}

/// A commit of partition 0 and 3 under this epoch: what comes of each.
fn commit(world: &mut World, member: &str, epoch: i32, topic: levada_types::TopicId) -> Vec<ErrorCode> {
    let commit = OffsetCommit {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: epoch,
        member_id: member.to_owned(),
        group_instance_id: None,
        retention_time_ms: None,
        topics: vec![CommitTopic {
            name: "t".to_owned(),
            topic_id: Some(topic),
            partitions: [0, 3]
                .map(|partition| CommitPartition { partition, offset: 5, leader_epoch: None, metadata: None })
                .to_vec(),
        }],
        stream_number: None,
    };
    match world.answer(Request::OffsetCommit(commit)) {
        Response::OffsetCommit(answer) => {
            answer.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.error)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_is_of_the_members_epoch_or_of_what_it_has_owned_since() {
    use ErrorCode::{None, StaleMemberEpoch, UnknownMemberId};
    let mut world = World::new();
    let topic = two(&mut world);
    assert_eq!(commit(&mut world, "a", 1, topic), [None, None]);
    assert_eq!(commit(&mut world, "a", 2, topic), [StaleMemberEpoch, StaleMemberEpoch]);
    assert_eq!(commit(&mut world, "x", 1, topic), [UnknownMemberId, UnknownMemberId]);
    world.well(alive("a", 1));
    // It is giving 2 and 3 up, and commits them before it does.
    assert_eq!(commit(&mut world, "a", 1, topic), [None, None]);
    world.well(owning("a", 1, &of(topic, 0..2)));
    // What it committed before it learnt of its new epoch, it has owned all the time; the other partition is not its own.
    assert_eq!(commit(&mut world, "a", 1, topic), [None, StaleMemberEpoch]);
    world.well(alive("b", 2));
    assert_eq!(commit(&mut world, "b", 2, topic), [None, None]);
    assert_eq!(commit(&mut world, "b", 1, topic), [StaleMemberEpoch, StaleMemberEpoch]);
    // A client that is no member commits to a group without members.
    assert_eq!(commit(&mut world, "", -1, topic), [UnknownMemberId, UnknownMemberId]);
    world.well(alive("a", -1));
    world.well(alive("b", -1));
    assert_eq!(commit(&mut world, "", -1, topic), [None, None]);
}

#[test]
fn offsets_are_read_under_the_members_epoch() {
    let mut world = World::new();
    two(&mut world);
    let mut fetch = |member: &str, epoch| {
        let request = FetchOffsets {
            group_id: GROUP.to_owned(),
            member_id: Some(member.to_owned()),
            member_epoch: epoch,
            topics: None,
            require_stable: false,
        };
        match world.answer(Request::FetchOffsets(request)) {
            Response::FetchOffsets(answer) => answer.error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetch("a", 1), ErrorCode::None);
    assert_eq!(fetch("a", 2), ErrorCode::StaleMemberEpoch);
    assert_eq!(fetch("x", 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_thousand_members_share_ten_thousand_partitions() {
    let mut world = World::new();
    world.create_topic("t", 10_000);
    let heartbeat = |world: &mut World, request| match world.answer(Request::ConsumerGroupHeartbeat(request)) {
        Response::ConsumerGroupHeartbeat(answer) => answer,
        other => panic!("{other:?}"),
    };
    let ids: Vec<String> = (0..1_000).map(|number| format!("m{number:04}")).collect();
    let mut epochs = vec![0; ids.len()];
    let mut owned = vec![Vec::new(); ids.len()];
    for (at, id) in ids.iter().enumerate() {
        let answer = heartbeat(&mut world, joining(id, &["t"]));
        epochs[at] = answer.member_epoch;
        owned[at] = answer.assignment.unwrap_or_default();
    }
    world.pass(1_000);
    for _ in 0..3 {
        for (at, id) in ids.iter().enumerate() {
            let answer = heartbeat(&mut world, owning(id, epochs[at], &owned[at]));
            assert_eq!(answer.error, ErrorCode::None);
            epochs[at] = answer.member_epoch;
            owned[at] = answer.assignment.unwrap_or_else(|| owned[at].clone());
        }
    }
    assert_eq!(world.consumer_state(), "Stable");
    assert!(owned.iter().all(|owned| count(owned) == 10));
    let length = world.log.len();
    for (at, id) in ids.iter().enumerate() {
        heartbeat(&mut world, alive(id, epochs[at]));
    }
    assert_eq!(world.log.len(), length);
    world.check();
}
