//! The rules of KIP-227.

use levada_types::TopicId;
use uuid::Uuid;

use super::*;

fn topic(number: u128) -> TopicKey {
    TopicKey::Id(TopicId(Uuid::from_u128(number)))
}

fn wanted(number: u128, offset: i64) -> Wanted {
    Wanted {
        topic: topic(number),
        partition: 0,
        offset,
        max_bytes: 100,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    }
}

fn request(id: i32, epoch: i32, wanted: Vec<Wanted>) -> SessionRequest {
    SessionRequest { id, epoch, by_id: true, wanted, forgotten: vec![] }
}

fn quiet(number: u128) -> Seen {
    Seen {
        topic_id: Some(TopicId(Uuid::from_u128(number))),
        is_error: false,
        has_records: false,
        high_watermark: 5,
        log_start_offset: 0,
    }
}

/// Begins a session of these topics at `now`; the id given is 0 if there was no slot.
fn open(sessions: &FetchSessions, topics: &[u128], id: i32, now: i64) -> i32 {
    let partitions = topics.iter().map(|&number| wanted(number, 0)).collect();
    let context = sessions.begin(request(0, 0, partitions), now).expect("begins");
    let seen: Vec<Seen> = topics.iter().map(|&number| quiet(number)).collect();
    let (id, told) = sessions.finish(&context, &seen, now, || id);
    assert!(told.into_iter().all(|told| told), "the first answer tells everything");
    id
}

#[test]
fn only_what_changed_is_told() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[1, 2, 3, 4], 7, 0);
    assert_eq!(id, 7);
    let context = sessions.begin(request(id, 1, vec![]), 1).expect("goes on");
    assert_eq!(context.wanted.len(), 4, "all partitions are read, though none was named");
    let seen = [
        quiet(1),
        Seen { high_watermark: 6, ..quiet(2) },
        Seen { has_records: true, ..quiet(3) },
        Seen { log_start_offset: 1, ..quiet(4) },
    ];
    assert_eq!(sessions.finish(&context, &seen, 1, || 0), (7, vec![false, true, true, true]));
    let context = sessions.begin(request(id, 2, vec![]), 2).expect("goes on");
    let order: Vec<&TopicKey> = context.wanted.iter().map(|wanted| &wanted.topic).collect();
    assert_eq!(order, [&topic(1), &topic(2), &topic(4), &topic(3)], "who had records goes to the end");
}

#[test]
fn an_error_is_told_each_time_and_so_is_its_end() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[1], 7, 0);
    let error = Seen { is_error: true, ..quiet(1) };
    for (epoch, seen, told) in [(1, error, true), (2, error, true), (3, quiet(1), true), (4, quiet(1), false)] {
        let context = sessions.begin(request(id, epoch, vec![]), 0).expect("goes on");
        assert_eq!(sessions.finish(&context, &[seen], 0, || 0), (7, vec![told]), "epoch {epoch}");
    }
}

#[test]
fn a_topic_that_was_deleted_and_created_again_is_news() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[1], 7, 0);
    let context = sessions.begin(request(id, 1, vec![]), 0).expect("goes on");
    // The same key now means another topic, whose offsets happen to be the same.
    assert_eq!(sessions.finish(&context, &[quiet(2)], 0, || 0).1, [true]);
}

#[test]
fn partitions_are_changed_added_and_forgotten() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[1, 2], 7, 0);
    let mut change = request(id, 1, vec![wanted(2, 50), wanted(3, 60)]);
    change.forgotten = vec![(topic(1), 0)];
    let context = sessions.begin(change, 0).expect("goes on");
    assert_eq!(context.wanted, [wanted(2, 50), wanted(3, 60)]);
    assert_eq!(sessions.finish(&context, &[quiet(2), quiet(3)], 0, || 0).1, [false, true], "the new one is told");
}

#[test]
fn epochs_follow_each_other() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[1], 7, 0);
    let error = |id, epoch| sessions.begin(request(id, epoch, vec![]), 0).expect_err("refused");
    assert_eq!(error(8, 1), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(error(id, 2), ErrorCode::InvalidFetchSessionEpoch);
    sessions.begin(request(id, 1, vec![]), 0).expect("goes on");
    assert_eq!(error(id, 1), ErrorCode::InvalidFetchSessionEpoch);
    let by_name = SessionRequest { by_id: false, ..request(id, 2, vec![]) };
    assert_eq!(sessions.begin(by_name, 0).expect_err("refused"), ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn after_the_greatest_epoch_comes_one() {
    let mut session = FetchSession::new(true);
    session.next_epoch = i32::MAX;
    session.advance();
    assert_eq!(session.next_epoch, 1);
}

#[test]
fn a_session_ends_when_it_is_told_to_or_has_nothing_left() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[1], 7, 0);
    let last = sessions.begin(request(id, -1, vec![wanted(1, 0)]), 0).expect("answered without a session");
    assert_eq!(sessions.finish(&last, &[quiet(1)], 0, || 9), (0, vec![true]));
    assert_eq!(sessions.begin(request(id, 1, vec![]), 0).expect_err("gone"), ErrorCode::FetchSessionIdNotFound);

    let id = open(&sessions, &[1], 8, 0);
    let nothing = SessionRequest { forgotten: vec![(topic(1), 0)], ..request(id, 1, vec![]) };
    let context = sessions.begin(nothing, 0).expect("answered without a session");
    assert_eq!(sessions.finish(&context, &[], 0, || 9), (0, vec![]));
    assert_eq!(sessions.begin(request(id, 2, vec![]), 0).expect_err("gone"), ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn slots_are_given_up_by_age_then_by_size() {
    let sessions = FetchSessions::new(2);
    assert_eq!((open(&sessions, &[1, 2], 1, 0), open(&sessions, &[1, 2, 3], 2, 0)), (1, 2));
    assert_eq!(open(&sessions, &[1, 2, 3, 4], 3, 1_000), 0, "both are young: no session");
    // Both are used at 100 s, so at 130 s neither is stale, and both are old enough to give way to a larger one.
    for id in [1, 2] {
        sessions.begin(request(id, 1, vec![]), 100_000).expect("goes on");
    }
    assert_eq!(open(&sessions, &[1, 2], 3, 130_000), 0, "not larger than the smallest");
    assert_eq!(open(&sessions, &[1, 2, 3], 3, 130_000), 3, "in place of the smallest");
    assert_eq!(sessions.begin(request(1, 2, vec![]), 0).expect_err("gone"), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(open(&sessions, &[1], 4, 230_001), 4, "in place of the one unused for over 120 s");
    assert_eq!(sessions.begin(request(2, 2, vec![]), 0).expect_err("gone"), ErrorCode::FetchSessionIdNotFound);
}
