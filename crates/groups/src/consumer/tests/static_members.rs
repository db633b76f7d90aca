//! Members that have names (KIP-345).

use levada_types::ErrorCode;

use super::{SESSION_MS, alive, count, joining, of, owning};
use crate::{api::ConsumerGroupHeartbeat, world::World};

fn named(request: ConsumerGroupHeartbeat) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat { instance_id: Some("i".to_owned()), ..request }
}

#[test]
fn a_static_member_that_comes_back_has_what_it_had_and_nobody_moves() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    world.well(named(joining("a", &["t"])));
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    world.well(named(alive("a", 1)));
    world.well(named(owning("a", 1, &of(topic, 0..2))));
    world.well(alive("b", 2));
    assert_eq!(world.well(named(alive("a", -2))), (-2, None));
    assert_eq!(world.consumer_state(), "Reconciling");
    assert_eq!(world.well(alive("b", 2)), (2, None));
    assert_eq!(world.well(named(joining("c", &["t"]))), (2, Some(of(topic, 0..2))));
    assert_eq!(world.described_consumers().group_epoch, 2);
    assert_eq!(world.well(alive("b", 2)), (2, None));
    assert_eq!(world.refused(alive("a", 2)), ErrorCode::UnknownMemberId);
    assert_eq!(world.refused(named(alive("a", 2))), ErrorCode::FencedInstanceId);
    assert_eq!(world.refused(named(alive("a", -1))), ErrorCode::FencedInstanceId);
}

#[test]
fn a_static_member_may_come_back_under_its_own_id() {
    let mut world = World::new();
    let topic = world.create_topic("t", 2);
    world.well(named(joining("a", &["t"])));
    world.well(named(alive("a", -2)));
    assert_eq!(world.refused(named(alive("a", 1))), ErrorCode::FencedMemberEpoch);
    assert_eq!(world.well(named(joining("a", &["t"]))), (1, Some(of(topic, 0..2))));
    assert_eq!(world.well(named(alive("a", 1))), (1, None));
}

#[test]
fn a_name_is_not_released_while_its_bearer_is_there() {
    let mut world = World::new();
    world.create_topic("t", 2);
    world.well(named(joining("a", &["t"])));
    assert_eq!(world.refused(named(joining("b", &["t"]))), ErrorCode::UnreleasedInstanceId);
    world.pass(SESSION_MS);
    world.well(named(joining("b", &["t"])));
}

#[test]
fn a_static_member_that_stays_away_is_gone_when_its_session_is_over() {
    let mut world = World::new();
    let topic = world.create_topic("t", 2);
    world.well(named(joining("a", &["t"])));
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    world.well(named(alive("a", -2)));
    for _ in 0..9 {
        world.pass(5_000);
        let epoch =
            world.described_consumers().members.iter().find(|member| member.member_id == "b").map(|b| b.member_epoch);
        world.well(alive("b", epoch.unwrap_or(0)));
    }
    assert_eq!(world.described_consumers().members.len(), 1);
    let described = world.described_consumers();
    assert_eq!(described.members[0].assignment[0].partitions, [0, 1], "{topic}: {described:?}");
}

#[test]
fn an_unknown_name_is_no_members() {
    let mut world = World::new();
    world.create_topic("t", 2);
    world.well(joining("a", &["t"]));
    assert_eq!(world.refused(named(alive("a", 1))), ErrorCode::UnknownMemberId);
    assert_eq!(world.refused(named(alive("a", -2))), ErrorCode::UnknownMemberId);
}

#[test]
fn what_it_was_to_give_up_is_free_once_it_has_left_for_a_while() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    world.well(named(joining("a", &["t"])));
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    world.well(named(alive("a", 1)));
    assert_eq!(world.well(alive("b", 2)), (2, None));
    world.well(named(alive("a", -2)));
    let (_, assignment) = world.well(alive("b", 2));
    assert_eq!(assignment.as_deref().map(count), Some(2));
    assert_eq!(world.well(named(joining("c", &["t"]))), (2, Some(of(topic, 0..2))));
}
