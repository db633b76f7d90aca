//! Joining, going on, being taken out, leaving.

use super::*;

#[test]
fn a_new_member_says_everything_and_then_only_what_changes() {
    let mut scene = Scene::new(settings(), None);
    let join = scene.heartbeat().clone();
    assert_eq!((join.member_id.as_str(), join.member_epoch, join.stream_number), ("m-1", 0, Some(7)));
    assert_eq!((join.rebalance_timeout_ms, join.topic_partitions), (60_000, Some(Vec::new())));
    assert_eq!(join.subscribed_topic_names, Some(vec!["t".to_owned()]));
    scene.heard(3, Some(&[0, 2]));
    let expected = v1::SubscriptionJoined { member_id: "m-1".to_owned(), member_epoch: 3, stream_number: 7 };
    assert_eq!(scene.told.pop_front(), Some(Told::Joined(expected)));
    assert_eq!(scene.assigned(), [0, 2]);
    let next = scene.heartbeat().clone();
    assert_eq!((next.member_epoch, next.rebalance_timeout_ms, next.subscribed_topic_names), (3, -1, None));
    let owned = TopicPartitions { topic_id: fixtures::topic_id("t"), partitions: vec![0, 2] };
    assert_eq!(next.topic_partitions, Some(vec![owned]));
    scene.heard(4, None);
    assert_eq!(scene.told.pop_front(), Some(Told::Epoch(v1::SubscriptionEpoch { member_epoch: 4 })));
    assert!(scene.offsets().require_stable);
    scene.told_offsets(|_| Some(5));
    assert_eq!(scene.reading(), [(0, 5), (2, 5)]);
    scene.after(4_999);
    assert_eq!(scene.asked, None);
    scene.after(1);
    assert_eq!(scene.heartbeat().topic_partitions, None);
}

#[test]
fn a_heartbeat_that_is_not_answered_is_repeated_whole() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(5_000);
    scene.answer(Err(refusal(ErrorCode::CoordinatorNotAvailable)));
    assert_eq!(scene.asked, None, "not at once");
    scene.after(1_000);
    assert!(scene.heartbeat().subscribed_topic_names.is_some());
    assert!(scene.heartbeat().topic_partitions.is_some());
}

#[test]
fn one_that_was_taken_out_has_lost_everything_and_joins_as_another() {
    let mut scene = Scene::joined(settings(), &[0, 1]);
    scene.records(0, 3);
    scene.told.clear();
    scene.said(Kind::Commit(v1::CommitSubscription { request_id: 9, offsets: Vec::new() }));
    scene.after(5_000);
    scene.unheard(ErrorCode::FencedMemberEpoch);
    let Some(Told::Committed(answer)) = scene.told.pop_front() else { panic!("the commit has an answer") };
    assert_eq!(answer.request_id, 9);
    let Some(Told::Lost(lost)) = scene.told.pop_front() else { panic!("it has lost its partitions") };
    assert_eq!(partitions(&lost.partitions), [0, 1]);
    assert_eq!(scene.reading(), []);
    scene.said(processed(0, 103));
    assert_eq!(scene.ended, None, "it was under way");
    assert_eq!(scene.heartbeat().stream_number, Some(7));
    assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-1", -1), "it comes free");
    scene.heard(-1, None);
    assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-2", 0));
    scene.heard(9, Some(&[1]));
    assert!(matches!(scene.told.pop_front(), Some(Told::Joined(_))));
    assert_eq!(scene.assigned(), [1]);
}

#[test]
fn one_that_nobody_knows_joins_as_another_without_a_farewell() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(5_000);
    scene.unheard(ErrorCode::UnknownMemberId);
    scene.after(1_000);
    assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-2", 0));
}

#[test]
fn a_farewell_that_nobody_answers_holds_nobody_up_for_long() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(5_000);
    scene.unheard(ErrorCode::FencedMemberEpoch);
    for _ in 0..3 {
        assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-1", -1));
        scene.answer(Err(refusal(ErrorCode::CoordinatorNotAvailable)));
        scene.after(1_000);
    }
    assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-2", 0));
}

