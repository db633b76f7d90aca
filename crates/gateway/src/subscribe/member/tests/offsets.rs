//! Where reading begins, seeks, and commits.

use super::*;

#[test]
fn automatic_commits_cover_what_was_acknowledged() {
    let mut scene = Scene::joined(settings(), &[0, 1]);
    scene.records(0, 3);
    scene.records(1, 3);
    scene.after(1_000);
    assert_eq!(scene.asked, None, "nothing is acknowledged");
    scene.said(processed(0, 102));
    assert_eq!(scene.committing(), [(0, 102)]);
    assert_eq!((scene.commit().generation_id_or_member_epoch, scene.commit().stream_number), (1, Some(7)));
    scene.committed(ErrorCode::None);
    scene.said(processed(0, 103));
    assert_eq!(scene.asked, None, "not before the next interval");
    scene.after(1_000);
    assert_eq!(scene.committing(), [(0, 103)]);
}

#[test]
fn with_manual_commits_nothing_else_is_committed() {
    let mut scene = Scene::joined(Settings { auto_commit_interval: None, ..settings() }, &[0]);
    scene.records(0, 3);
    scene.said(processed(0, 103));
    scene.after(4_999);
    assert_eq!(scene.asked, None);
    scene.told.clear();
    scene.said(Kind::Commit(v1::CommitSubscription { request_id: 5, offsets: Vec::new() }));
    assert_eq!(scene.committing(), [(0, 103)]);
    scene.committed(ErrorCode::None);
    let Some(Told::Committed(answer)) = scene.told.pop_front() else { panic!("a commit is answered") };
    let result = v1::CommittedOffset { topic: "t".to_owned(), partition: 0, error: None };
    assert_eq!((answer.request_id, answer.results), (5, vec![result]));
    scene.said(Kind::Leave(v1::LeaveSubscription {}));
    assert_eq!(scene.heartbeat().member_epoch, -1);
}

#[test]
fn each_offset_of_a_commit_has_its_result() {
    let mut scene = Scene::joined(settings(), &[0]);
    let offset = |topic: &str, partition, offset| v1::OffsetToCommit {
        topic: Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(topic.to_owned())) }),
        partition,
        offset,
        leader_epoch: None,
        metadata: "m".to_owned(),
    };
    let offsets = vec![offset("t", 0, 105), offset("gone", 3, 1), offset("t", 1, 7)];
    scene.said(Kind::Commit(v1::CommitSubscription { request_id: 1, offsets }));
    let ids: Vec<_> = scene.commit().topics.iter().map(|topic| (topic.name.clone(), topic.topic_id)).collect();
    assert_eq!(ids, [("t".to_owned(), Some(fixtures::topic_id("t"))), ("gone".to_owned(), None)]);
    scene.committed(ErrorCode::UnknownTopicOrPartition);
    let Some(Told::Committed(answer)) = scene.told.pop_front() else { panic!("a commit is answered") };
    let seen: Vec<_> = answer.results.iter().map(|result| (result.topic.as_str(), result.partition)).collect();
    assert_eq!(seen, [("t", 0), ("gone", 3), ("t", 1)]);
    assert!(answer.results.iter().all(|result| result.error.is_some()));
}

#[test]
fn a_commit_under_an_old_epoch_is_repeated_under_the_new_one() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.said(Kind::Commit(v1::CommitSubscription { request_id: 1, offsets: Vec::new() }));
    scene.records(0, 1);
    scene.said(processed(0, 101));
    scene.said(Kind::Commit(v1::CommitSubscription { request_id: 2, offsets: Vec::new() }));
    scene.committed(ErrorCode::StaleMemberEpoch);
    scene.after(1_000);
    assert!(scene.heartbeat().topic_partitions.is_some());
    scene.heard(8, Some(&[0]));
    assert_eq!(scene.commit().generation_id_or_member_epoch, 8);
}

