//! Members of the classic protocol in a group of the next-generation one.

use levada_types::{ErrorCode, PartitionIndex, TopicId};

use super::{GROUP, alive, classic_joining, joining, of, owning};
use crate::{
    api::{JoinGroup, LeaveGroup, LeaveGroupAnswer, LeavingMember, MemberKind, Request, Response},
    read_assignment,
    world::World,
};

/// What a sync tells.
fn synced(world: &mut World, member_id: &str, generation_id: i32) -> Vec<(String, Vec<PartitionIndex>)> {
    let answer = world.classic_sync(member_id, generation_id);
    assert_eq!(answer.error, ErrorCode::None);
    read_assignment(&answer.assignment).unwrap()
}

/// A member of each protocol: the consumer has everything, the other one nothing so far.
fn mixed(world: &mut World) -> TopicId {
    let topic = world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    let joined = world.classic_join(classic_joining("c", &["t"], &[]));
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 2));
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.protocol_name.as_deref(), Some("cooperative-sticky"));
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("", 0));
    assert_eq!(synced(world, "c", 2), []);
    topic
}

#[test]
fn a_classic_member_gets_its_part_by_joining_again() {
    let mut world = World::new();
    let topic = mixed(&mut world);
    assert_eq!(world.classic_alive("c", 2), ErrorCode::None);
    world.well(alive("a", 1));
    assert_eq!(world.classic_alive("c", 2), ErrorCode::None);
    world.well(owning("a", 1, &of(topic, 0..2)));
    // What it waits for is free.
    assert_eq!(world.classic_alive("c", 2), ErrorCode::RebalanceInProgress);
    assert_eq!(world.classic_join(classic_joining("c", &["t"], &[])).generation_id, 2);
    assert_eq!(synced(&mut world, "c", 2), [("t".to_owned(), vec![2, 3])]);
    assert_eq!(world.classic_alive("c", 2), ErrorCode::None);
    assert_eq!(world.consumer_state(), "Stable");
    let kinds: Vec<MemberKind> = world.described_consumers().members.iter().map(|member| member.kind).collect();
    assert_eq!(kinds, [MemberKind::Consumer, MemberKind::Classic]);
}

#[test]
fn a_classic_member_gives_up_by_joining_without_what_it_shall_not_keep() {
    let mut world = World::new();
    let topic = mixed(&mut world);
    world.well(alive("a", 1));
    world.well(owning("a", 1, &of(topic, 0..2)));
    world.classic_join(classic_joining("c", &["t"], &[]));
    assert_eq!(synced(&mut world, "c", 2), [("t".to_owned(), vec![2, 3])]);
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    assert_eq!(world.classic_alive("c", 2), ErrorCode::RebalanceInProgress);
    // It joins with all that it has, and is told what it may keep.
    let owned: &[(&str, &[PartitionIndex])] = &[("t", &[2, 3])];
    assert_eq!(world.classic_join(classic_joining("c", &["t"], owned)).generation_id, 2);
    assert_eq!(synced(&mut world, "c", 2), [("t".to_owned(), vec![2])]);
    assert_eq!(world.well(alive("b", 3)).1, None);
    // It has to say that it has given the other one up.
    assert_eq!(world.classic_alive("c", 2), ErrorCode::RebalanceInProgress);
    let owned: &[(&str, &[PartitionIndex])] = &[("t", &[2])];
    assert_eq!(world.classic_join(classic_joining("c", &["t"], owned)).generation_id, 3);
    assert_eq!(synced(&mut world, "c", 3), [("t".to_owned(), vec![2])]);
    assert_eq!(world.well(alive("b", 3)).1, Some(of(topic, 3..4)));
    world.well(alive("a", 2));
    assert_eq!(world.classic_alive("c", 3), ErrorCode::None);
    assert_eq!(world.consumer_state(), "Stable");
}

