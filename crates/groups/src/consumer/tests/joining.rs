//! Joining, leaving, and what is refused.

use levada_types::ErrorCode;

use super::{GROUP, SESSION_MS, alive, count, joining, of, owning};
use crate::{
    GroupConfig,
    api::{ConsumerGroupHeartbeat, DeleteGroup, Request, Response},
    world::World,
};

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut world = World::new();
    let topic = world.create_topic("t", 3);
    let answer = world.beat(joining("a", &["t"]));
    assert_eq!(answer.member_id.as_deref(), Some("a"));
    assert_eq!(answer.member_epoch, 1);
    assert_eq!(answer.heartbeat_interval_ms, 5_000);
    assert_eq!(answer.assignment, Some(of(topic, 0..3)));
    assert_eq!(world.consumer_state(), "Stable");
}

#[test]
fn a_member_without_an_id_is_given_one() {
    let mut world = World::new();
    world.create_topic("t", 1);
    let answer = world.beat(joining("", &["t"]));
    let id = answer.member_id.expect("no id");
    assert!(!id.is_empty());
    assert_eq!(world.well(alive(&id, 1)), (1, None));
}

#[test]
fn a_sign_of_life_writes_nothing_and_tells_nothing() {
    let mut world = World::new();
    world.create_topic("t", 3);
    world.well(joining("a", &["t"]));
    let length = world.log.len();
    for _ in 0..10 {
        world.pass(5_000);
        assert_eq!(world.well(alive("a", 1)), (1, None));
    }
    assert_eq!(world.log.len(), length);
}

#[test]
fn whoever_tells_everything_is_told_everything() {
    let mut world = World::new();
    let topic = world.create_topic("t", 2);
    world.well(joining("a", &["t"]));
    let full =
        ConsumerGroupHeartbeat { member_epoch: 1, topic_partitions: Some(of(topic, 0..2)), ..joining("a", &["t"]) };
    assert_eq!(world.well(full), (1, Some(of(topic, 0..2))));
}

#[test]
fn a_member_that_leaves_gives_its_partitions_to_the_others() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    world.well(owning("a", 1, &of(topic, 0..4)));
    let (epoch, kept) = world.well(owning("a", 1, &of(topic, 0..2)));
    assert_eq!((epoch, kept.as_deref().map(count)), (2, None));
    assert_eq!(world.well(alive("b", 2)), (2, Some(of(topic, 2..4))));
    world.pass(1_000);
    assert_eq!(world.well(alive("a", -1)), (-1, None));
    assert_eq!(world.refused(alive("a", 2)), ErrorCode::UnknownMemberId);
    assert_eq!(world.well(alive("b", 2)), (3, Some(of(topic, 0..4))));
}

#[test]
fn a_silent_member_is_gone_when_its_session_is_over() {
    let mut world = World::new();
    world.create_topic("t", 2);
    world.well(joining("a", &["t"]));
    world.pass(SESSION_MS - 1);
    world.well(alive("a", 1));
    world.pass(SESSION_MS - 1);
    assert_eq!(world.described_consumers().members.len(), 1);
    world.pass(1);
    assert_eq!(world.consumer_state(), "Empty");
    assert_eq!(world.refused(alive("a", 1)), ErrorCode::UnknownMemberId);
    world.check();
}

#[test]
fn after_a_takeover_sessions_count_anew() {
    let mut world = World::new();
    world.create_topic("t", 2);
    world.well(joining("a", &["t"]));
    world.pass(SESSION_MS - 1);
    world.take_over();
    world.pass(SESSION_MS - 1);
    assert_eq!(world.well(alive("a", 1)), (1, None));
    world.take_over();
    world.pass(SESSION_MS);
    assert_eq!(world.consumer_state(), "Empty");
}

