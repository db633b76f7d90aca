//! How groups get from one generation to the next.

use super::*;

#[test]
fn a_newcomer_has_everybody_join_again() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let newcomer = world.join(joining("g"));
    for member in &members {
        assert_eq!(world.sign_of_life("g", 1, &member.member_id), ErrorCode::RebalanceInProgress);
    }
    let tokens: Vec<Token> = members.iter().map(|member| world.join(again("g", member))).collect();
    let leader = world.joined(tokens[0]);
    assert_eq!((leader.generation_id, leader.members.len()), (2, 3));
    assert_eq!(leader.leader, leader.member_id);
    let follower = world.joined(tokens[1]);
    assert_eq!((follower.generation_id, follower.members.len()), (2, 0));
    assert_eq!(world.joined(newcomer).generation_id, 2);
}

#[test]
fn who_does_not_join_in_time_is_out() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let newcomer = world.join(joining("g"));
    let token = world.join(again("g", &members[1]));
    for _ in 0..3 {
        world.pass(i64::from(REBALANCE_MS) / 3 - 1);
        assert_eq!(world.sign_of_life("g", 1, &members[0].member_id), ErrorCode::RebalanceInProgress);
        assert_eq!(world.take(token), None);
    }
    world.pass(3);
    let answer = world.joined(token);
    assert_eq!(answer.generation_id, 2);
    assert_ne!(answer.leader, members[0].member_id);
    assert_eq!(world.joined(newcomer).leader, answer.leader);
    assert_eq!(world.sign_of_life("g", 2, &members[0].member_id), ErrorCode::UnknownMemberId);
}

#[test]
fn the_leader_alone_can_have_a_rebalance_without_a_change() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let token = world.join(again("g", &members[1]));
    let answer = world.joined(token);
    assert_eq!((answer.error, answer.generation_id), (ErrorCode::None, 1));
    assert_eq!(world.described("g").state, "Stable");
    let token = world.join(again("g", &members[0]));
    assert_eq!(world.take(token), None);
    assert_eq!(world.described("g").state, "PreparingRebalance");
}

#[test]
fn a_member_that_says_something_new_has_a_rebalance() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let metadata = subscription(&["orders", "returns"]);
    let protocols = vec![Protocol { name: "range".to_owned(), metadata: metadata.clone() }];
    let changed = world.join(JoinGroup { protocols, ..again("g", &members[1]) });
    let leader = world.join(again("g", &members[0]));
    let leader = world.joined(leader);
    let told = leader.members.iter().find(|member| member.member_id == members[1].member_id);
    assert_eq!(told.map(|member| member.metadata.clone()), Some(metadata));
    assert_eq!(world.joined(changed).generation_id, 2);
}

#[test]
fn syncs_wait_for_the_leader_and_are_sent_back_by_the_next_rebalance() {
    let mut world = World::new();
    let tokens = [world.join(joining("g")), world.join(joining("g"))];
    world.pass(2 * INITIAL_MS);
    let mut joined = tokens.map(|token| world.joined(token));
    joined.sort_by_key(|answer| answer.leader != answer.member_id);
    let follower = world.sync("g", &joined[1], &[]);
    assert_eq!(world.take(follower), None);
    let newcomer = world.join(joining("g"));
    assert_eq!(world.synced(follower).error, ErrorCode::RebalanceInProgress);
    let token = world.sync("g", &joined[0], &[]);
    assert_eq!(world.synced(token).error, ErrorCode::RebalanceInProgress);
    let again: Vec<Token> = joined.iter().map(|answer| world.join(again("g", answer))).collect();
    assert_eq!(world.joined(again[0]).generation_id, 2);
    assert_eq!(world.joined(newcomer).generation_id, 2);
    let token = world.sync("g", &joined[0], &[]);
    assert_eq!(world.synced(token).error, ErrorCode::IllegalGeneration);
}

#[test]
fn who_never_asks_what_it_got_is_out() {
    let mut world = World::new();
    let tokens = [world.join(joining("g")), world.join(joining("g"))];
    world.pass(2 * INITIAL_MS);
    let mut joined = tokens.map(|token| world.joined(token));
    joined.sort_by_key(|answer| answer.leader != answer.member_id);
    let token = world.sync("g", &joined[0], &[]);
    assert_eq!(world.synced(token).error, ErrorCode::None);
    for _ in 0..4 {
        assert_eq!(world.sign_of_life("g", 1, &joined[0].member_id), ErrorCode::None);
        assert_eq!(world.sign_of_life("g", 1, &joined[1].member_id), ErrorCode::None);
        world.pass(i64::from(REBALANCE_MS) / 4);
    }
    assert_eq!(world.sign_of_life("g", 1, &joined[0].member_id), ErrorCode::RebalanceInProgress);
    assert_eq!(world.sign_of_life("g", 1, &joined[1].member_id), ErrorCode::UnknownMemberId);
}

#[test]
fn a_sync_of_another_protocol_is_refused() {
    let mut world = World::new();
    let members = world.settled("g", 1);
    let token = world.sync("g", &JoinGroupAnswer { protocol_name: Some("x".to_owned()), ..members[0].clone() }, &[]);
    assert_eq!(world.synced(token).error, ErrorCode::InconsistentGroupProtocol);
    let token =
        world.sync("g", &JoinGroupAnswer { protocol_type: None, protocol_name: None, ..members[0].clone() }, &[]);
    assert_eq!(world.synced(token).error, ErrorCode::None);
}

#[test]
fn a_join_that_is_sent_again_while_it_waits_takes_the_place_of_the_first() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let first = world.join(again("g", &members[0]));
    let second = world.join(again("g", &members[0]));
    assert_eq!(world.joined(first).error, ErrorCode::RebalanceInProgress);
    let other = world.join(again("g", &members[1]));
    assert_eq!(world.joined(second).generation_id, 2);
    assert_eq!(world.joined(other).generation_id, 2);
}

