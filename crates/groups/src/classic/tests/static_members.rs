//! Members that have a name (KIP-345).

use super::*;

fn named(group: &str, name: &str) -> JoinGroup {
    JoinGroup { group_instance_id: Some(name.to_owned()), ..joining(group) }
}

/// A settled group of two named members, the leader first.
fn settled(world: &mut World) -> [(JoinGroupAnswer, &'static str); 2] {
    let tokens = ["one", "two"].map(|name| (world.join(named("g", name)), name));
    world.pass(2 * INITIAL_MS);
    let mut joined = tokens.map(|(token, name)| (world.joined(token), name));
    joined.sort_by_key(|(answer, _)| answer.leader != answer.member_id);
    let ids = [joined[0].0.member_id.clone(), joined[1].0.member_id.clone()];
    let token = world.sync("g", &joined[0].0, &[(&ids[0], "a"), (&ids[1], "b")]);
    assert_eq!(world.synced(token).error, ErrorCode::None);
    let token = world.sync("g", &joined[1].0, &[]);
    assert_eq!(world.synced(token).error, ErrorCode::None);
    joined
}

#[test]
fn a_member_that_restarts_gets_a_new_id_and_its_old_assignment_without_a_rebalance() {
    let mut world = World::new();
    let [(leader, _), (follower, name)] = settled(&mut world);
    assert!(follower.member_id.starts_with(name), "{}", follower.member_id);
    let token = world.join(named("g", name));
    let answer = world.joined(token);
    assert_eq!((answer.error, answer.generation_id, answer.skip_assignment), (ErrorCode::None, 1, false));
    assert_ne!(answer.member_id, follower.member_id);
    assert_eq!(world.described("g").state, "Stable");
    let token = world.sync("g", &answer, &[]);
    assert_eq!(&world.synced(token).assignment[..], b"b");
    assert_eq!(world.sign_of_life("g", 1, &leader.member_id), ErrorCode::None);
    assert_eq!(world.sign_of_life("g", 1, &follower.member_id), ErrorCode::UnknownMemberId);
    let hard = world.check();
    assert!(hard.classic["g"].members.iter().any(|member| member.member_id == answer.member_id));
    assert_eq!(hard.classic["g"].members.len(), 2);
}

#[test]
fn the_old_id_is_fenced_where_it_names_itself() {
    let mut world = World::new();
    let [_, (follower, name)] = settled(&mut world);
    world.join(named("g", name));
    let old = JoinGroup { member_id: follower.member_id.clone(), ..named("g", name) };
    let token = world.join(old);
    assert_eq!(world.joined(token).error, ErrorCode::FencedInstanceId);
    let heartbeat = Request::Heartbeat(Heartbeat {
        group_id: "g".to_owned(),
        generation_id: 1,
        member_id: follower.member_id.clone(),
        group_instance_id: Some(name.to_owned()),
    });
    let Response::Heartbeat(answer) = world.answer(heartbeat) else { panic!("not the answer to a heartbeat") };
    assert_eq!(answer.error, ErrorCode::FencedInstanceId);
    let left = world.leave("g", &[(&follower.member_id, Some(name))]);
    assert_eq!(left.members[0].error, ErrorCode::FencedInstanceId);
}

#[test]
fn a_leader_that_restarts_skips_its_assignment_if_it_can() {
    let mut world = World::new();
    let [(leader, name), _] = settled(&mut world);
    let token = world.join(named("g", name));
    let answer = world.joined(token);
    assert_eq!((answer.generation_id, answer.skip_assignment, answer.members.len()), (1, true, 2));
    assert_eq!(answer.leader, answer.member_id);

    let token = world.join(JoinGroup { supports_skipping_assignment: false, ..named("g", name) });
    let older = world.joined(token);
    assert_eq!((older.generation_id, older.skip_assignment, older.members.len()), (1, false, 0));
    assert_eq!(older.leader, answer.member_id, "an older client is not to assign anew");
    assert_ne!(older.member_id, leader.member_id);
    let token = world.sync("g", &older, &[]);
    assert_eq!(&world.synced(token).assignment[..], b"a");
}

#[test]
fn a_restart_that_changes_the_protocol_has_a_rebalance() {
    let mut world = World::new();
    let tokens = ["one", "two"]
        .map(|name| world.join(JoinGroup { protocols: vec![protocol("a"), protocol("b")], ..named("g", name) }));
    world.pass(2 * INITIAL_MS);
    let joined = tokens.map(|token| world.joined(token));
    assert_eq!(joined[0].protocol_name.as_deref(), Some("a"));
    let leader = joined.iter().find(|answer| answer.leader == answer.member_id).unwrap();
    let token = world.sync("g", leader, &[]);
    world.synced(token);
    let token = world.join(JoinGroup { protocols: vec![protocol("b")], ..named("g", "one") });
    assert_eq!(world.take(token), None);
    assert_eq!(world.described("g").state, "PreparingRebalance");
}

#[test]
fn a_member_that_is_replaced_while_it_waits_is_fenced() {
    let mut world = World::new();
    let [(leader, name), _] = settled(&mut world);
    let waiting = world.join(JoinGroup { member_id: leader.member_id, ..named("g", name) });
    assert_eq!(world.take(waiting), None);
    let newer = world.join(named("g", name));
    assert_eq!(world.joined(waiting).error, ErrorCode::FencedInstanceId);
    assert_eq!(world.take(newer), None);
}

#[test]
fn a_static_member_that_does_not_join_again_stays_until_its_session_is_over() {
    let mut world = World::new();
    let slow = JoinGroup { session_timeout_ms: 120_000, ..named("g", "slow") };
    let tokens = [world.join(slow), world.join(joining("g"))];
    world.pass(2 * INITIAL_MS);
    let joined = tokens.map(|token| world.joined(token));
    for answer in &joined {
        world.sync("g", answer, &[]);
    }
    let token = world.join(JoinGroup {
        protocols: vec![Protocol { metadata: Bytes::new(), ..protocol("range") }],
        ..again("g", &joined[1])
    });
    world.pass(REBALANCE_MS.into());
    let answer = world.joined(token);
    assert_eq!((answer.generation_id, answer.members.len()), (2, 2));
    assert_eq!(answer.leader, answer.member_id);
}

#[test]
fn a_static_member_leaves_by_its_name_alone() {
    let mut world = World::new();
    let [_, (follower, name)] = settled(&mut world);
    let left = world.leave("g", &[("", Some(name)), ("", Some("stranger"))]);
    assert_eq!(left.members[0].error, ErrorCode::None);
    assert_eq!(left.members[1].error, ErrorCode::UnknownMemberId);
    assert_eq!(world.sign_of_life("g", 1, &follower.member_id), ErrorCode::UnknownMemberId);
}
