//! What is subscribed to, and what becomes of the topics.

use levada_types::ErrorCode;

use super::{SESSION_MS, alive, count, joining, of, owning, set};
use crate::{api::ConsumerGroupHeartbeat, world::World};

fn by_regex(member_id: &str, regex: &str) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(regex.to_owned()),
        ..joining(member_id, &[])
    }
}

/// Lets the world notice what has become of its topics.
fn notice(world: &mut World) {
    world.pass(1_000);
    world.call(levada_shard::Core::tick);
    world.check();
}

#[test]
fn an_expression_matches_whole_names_of_topics_that_are_not_internal() {
    let mut world = World::new();
    let orders = world.create_topic("orders", 1);
    world.create_topic("orders-old", 1);
    world.create_topic("my-orders", 1);
    world.create_topic("__consumer_offsets", 1);
    assert_eq!(world.well(by_regex("a", "orders|__.*")), (1, Some(of(orders, 0..1))));
    let other = by_regex("b", ".*orders.*");
    world.pass(1_000);
    world.well(other);
    world.well(owning("a", 1, &of(orders, 0..1)));
    let names: Vec<String> = world
        .described_consumers()
        .members
        .iter()
        .flat_map(|member| member.target_assignment.iter().map(|topic| topic.name.clone()))
        .collect();
    assert_eq!(names.len(), 3);
    assert!(!names.iter().any(|name| name.starts_with("__")));
}

#[test]
fn expressions_with_comments_flags_and_classes_are_those_of_re2() {
    let mut world = World::new();
    let topic = world.create_topic("Orders.EU", 1);
    for (at, regex) in
        ["(?i)orders\\.eu", "(?x) Orders \\. EU # ours", "[[:alpha:]]+\\.\\pL+", "^Orders\\.EU$"].iter().enumerate()
    {
        let id = format!("m{at}");
        let (epoch, assignment) = world.well(by_regex(&id, regex));
        assert_eq!(assignment, Some(of(topic, 0..1)), "{regex}");
        assert!(epoch > 0);
        world.well(alive(&id, -1));
        world.pass(1_000);
    }
}

#[test]
fn a_topic_that_is_created_or_deleted_is_noticed_by_name_and_by_expression() {
    for by_name in [true, false] {
        let mut world = World::new();
        let first = world.create_topic("t-1", 1);
        let join = if by_name { joining("a", &["t-1", "t-2"]) } else { by_regex("a", "t-.") };
        assert_eq!(world.well(join), (1, Some(of(first, 0..1))));
        let second = world.create_topic("t-2", 2);
        world.create_topic("other", 2);
        notice(&mut world);
        let (epoch, assignment) = world.well(alive("a", 1));
        assert_eq!((epoch, assignment.as_deref().map(count)), (2, Some(3)));
        let partitions = assignment.unwrap();
        world.delete_topic(first);
        notice(&mut world);
        assert_eq!(world.well(owning("a", 2, &partitions)), (2, Some(of(second, 0..2))));
        assert_eq!(world.well(owning("a", 2, &of(second, 0..2))), (3, None));
        assert_eq!(world.consumer_state(), "Stable");
    }
}

#[test]
fn a_topic_that_is_created_again_is_another_topic() {
    let mut world = World::new();
    let old = world.create_topic("t", 1);
    world.well(joining("a", &["t"]));
    world.delete_topic(old);
    let new = world.create_topic("t", 1);
    notice(&mut world);
    // What is gone is given up before the other is taken.
    assert_eq!(world.well(owning("a", 1, &of(old, 0..1))), (1, Some(Vec::new())));
    assert_eq!(world.well(owning("a", 1, &[])), (2, Some(of(new, 0..1))));
}

#[test]
fn partitions_that_are_added_are_assigned() {
    let mut world = World::new();
    let topic = world.create_topic("t", 1);
    world.well(joining("a", &["t"]));
    world.add_partitions(topic, 1..3);
    notice(&mut world);
    assert_eq!(world.well(alive("a", 1)), (2, Some(of(topic, 0..3))));
    // What another process finds changed after loading, it acts upon too.
    world.add_partitions(topic, 3..4);
    world.take_over();
    notice(&mut world);
    assert_eq!(world.well(alive("a", 2)), (3, Some(of(topic, 0..4))));
    world.take_over();
    notice(&mut world);
    assert_eq!(world.well(alive("a", 3)), (3, None));
}