#[test]
fn one_that_was_fenced_leaves_too_when_its_client_ends_it_then() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(5_000);
    scene.unheard(ErrorCode::FencedMemberEpoch);
    scene.said(Kind::Leave(v1::LeaveSubscription {}));
    scene.answer(Err(refusal(ErrorCode::CoordinatorNotAvailable)));
    scene.after(1_000);
    assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-1", -1));
    scene.heard(-1, None);
    assert_eq!(scene.ended, Some(Ok(())));
}

#[test]
fn one_that_was_fenced_and_has_come_back_elsewhere_meanwhile_does_not_join_again() {
    let named = Settings { instance_id: Some("i".to_owned()), ..settings() };
    let mut scene = Scene::joined(named, &[0]);
    scene.after(5_000);
    scene.unheard(ErrorCode::FencedMemberEpoch);
    assert_eq!(scene.heartbeat().member_epoch, -2, "under its name it may join at once");
    scene.unheard(ErrorCode::FencedInstanceId);
    assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "FENCED_INSTANCE_ID"));
}

#[test]
fn one_whose_client_has_come_back_elsewhere_ends_and_does_not_join_again() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(5_000);
    scene.unheard(ErrorCode::FencedInstanceId);
    assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "FENCED_INSTANCE_ID"));
    assert_eq!(scene.asked, None, "it leaves nothing: the other stream has it");
}

#[test]
fn who_leaves_commits_what_is_processed_first() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.records(0, 3);
    scene.said(processed(0, 102));
    scene.told.clear();
    scene.said(Kind::Leave(v1::LeaveSubscription {}));
    assert_eq!(scene.reading(), []);
    assert_eq!(scene.committing(), [(0, 102)]);
    scene.committed(ErrorCode::None);
    assert_eq!(scene.heartbeat().member_epoch, -1);
    scene.heard(-1, None);
    assert_eq!(scene.told.pop_front(), Some(Told::Left(v1::SubscriptionLeft { error: None })));
    assert_eq!(scene.ended, Some(Ok(())));
}

#[test]
fn a_static_member_only_leaves_for_a_while() {
    let named = || Settings { instance_id: Some("i".to_owned()), ..settings() };
    let mut scene = Scene::joined(named(), &[]);
    scene.said(Kind::Leave(v1::LeaveSubscription {}));
    assert_eq!(scene.heartbeat().member_epoch, -2);
    let mut scene = Scene::joined(named(), &[]);
    scene.happens(Event::Gone { stopping: false });
    assert_eq!(scene.heartbeat().member_epoch, -2, "it may come back under its name at once");
}

#[test]
fn one_whose_client_is_gone_stays_in_its_group_to_be_gone_on_with() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.records(0, 3);
    scene.said(processed(0, 103));
    scene.happens(Event::Gone { stopping: true });
    assert_eq!(scene.committing(), [(0, 103)]);
    scene.committed(ErrorCode::None);
    assert_eq!(scene.asked, None);
    assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "LEADER_NOT_AVAILABLE"));
}

#[test]
fn one_that_nobody_could_go_on_with_leaves() {
    let mut scene = Scene::new(settings(), None);
    scene.happens(Event::Gone { stopping: false });
    assert_eq!(scene.ended, None, "it may have joined");
    scene.heard(1, Some(&[0]));
    assert_eq!(scene.heartbeat().member_epoch, -1);
    scene.heard(-1, None);
    assert_eq!(scene.ended, Some(Ok(())));
}

#[test]
fn a_farewell_that_is_never_answered_is_not_repeated_for_ever() {
    let mut scene = Scene::joined(settings(), &[]);
    scene.said(Kind::Leave(v1::LeaveSubscription {}));
    for _ in 0..3 {
        scene.answer(Err(refusal(ErrorCode::CoordinatorNotAvailable)));
        scene.after(1_000);
    }
    assert_eq!(scene.ended, Some(Ok(())));
}