#[test]
fn a_lost_answer_to_a_join_can_be_had_again() {
    let mut world = World::new();
    let token = world.join(joining("g"));
    world.pass(INITIAL_MS);
    let joined = world.joined(token);
    let token = world.join(again("g", &joined));
    let second = world.joined(token);
    assert_eq!((second.generation_id, second.members.len()), (1, 1));
    assert_eq!(world.described("g").state, "CompletingRebalance");
}

#[test]
fn assignments_are_opaque_and_whoever_is_left_out_gets_nothing() {
    let mut world = World::new();
    let request = JoinGroup {
        protocol_type: "sr".to_owned(),
        protocols: vec![Protocol { name: "v0".to_owned(), metadata: Bytes::from_static(b"\xff\x00\xfe") }],
        ..joining("g")
    };
    let tokens = [world.join(request.clone()), world.join(request)];
    world.pass(2 * INITIAL_MS);
    let mut joined = tokens.map(|token| world.joined(token));
    joined.sort_by_key(|answer| answer.leader != answer.member_id);
    let follower = world.sync("g", &joined[1], &[]);
    let leader_id = joined[0].member_id.clone();
    let leader = world.sync("g", &joined[0], &[(&leader_id, "mine"), ("stranger", "his")]);
    assert_eq!(&world.synced(leader).assignment[..], b"mine");
    assert_eq!(&world.synced(follower).assignment[..], b"");
    world.check();
    world.take_over();
    let token = world.sync("g", &joined[0], &[]);
    assert_eq!(&world.synced(token).assignment[..], b"mine");
}

#[test]
fn a_rebalance_that_a_takeover_cuts_short_starts_from_the_last_generation_that_was_written() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let newcomer = world.join(joining("g"));
    let tokens: Vec<Token> = members.iter().map(|member| world.join(again("g", member))).collect();
    let (newcomer, leader) = (world.joined(newcomer), world.joined(tokens[0]));
    assert_eq!(leader.generation_id, 2);
    world.take_over();
    let token = world.sync("g", &leader, &[]);
    assert_eq!(world.synced(token).error, ErrorCode::IllegalGeneration);
    let token = world.join(again("g", &newcomer));
    assert_eq!(world.joined(token).error, ErrorCode::UnknownMemberId);
    let tokens: Vec<Token> =
        [again("g", &leader), again("g", &members[1])].into_iter().map(|request| world.join(request)).collect();
    assert!(tokens.into_iter().all(|token| world.joined(token).generation_id >= 1));
}

#[test]
fn a_group_does_not_look_without_a_pause_for_static_members_that_have_no_patience() {
    let mut world = World::new();
    let impatient = |name: &str| JoinGroup {
        group_instance_id: Some(name.to_owned()),
        rebalance_timeout_ms: 0,
        session_timeout_ms: 120_000,
        ..joining("g")
    };
    let tokens = ["one", "two"].map(|name| world.join(impatient(name)));
    world.pass(INITIAL_MS);
    let mut joined = tokens.map(|token| world.joined(token));
    joined.sort_by_key(|answer| answer.leader != answer.member_id);
    for answer in &joined {
        let token = world.sync("g", answer, &[]);
        assert_eq!(world.synced(token).error, ErrorCode::None);
    }
    world.leave("g", &[(&joined[0].member_id, None)]);
    // `pass` gives up after a hundred thousand ticks.
    world.pass(110_000);
    assert_eq!(world.described("g").state, "PreparingRebalance");
    world.pass(20_000);
    assert_eq!(world.described("g").state, "Empty");
}

#[test]
fn a_rebalance_goes_on_although_what_another_group_wrote_was_refused() {
    let mut world = World::new();
    let members = world.settled("g", 2);
    let newcomer = world.join(joining("g"));
    let waiting = world.join(again("g", &members[1]));
    let kept = world.keep();
    world.settled("h", 1);
    world.set_back(kept);
    assert_eq!(world.described("g").state, "PreparingRebalance");
    assert_eq!((world.take(waiting), world.take(newcomer)), (None, None), "they still wait");
    let leader = world.join(again("g", &members[0]));
    let leader = world.joined(leader);
    assert_eq!((leader.generation_id, leader.members.len()), (2, 3));
    assert_eq!((world.joined(waiting).generation_id, world.joined(newcomer).generation_id), (2, 2));
}

#[test]
fn a_generation_that_could_not_be_written_is_told_once_it_can() {
    let mut world = World::new();
    let tokens = [world.join(joining("g")), world.join(joining("g"))];
    world.pass(2 * INITIAL_MS);
    let mut joined = tokens.map(|token| world.joined(token));
    joined.sort_by_key(|answer| answer.leader != answer.member_id);
    let follower = world.sync("g", &joined[1], &[]);
    let kept = world.keep();
    let told = [(joined[0].member_id.as_str(), "a"), (joined[1].member_id.as_str(), "b")];
    let refused = world.sync("g", &joined[0], &told);
    world.set_back(kept);
    assert!(world.has_failed(refused));
    assert_eq!(world.described("g").state, "CompletingRebalance");
    // Nobody is thrown out for what was lost with the write, and the leader comes again.
    world.pass(i64::from(SESSION_MS) - 1);
    let leader = world.sync("g", &joined[0], &told);
    assert_eq!(world.synced(leader).assignment, Bytes::from_static(b"a"));
    assert_eq!(world.synced(follower).assignment, Bytes::from_static(b"b"));
    assert_eq!(world.described("g").state, "Stable");
}
