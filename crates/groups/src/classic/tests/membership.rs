//! Who may join, and who is thrown out.

use super::*;
use crate::GroupConfig;

#[test]
fn a_first_member_waits_for_others_then_leads() {
    let mut world = World::new();
    let token = world.join(joining("g"));
    world.pass(INITIAL_MS - 1);
    assert_eq!(world.take(token), None);
    world.pass(1);
    let answer = world.joined(token);
    assert_eq!((answer.error, answer.generation_id), (ErrorCode::None, 1));
    assert_eq!(answer.leader, answer.member_id);
    assert_eq!(answer.protocol_name.as_deref(), Some("range"));
    assert_eq!(answer.members.len(), 1);
    assert_eq!(world.described("g").state, "CompletingRebalance");
    let token = world.sync("g", &answer, &[(&answer.member_id, "everything")]);
    let synced = world.synced(token);
    assert_eq!((synced.error, &synced.assignment[..]), (ErrorCode::None, &b"everything"[..]));
    let described = world.described("g");
    assert_eq!((described.state.as_str(), described.protocol.as_str()), ("Stable", "range"));
    assert_eq!(&described.members[0].assignment[..], b"everything");
    assert_eq!(world.check().classic["g"].generation, 1);
}

#[test]
fn newcomers_extend_the_wait_of_an_empty_group_up_to_the_rebalance_timeout() {
    let mut world = World::new();
    let first = world.join(joining("g"));
    let mut others = Vec::new();
    for _ in 0..9 {
        world.pass(INITIAL_MS - 1);
        others.push(world.join(joining("g")));
        assert_eq!(world.answers.len(), 0);
    }
    // 27 of 30 seconds have gone by; the last stretch ends with them.
    world.pass(i64::from(REBALANCE_MS) - 9 * (INITIAL_MS - 1));
    let leader = world.joined(first);
    assert_eq!(leader.generation_id, 1);
    let told: Vec<_> = others.into_iter().map(|token| world.joined(token)).collect();
    assert!(told.iter().all(|answer| answer.generation_id == 1 && answer.leader == told[0].leader));
    let members = told.iter().chain([&leader]).map(|answer| answer.members.len()).max();
    assert_eq!(members, Some(10));
}