#[test]
fn topics_of_others_disturb_nobody() {
    let mut world = World::new();
    world.create_topic("t", 1);
    world.well(joining("a", &["t"]));
    let length = world.log.len();
    world.create_topic("other", 1);
    notice(&mut world);
    assert_eq!(world.log.len(), length);
}

#[test]
fn whoever_subscribes_to_something_else_gets_something_else() {
    let mut world = World::new();
    let (one, two) = (world.create_topic("one", 2), world.create_topic("two", 2));
    world.well(joining("a", &["one"]));
    world.pass(1_000);
    let change = ConsumerGroupHeartbeat { subscribed_topic_names: Some(vec!["two".to_owned()]), ..alive("a", 1) };
    assert_eq!(world.well(change), (1, Some(Vec::new())));
    assert_eq!(world.well(owning("a", 1, &of(one, 0..2))), (1, None));
    assert_eq!(world.well(owning("a", 1, &[])), (2, Some(of(two, 0..2))));
}

#[test]
fn what_is_not_subscribed_to_any_more_is_given_up_before_the_next_assignment() {
    let mut world = World::new();
    let (one, _) = (world.create_topic("one", 2), world.create_topic("two", 2));
    world.well(joining("a", &["one", "two"]));
    // The last assignment is not a second old, and the next has to wait.
    let change = ConsumerGroupHeartbeat { subscribed_topic_names: Some(vec!["one".to_owned()]), ..alive("a", 1) };
    assert_eq!(world.well(change), (1, Some(of(one, 0..2))));
    assert_eq!(world.consumer_state(), "Assigning");
    world.pass(1_000);
    assert_eq!(world.well(owning("a", 1, &of(one, 0..2))), (2, None));
    assert_eq!(world.consumer_state(), "Stable");
}

#[test]
fn an_expression_that_nobody_has_any_more_is_forgotten() {
    let mut world = World::new();
    world.create_topic("t-1", 2);
    world.well(by_regex("a", "t.*"));
    world.pass(1_000);
    world.well(by_regex("b", "t.*"));
    let regexes = |world: &World| world.check().consumer["g"].regexes.len();
    assert_eq!(regexes(&world), 1);
    world.well(alive("b", -1));
    assert_eq!(regexes(&world), 1);
    let change = ConsumerGroupHeartbeat { subscribed_topic_regex: Some("t-[0-9]".to_owned()), ..alive("a", 1) };
    world.well(change);
    assert_eq!(regexes(&world), 1);
    world.pass(SESSION_MS);
    assert_eq!(regexes(&world), 0);
    assert_eq!(world.consumer_state(), "Empty");
}

#[test]
fn names_and_an_expression_add_up() {
    let mut world = World::new();
    let (one, two) = (world.create_topic("one", 1), world.create_topic("two", 1));
    let both = ConsumerGroupHeartbeat { subscribed_topic_regex: Some("t.o".to_owned()), ..joining("a", &["one"]) };
    let (_, assignment) = world.well(both);
    assert_eq!(set(&assignment.unwrap()), [(one, 0), (two, 0)].into());
    // An empty expression takes the old one back.
    world.pass(1_000);
    let change = ConsumerGroupHeartbeat { subscribed_topic_regex: Some(String::new()), ..alive("a", 1) };
    assert_eq!(world.well(change), (1, Some(of(one, 0..1))));
}

#[test]
fn a_member_may_subscribe_to_nothing_yet() {
    let mut world = World::new();
    world.create_topic("t", 1);
    assert_eq!(world.well(joining("a", &[])).1, Some(Vec::new()));
    assert_eq!(world.well(by_regex("b", "")).1, Some(Vec::new()));
}

#[test]
fn a_topic_that_does_not_exist_yet_may_be_subscribed_to() {
    let mut world = World::new();
    assert_eq!(world.well(joining("a", &["t"])), (1, Some(Vec::new())));
    let topic = world.create_topic("t", 1);
    notice(&mut world);
    assert_eq!(world.well(alive("a", 1)), (2, Some(of(topic, 0..1))));
    assert_eq!(world.refused(alive("b", 1)), ErrorCode::UnknownMemberId);
}