#[test]
fn what_a_first_heartbeat_lacks_is_told() {
    let mut world = World::new();
    world.create_topic("t", 1);
    let whole = || joining("a", &["t"]);
    let wrong = [
        ConsumerGroupHeartbeat { rebalance_timeout_ms: -1, ..whole() },
        ConsumerGroupHeartbeat { topic_partitions: None, ..whole() },
        ConsumerGroupHeartbeat { subscribed_topic_names: None, ..whole() },
        ConsumerGroupHeartbeat { instance_id: Some(String::new()), ..whole() },
        ConsumerGroupHeartbeat { instance_id: Some(" ".to_owned()), ..whole() },
        ConsumerGroupHeartbeat { rack_id: Some(String::new()), ..whole() },
        ConsumerGroupHeartbeat { rack_id: Some(" ".to_owned()), ..whole() },
        ConsumerGroupHeartbeat { group_id: "\t".to_owned(), ..whole() },
        ConsumerGroupHeartbeat { member_id: "\u{b} ".to_owned(), ..whole() },
        ConsumerGroupHeartbeat { member_epoch: -3, ..whole() },
        ConsumerGroupHeartbeat { member_epoch: -2, ..whole() },
        ConsumerGroupHeartbeat { member_id: String::new(), member_epoch: 1, ..whole() },
        ConsumerGroupHeartbeat { member_id: "x".repeat(40_000), ..whole() },
    ];
    for request in wrong {
        assert_eq!(world.refused(request), ErrorCode::InvalidRequest);
    }
    let assignor = ConsumerGroupHeartbeat { server_assignor: Some("best".to_owned()), ..whole() };
    assert_eq!(world.refused(assignor), ErrorCode::UnsupportedAssignor);
    for regex in ["(", "a)|(b", "[", r"(?=x)", "((a{100}){100}){100}"] {
        let request = ConsumerGroupHeartbeat { subscribed_topic_regex: Some(regex.to_owned()), ..whole() };
        assert_eq!(world.refused(request), ErrorCode::InvalidRegularExpression, "{regex}");
    }
    assert!(world.log.is_empty());
    assert_eq!(world.refused(alive("a", 1)), ErrorCode::UnknownMemberId);
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut world = World::with(GroupConfig { group_consumer_max_size: 2, ..GroupConfig::default() });
    world.create_topic("t", 1);
    world.well(joining("a", &["t"]));
    let named = ConsumerGroupHeartbeat { instance_id: Some("i".to_owned()), ..joining("b", &["t"]) };
    world.well(named);
    assert_eq!(world.refused(joining("c", &["t"])), ErrorCode::GroupMaxSizeReached);
    // Whoever is in the group already may speak, also under a new id.
    world.well(alive("a", 1));
    world.well(ConsumerGroupHeartbeat { instance_id: Some("i".to_owned()), ..alive("b", -2) });
    world.well(ConsumerGroupHeartbeat { instance_id: Some("i".to_owned()), ..joining("d", &["t"]) });
}

#[test]
fn a_wrong_epoch_is_fenced_and_a_lost_answer_is_not() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    assert_eq!(world.refused(alive("a", 7)), ErrorCode::FencedMemberEpoch);
    // The answer to its join was lost: it joins again.
    assert_eq!(world.well(joining("a", &["t"])), (1, Some(of(topic, 0..4))));
    world.pass(1_000);
    world.well(joining("b", &["t"]));
    world.well(alive("a", 1));
    world.well(owning("a", 1, &of(topic, 0..2)));
    // Its epoch is 2 now. It comes with the one before, owning nothing that it may not own.
    let full = |partitions| ConsumerGroupHeartbeat {
        member_epoch: 1,
        topic_partitions: Some(of(topic, partitions)),
        ..joining("a", &["t"])
    };
    assert_eq!(world.well(full(0..2)), (2, Some(of(topic, 0..2))));
    assert_eq!(world.refused(full(0..4)), ErrorCode::FencedMemberEpoch);
    assert_eq!(world.refused(alive("a", 1)), ErrorCode::FencedMemberEpoch);
    // It gives everything up, and joins again.
    assert_eq!(world.well(joining("a", &["t"])), (2, Some(of(topic, 0..2))));
}

#[test]
fn whoever_joins_again_has_given_up_what_it_was_to_give_up() {
    let mut world = World::new();
    let topic = world.create_topic("t", 4);
    world.well(joining("a", &["t"]));
    world.pass(1_000);
    assert_eq!(world.well(joining("b", &["t"])), (2, Some(Vec::new())));
    world.well(alive("a", 1));
    // Half of it is to be revoked when it comes back with nothing; the other member need not wait any longer.
    assert_eq!(world.well(joining("a", &["t"])), (2, Some(of(topic, 0..2))));
    assert_eq!(world.well(alive("b", 2)), (2, Some(of(topic, 2..4))));
}

#[test]
fn an_older_stream_is_fenced() {
    let mut world = World::new();
    world.create_topic("t", 1);
    let stream = |request, number| ConsumerGroupHeartbeat { stream_number: Some(number), ..request };
    world.well(stream(joining("a", &["t"]), 2));
    assert_eq!(world.refused(stream(alive("a", 1), 1)), ErrorCode::FencedInstanceId);
    assert_eq!(world.refused(stream(alive("a", -1), 1)), ErrorCode::FencedInstanceId);
    world.well(stream(alive("a", 1), 3));
    assert_eq!(world.refused(stream(alive("a", 1), 2)), ErrorCode::FencedInstanceId);
    world.well(stream(alive("a", -1), 3));
}

#[test]
fn nothing_is_left_of_a_group_that_is_deleted() {
    let mut world = World::new();
    world.create_topic("t", 1);
    world.well(ConsumerGroupHeartbeat { subscribed_topic_regex: Some("t.*".to_owned()), ..joining("a", &["t"]) });
    let delete = || Request::DeleteGroup(DeleteGroup { group_id: GROUP.to_owned() });
    let code = |response| match response {
        Response::DeleteGroup(answer) => answer.error,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(world.answer(delete())), ErrorCode::NonEmptyGroup);
    world.well(alive("a", -1));
    assert_eq!(code(world.answer(delete())), ErrorCode::None);
    assert_eq!(world.described_consumers().error, ErrorCode::GroupIdNotFound);
    assert!(world.check().consumer.is_empty());
    // Every key that was written has a tombstone.
    let mut last = std::collections::BTreeMap::new();
    for logged in &world.log {
        if let crate::world::Logged::Record(record, _) = logged {
            last.insert(record.key.clone(), record.value.is_some());
        }
    }
    assert!(last.values().all(|is_there| !is_there), "{last:?}");
}