#[test]
fn where_nothing_is_committed_the_setting_says_where_to_begin() {
    for (reset, place) in [(OffsetReset::Earliest, StartPlace::Earliest), (OffsetReset::Latest, StartPlace::Latest)] {
        let mut scene = Scene::new(Settings { reset, ..settings() }, None);
        scene.heard(1, Some(&[0]));
        scene.heard(1, None);
        scene.told_offsets(|_| None);
        assert_eq!(scene.found(Err(ErrorCode::LeaderNotAvailable)), place);
        assert_eq!(scene.finds.len(), 0, "not at once");
        scene.after(1_000);
        assert_eq!(scene.found(Ok(33)), place);
        assert_eq!(scene.reading(), [(0, 33)]);
        assert_eq!(scene.committing(), [(0, 33)], "so that another member begins where this one did");
    }
    let mut scene = Scene::new(Settings { reset: OffsetReset::Never, ..settings() }, None);
    scene.heard(1, Some(&[0]));
    scene.heard(1, None);
    scene.told_offsets(|_| None);
    assert_eq!(scene.heartbeat().member_epoch, -1);
    scene.heard(-1, None);
    assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "OFFSET_OUT_OF_RANGE"));
}

#[test]
fn what_does_not_exist_any_more_is_looked_for_anew_and_other_failures_pass() {
    let mut scene = Scene::joined(settings(), &[0]);
    let fails = |scene: &mut Scene, code| {
        let reading = scene.member.readings(scene.now)[0];
        let (partition, generation) = (reading.partition, reading.generation);
        scene.happens(Event::Read { partition, generation, records: Err(code) });
    };
    fails(&mut scene, ErrorCode::NotLeaderOrFollower);
    assert_eq!(scene.reading(), []);
    scene.after(100);
    assert_eq!(scene.reading(), [(0, 100)]);
    fails(&mut scene, ErrorCode::OffsetOutOfRange);
    assert_eq!(scene.found(Ok(500)), StartPlace::Earliest);
    assert_eq!(scene.reading(), [(0, 500)]);
    fails(&mut scene, ErrorCode::CorruptMessage);
    scene.committed(ErrorCode::None);
    scene.heard(-1, None);
    assert!(matches!(&scene.ended, Some(Err(error)) if error.name == "CORRUPT_MESSAGE"));
}

#[test]
fn what_comes_after_the_answer_to_a_seek_is_from_its_place() {
    use v1::seek_subscription::Start;
    let seek = |partition, request_id, start| {
        let topic_id = fixtures::topic_id("t").to_string();
        Kind::Seek(v1::SeekSubscription { topic_id, partition, request_id, start: Some(start) })
    };
    let sought = |scene: &mut Scene| match scene.told.pop_front() {
        Some(Told::Sought(sought)) => (sought.request_id, sought.offset, sought.error.map(|error| error.name)),
        other => panic!("{other:?} answers no seek"),
    };
    let mut scene = Scene::joined(settings(), &[0]);
    scene.records(0, 4);
    scene.told.clear();
    let under_way = scene.member.readings(0)[0];
    scene.said(seek(0, 1, Start::Offset(10)));
    assert_eq!(sought(&mut scene), (1, 10, None));
    let (partition, generation) = (under_way.partition, under_way.generation);
    scene.happens(Event::Read { partition, generation, records: Ok(read(under_way.offset, 1)) });
    assert_eq!(scene.told.pop_front(), None, "it was read at the old place");
    scene.said(processed(0, 104));
    assert_eq!(scene.reading(), [(0, 10)]);
    scene.said(seek(0, 2, Start::TimestampMs(7)));
    scene.said(seek(0, 3, Start::Position(v1::OffsetPosition::Latest.into())));
    assert_eq!(sought(&mut scene), (2, -1, Some("OPERATION_NOT_ATTEMPTED".to_owned())));
    assert_eq!(scene.found(Ok(77)), StartPlace::AtTime(7));
    assert_eq!(scene.told.pop_front(), None);
    assert_eq!(scene.found(Ok(99)), StartPlace::Latest);
    assert_eq!(sought(&mut scene), (3, 99, None));
    scene.said(seek(5, 4, Start::Offset(0)));
    assert_eq!(sought(&mut scene), (4, -1, Some("UNKNOWN_TOPIC_OR_PARTITION".to_owned())));
    scene.said(seek(0, 5, Start::Offset(-1)));
    assert!(scene.member.readings(scene.now).is_empty(), "it makes no sense");
}