#[test]
fn wrong_ids_generations_and_protocols_are_refused() {
    let mut world = World::new();
    mixed(&mut world);
    assert_eq!(world.classic_alive("x", 2), ErrorCode::UnknownMemberId);
    assert_eq!(world.classic_alive("a", 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.classic_alive("c", 1), ErrorCode::IllegalGeneration);
    assert_eq!(world.classic_sync("x", 2).error, ErrorCode::UnknownMemberId);
    assert_eq!(world.classic_sync("c", 3).error, ErrorCode::IllegalGeneration);
    let join = |change: fn(&mut JoinGroup)| {
        let mut request = classic_joining("", &["t"], &[]);
        change(&mut request);
        request
    };
    let wrong = [
        join(|request| request.protocol_type = "connect".to_owned()),
        join(|request| request.protocols.clear()),
        join(|request| request.protocols.iter_mut().for_each(|protocol| protocol.name = "mine".to_owned())),
        join(|request| request.protocols.iter_mut().for_each(|protocol| protocol.metadata = bytes::Bytes::new())),
    ];
    for request in wrong {
        assert_eq!(world.classic_join(request).error, ErrorCode::InconsistentGroupProtocol);
    }
    let asked = world.classic_join(join(|request| request.requires_known_member_id = true));
    assert_eq!(asked.error, ErrorCode::MemberIdRequired);
    assert!(!asked.member_id.is_empty());
    assert_eq!(world.classic_join(classic_joining(&asked.member_id, &["t"], &[])).error, ErrorCode::None);
}

#[test]
fn a_classic_member_that_does_not_join_sync_or_speak_in_time_is_gone() {
    // (joins again, syncs, is heard of) for a while; nothing of it afterwards.
    let is_there = |world: &mut World| world.described_consumers().members.iter().any(|member| member.member_id == "c");
    let mut world = World::new();
    mixed(&mut world);
    world.pass(9_999);
    assert_eq!(world.classic_alive("c", 2), ErrorCode::None);
    world.pass(9_999);
    assert!(is_there(&mut world));
    world.pass(1);
    assert!(!is_there(&mut world));

    let mut world = World::new();
    mixed(&mut world);
    world.well(joining("b", &["t"]));
    world.pass(1_000);
    for _ in 0..30 {
        assert!(is_there(&mut world));
        assert_eq!(world.classic_alive("c", 2), ErrorCode::RebalanceInProgress);
        world.well(alive("a", 1));
        world.pass(1_000);
    }
    assert!(!is_there(&mut world));

    let mut world = World::new();
    world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    assert_eq!(world.classic_join(classic_joining("c", &["t"], &[])).generation_id, 2);
    for _ in 0..30 {
        assert!(is_there(&mut world));
        assert_eq!(world.classic_alive("c", 2), ErrorCode::None);
        world.pass(1_000);
    }
    assert!(!is_there(&mut world));
}

#[test]
fn whoever_is_no_member_any_more_and_still_has_something_is_told_so() {
    let mut world = World::new();
    mixed(&mut world);
    world.pass(10_000);
    let owned: &[(&str, &[PartitionIndex])] = &[("t", &[2])];
    assert_eq!(world.classic_join(classic_joining("c", &["t"], owned)).error, ErrorCode::UnknownMemberId);
    assert_eq!(world.classic_join(classic_joining("c", &["t"], &[])).error, ErrorCode::None);
}

#[test]
fn only_classic_members_leave_by_leave_group() {
    let mut world = World::new();
    mixed(&mut world);
    let mut leave = |member_id: &str| {
        let leaving = LeavingMember { member_id: member_id.to_owned(), group_instance_id: None, reason: None };
        match world.answer(Request::LeaveGroup(LeaveGroup { group_id: GROUP.to_owned(), members: vec![leaving] })) {
            Response::LeaveGroup(LeaveGroupAnswer { error: ErrorCode::None, members }) => members[0].error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(leave("a"), ErrorCode::UnknownMemberId);
    assert_eq!(leave("x"), ErrorCode::UnknownMemberId);
    assert_eq!(leave("c"), ErrorCode::None);
    assert_eq!(leave("c"), ErrorCode::UnknownMemberId);
    world.check();
    assert_eq!(world.described_consumers().members.len(), 1);
}
