//! What time does to offsets.

use levada_shard::Core as _;

use super::*;

const RETENTION_MS: i64 = 60 * 60_000;
const CHECK_MS: i64 = 600_000;

/// A shard that keeps offsets for an hour.
fn world() -> World {
    World::with(GroupConfig { offsets_retention_minutes: 60, ..GroupConfig::default() })
}

#[test]
fn offsets_without_members_expire_after_their_commit() {
    let mut world = world();
    let topic = world.create_topic("orders", 2);
    world.commit(committing("g", "orders", topic, 0, 1));
    world.pass(CHECK_MS * 3);
    world.commit(committing("g", "orders", topic, 1, 1));
    world.pass(RETENTION_MS - CHECK_MS);
    assert_eq!(world.all_committed("g"), [("orders".to_owned(), 1, Some(1))]);
    world.pass(3 * CHECK_MS);
    assert_eq!(world.all_committed("g"), []);
    assert_eq!(world.listed(&[], &[]), []);
    assert_eq!(world.check().offsets.len(), 0);
}

#[test]
fn offsets_of_a_group_expire_after_its_last_member_has_gone() {
    let mut world = world();
    let topic = world.create_topic("orders", 1);
    let members = world.settled("g", 1);
    let commit = OffsetCommit {
        member_id: members[0].member_id.clone(),
        generation_id_or_member_epoch: 1,
        ..committing("g", "orders", topic, 0, 9)
    };
    world.commit(commit);
    for _ in 0..(RETENTION_MS / 9_000 + 100) {
        world.pass(9_000);
        assert_eq!(world.sign_of_life("g", 1, &members[0].member_id), ErrorCode::None);
    }
    assert_eq!(world.committed("g", "orders", 0), Some(9), "a member uses it");
    world.leave("g", &[(&members[0].member_id, None)]);
    world.pass(RETENTION_MS - CHECK_MS);
    world.take_over();
    assert_eq!(world.committed("g", "orders", 0), Some(9), "it counts from when the group was left");
    world.pass(3 * CHECK_MS);
    assert_eq!(world.committed("g", "orders", 0), None);
    let hard = world.check();
    assert_eq!((hard.classic.len(), hard.offsets.len()), (0, 0));
}

#[test]
fn offsets_of_topics_that_no_member_uses_expire_while_others_do_not() {
    let mut world = world();
    let orders = world.create_topic("orders", 1);
    let returns = world.create_topic("returns", 1);
    world.commit(committing("g", "orders", orders, 0, 1));
    world.commit(committing("g", "returns", returns, 0, 1));
    let members = world.settled("g", 1);
    for _ in 0..(RETENTION_MS / 9_000 + 200) {
        world.pass(9_000);
        world.sign_of_life("g", 1, &members[0].member_id);
    }
    assert_eq!(world.all_committed("g"), [("orders".to_owned(), 0, Some(1))]);
}

#[test]
fn an_old_client_says_how_long_its_offsets_are_kept() {
    let mut world = world();
    let topic = world.create_topic("orders", 2);
    world.commit(OffsetCommit { retention_time_ms: Some(CHECK_MS), ..committing("g", "orders", topic, 0, 1) });
    world.commit(OffsetCommit { retention_time_ms: Some(-1), ..committing("g", "orders", topic, 1, 1) });
    world.check();
    world.take_over();
    world.pass(3 * CHECK_MS);
    assert_eq!(world.all_committed("g"), [("orders".to_owned(), 1, Some(1))]);
}

#[test]
fn a_sweep_of_many_offsets_is_made_in_slices_and_misses_none() {
    let mut world = world();
    let partitions = 5_000;
    let topic = world.create_topic("orders", partitions);
    let groups = 3 * super::super::SWEEP_SLICE as i32 / partitions;
    for group in 0..groups {
        let mut request = committing(&format!("g{group}"), "orders", topic, 0, 1);
        let first = request.topics[0].partitions.remove(0);
        request.topics[0].partitions =
            (0..partitions).map(|partition| CommitPartition { partition, ..first.clone() }).collect();
        world.commit(request);
    }
    assert_eq!(world.groups.counts().offsets, 3 * super::super::SWEEP_SLICE as u64);
    world.log.clear();
    world.pass(RETENTION_MS - CHECK_MS);
    world.now += 2 * CHECK_MS;
    let mut ticks = 0;
    while world.groups.next_deadline().is_some_and(|due| due <= world.now) {
        let before = world.log.len();
        world.call(|groups, context| groups.tick(context));
        assert!(world.log.len() - before <= super::super::SWEEP_SLICE + partitions as usize);
        ticks += 1;
    }
    assert!((3..=5).contains(&ticks), "{ticks}");
    assert_eq!(world.groups.counts(), crate::GroupCounts::default());
}