#[test]
fn a_client_that_says_nothing_with_records_in_hand_loses_its_place() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(100_000);
    scene.heard(1, None);
    assert_eq!(scene.ended, None, "nothing was with it");
    scene.records(0, 2);
    scene.told.clear();
    scene.after(59_999);
    scene.heard(1, None);
    scene.said(Kind::Progress(v1::SubscriptionProgress {}));
    scene.after(59_999);
    scene.heard(1, None);
    scene.after(1);
    assert_eq!(scene.heartbeat().member_epoch, -1);
    scene.heard(-1, None);
    let Some(Told::Left(left)) = scene.told.pop_front() else { panic!("it is told that it has left") };
    assert_eq!(left.error.map(|error| error.name).as_deref(), Some("REQUEST_TIMED_OUT"));
    assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "REQUEST_TIMED_OUT"));
}

#[test]
fn what_the_group_does_not_take_ends_the_stream() {
    for code in [ErrorCode::UnsupportedAssignor, ErrorCode::UnreleasedInstanceId, ErrorCode::GroupIdNotFound] {
        let mut scene = Scene::new(settings(), None);
        scene.unheard(code);
        let Some(Err(error)) = &scene.ended else { panic!("{code} ends it") };
        assert_eq!((error.name.as_str(), error.message.as_str()), (code.name(), "because"));
    }
}

#[test]
fn a_message_that_makes_no_sense_ends_the_stream_and_the_membership() {
    let joins = Kind::Join(v1::JoinSubscription::default());
    let bad_id = Kind::Processed(v1::ProcessedRecords { topic_id: "?".to_owned(), ..Default::default() });
    for kind in [joins, bad_id, done(1), processed(0, 101)] {
        let mut scene = Scene::joined(settings(), &[0]);
        scene.said(kind);
        assert_eq!(scene.heartbeat().member_epoch, -1);
        scene.heard(-1, None);
        assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "INVALID_REQUEST"));
    }
}

#[test]
fn who_goes_on_reports_what_it_holds_and_gives_up_what_it_is_not_left() {
    let held =
        |partition, next_offset, processed_offset| Held { partition: t(partition), next_offset, processed_offset };
    let resumption = Resumption {
        member_id: "old".to_owned(),
        epoch: 6,
        stream_number: 3,
        held: vec![held(0, Some(20), Some(15)), held(1, Some(9), Some(9)), held(2, None, None)],
    };
    let mut scene = Scene::new(settings(), Some(resumption));
    let first = scene.heartbeat().clone();
    assert_eq!((first.member_id.as_str(), first.member_epoch), ("old", 6));
    let reported = TopicPartitions { topic_id: fixtures::topic_id("t"), partitions: vec![0, 1, 2] };
    assert_eq!(first.topic_partitions, Some(vec![reported]));
    assert!(first.subscribed_topic_names.is_some(), "it says everything, so that it is told everything");
    scene.heard(6, Some(&[0, 2, 3]));
    assert!(matches!(scene.told.pop_front(), Some(Told::Joined(_))));
    assert_eq!(scene.revoked(), (1, vec![1]));
    assert_eq!(scene.assigned(), [0, 2, 3], "everything that it owns");
    assert_eq!(scene.reading(), [(0, 20)], "where it left off");
    scene.heard(6, None);
    scene.told_offsets(|_| Some(50));
    assert_eq!(scene.reading(), [(0, 20), (2, 50), (3, 50)]);
    scene.said(processed(0, 18));
    scene.said(done(1));
    assert_eq!(scene.committing(), [(0, 18), (1, 9)], "of what came on the other stream");
}

#[test]
fn who_comes_back_too_late_is_another_member() {
    let held = vec![Held { partition: t(0), next_offset: Some(20), processed_offset: Some(15) }];
    let resumption = Resumption { member_id: "old".to_owned(), epoch: 6, stream_number: 3, held };
    let mut scene = Scene::new(settings(), Some(resumption));
    scene.unheard(ErrorCode::UnknownMemberId);
    assert_eq!(scene.told.pop_front(), None, "another member id tells that all is lost");
    scene.after(1_000);
    assert_eq!((scene.heartbeat().member_id.as_str(), scene.heartbeat().member_epoch), ("m-1", 0));
    assert_eq!(scene.heartbeat().topic_partitions, Some(Vec::new()));
    scene.heard(1, Some(&[0]));
    scene.told.clear();
    scene.heard(1, None);
    scene.told_offsets(|_| Some(12));
    assert_eq!(scene.reading(), [(0, 12)]);
}