#[test]
fn an_id_is_given_first_and_lapses_if_it_is_not_used() {
    let mut world = World::new();
    let request = JoinGroup { requires_known_member_id: true, ..joining("g") };
    let token = world.join(request.clone());
    let answer = world.joined(token);
    assert_eq!(answer.error, ErrorCode::MemberIdRequired);
    assert!(answer.member_id.starts_with("client-"), "{}", answer.member_id);
    assert_eq!(world.described("g").members, []);

    let token = world.join(JoinGroup { member_id: answer.member_id.clone(), ..request.clone() });
    world.pass(INITIAL_MS);
    assert_eq!(world.joined(token).member_id, answer.member_id);

    let token = world.join(JoinGroup { group_id: "other".to_owned(), ..request.clone() });
    let lapsing = world.joined(token).member_id;
    world.pass(SESSION_MS.into());
    let token = world.join(JoinGroup { member_id: lapsing, group_id: "other".to_owned(), ..request });
    assert_eq!(world.joined(token).error, ErrorCode::UnknownMemberId);
    assert_eq!(world.described("other").error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_given_and_not_used() {
    let mut world = World::new();
    let members = world.settled("g", 1);
    let request = JoinGroup { requires_known_member_id: true, ..joining("g") };
    let token = world.join(request.clone());
    let pending = world.joined(token).member_id;
    let leader = world.join(again("g", &members[0]));
    assert_eq!(world.take(leader), None);
    let newcomer = world.join(JoinGroup { member_id: pending, ..request });
    assert_eq!(world.joined(leader).members.len(), 2);
    assert_eq!(world.joined(newcomer).generation_id, 2);
}

#[test]
fn sessions_have_bounds() {
    let mut world = World::new();
    for session_timeout_ms in [5_999, 1_800_001] {
        let token = world.join(JoinGroup { session_timeout_ms, ..joining("g") });
        assert_eq!(world.joined(token).error, ErrorCode::InvalidSessionTimeout);
    }
    assert_eq!(world.check().classic.len(), 0);
    assert_eq!(world.described("g").state, "Dead");
}

#[test]
fn a_group_has_an_id_that_is_not_empty_and_not_too_long() {
    let mut world = World::new();
    for id in ["", &"x".repeat(crate::MAX_GROUP_ID_BYTES + 1)] {
        let token = world.join(joining(id));
        assert_eq!(world.joined(token).error, ErrorCode::InvalidGroupId);
        assert_eq!(world.sign_of_life(id, 1, "m"), ErrorCode::InvalidGroupId);
        assert_eq!(world.leave(id, &[("m", None)]).error, ErrorCode::InvalidGroupId);
    }
    let token = world.join(joining(&"x".repeat(crate::MAX_GROUP_ID_BYTES)));
    world.pass(INITIAL_MS);
    assert_eq!(world.joined(token).error, ErrorCode::None);
}

#[test]
fn protocols_must_have_one_in_common() {
    let mut world = World::new();
    for (protocol_type, protocols) in [("", vec![protocol("range")]), ("consumer", Vec::new())] {
        let request = JoinGroup { protocol_type: protocol_type.to_owned(), protocols, ..joining("g") };
        let token = world.join(request);
        assert_eq!(world.joined(token).error, ErrorCode::InconsistentGroupProtocol);
    }
    world.settled("g", 1);
    let other_kind = JoinGroup { protocol_type: "connect".to_owned(), ..joining("g") };
    let other_protocol = JoinGroup { protocols: vec![protocol("sticky")], ..joining("g") };
    for request in [other_kind, other_protocol] {
        let token = world.join(request);
        assert_eq!(world.joined(token).error, ErrorCode::InconsistentGroupProtocol);
    }
    assert_eq!(world.described("g").state, "Stable");
}

#[test]
fn the_protocol_that_most_like_best_is_chosen() {
    let mut world = World::new();
    let wishes = [["range", "sticky"], ["sticky", "range"], ["sticky", "range"]];
    let tokens = wishes.map(|names| world.join(JoinGroup { protocols: names.map(protocol).to_vec(), ..joining("g") }));
    world.pass(2 * INITIAL_MS);
    for token in tokens {
        assert_eq!(world.joined(token).protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut world = World::with(GroupConfig { group_max_size: 2, ..GroupConfig::default() });
    let members = world.settled("g", 2);
    let token = world.join(joining("g"));
    assert_eq!(world.joined(token).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(world.sign_of_life("g", 1, &members[0].member_id), ErrorCode::None);
    let token = world.join(again("g", &members[1]));
    assert_eq!(world.joined(token).error, ErrorCode::None);
}

#[test]
fn a_silent_member_is_out_when_its_session_is_over() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let (leader, silent) = (&members[0], &members[1]);
    world.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(world.sign_of_life("g", 1, &leader.member_id), ErrorCode::None);
    world.pass(1);
    assert_eq!(world.sign_of_life("g", 1, &leader.member_id), ErrorCode::RebalanceInProgress);
    assert_eq!(world.sign_of_life("g", 1, &silent.member_id), ErrorCode::UnknownMemberId);
    let token = world.join(again("g", leader));
    assert_eq!(world.joined(token).generation_id, 2);
}

#[test]
fn signs_of_life_must_be_of_this_generation_and_member() {
    let mut world = World::new();
    assert_eq!(world.sign_of_life("g", 1, "m"), ErrorCode::UnknownMemberId);
    let members = world.settled("g", 1);
    assert_eq!(world.sign_of_life("g", 1, "m"), ErrorCode::UnknownMemberId);
    assert_eq!(world.sign_of_life("g", 0, &members[0].member_id), ErrorCode::IllegalGeneration);
    assert_eq!(world.sign_of_life("g", 1, &members[0].member_id), ErrorCode::None);
}

#[test]
fn a_group_that_everybody_has_left_is_written_as_empty() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let answer = world.leave("g", &[(&members[0].member_id, None), ("stranger", None)]);
    assert_eq!(answer.error, ErrorCode::None);
    assert_eq!(answer.members[0].error, ErrorCode::None);
    assert_eq!(answer.members[1].error, ErrorCode::UnknownMemberId);
    assert_eq!(world.described("g").state, "PreparingRebalance");
    world.leave("g", &[(&members[1].member_id, None)]);
    assert_eq!(world.described("g").state, "Empty");
    let hard = world.check();
    assert_eq!((hard.classic["g"].generation, hard.classic["g"].members.len()), (2, 0));
    assert_eq!(hard.classic["g"].protocol_type, "consumer");
}

#[test]
fn a_member_that_leaves_while_it_waits_is_told() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let token = world.join(again("g", &members[0]));
    assert_eq!(world.take(token), None);
    world.leave("g", &[(&members[0].member_id, None)]);
    assert_eq!(world.joined(token).error, ErrorCode::UnknownMemberId);
}

#[test]
fn after_a_takeover_everybody_has_a_fresh_session_in_the_last_generation() {
    let mut world = World::new();
    let members = world.settled("g", 3);
    world.pass(i64::from(SESSION_MS) - 1);
    world.take_over();
    world.pass(i64::from(SESSION_MS) - 1);
    for member in &members {
        assert_eq!(world.sign_of_life("g", 1, &member.member_id), ErrorCode::None);
    }
    let token = world.sync("g", &members[2], &[]);
    assert_eq!(&world.synced(token).assignment[..], b"all");
    assert_eq!(world.described("g").members.len(), 3);
}

#[test]
fn a_newcomer_that_nobody_hears_of_any_more_does_not_wait_for_ever() {
    let mut world = World::new();
    let slow = JoinGroup { rebalance_timeout_ms: 3_600_000, ..joining("g") };
    let token = world.join(slow.clone());
    world.pass(INITIAL_MS);
    let leader = world.joined(token);
    let token = world.sync("g", &leader, &[]);
    world.synced(token);
    let newcomer = world.join(slow);
    for _ in 0..40 {
        world.pass(i64::from(SESSION_MS) - 1);
        world.sign_of_life("g", 1, &leader.member_id);
    }
    assert_eq!(world.joined(newcomer).error, ErrorCode::UnknownMemberId);
}
