//! Getting partitions and giving them up.

use super::*;

#[test]
fn nothing_is_given_up_before_the_client_has_said_so_and_its_work_is_committed() {
    let mut scene = Scene::joined(settings(), &[0, 1]);
    scene.records(0, 2);
    scene.records(1, 2);
    scene.told.clear();
    let under_way = scene.member.readings(0)[0];
    scene.after(5_000);
    scene.heard(1, Some(&[1]));
    assert_eq!(scene.revoked(), (1, vec![0]));
    assert_eq!(scene.reading(), [(1, 102)], "the others go on");
    let (partition, generation) = (under_way.partition, under_way.generation);
    scene.happens(Event::Read { partition, generation, records: Ok(read(under_way.offset, 1)) });
    assert_eq!(scene.told.pop_front(), None, "no record of it comes any more");
    scene.after(5_000);
    assert_eq!(scene.heartbeat().topic_partitions, None, "it owns both");
    scene.said(processed(0, 102));
    scene.heard(1, None);
    assert_eq!(scene.committing(), [(0, 102)], "the interval has passed");
    scene.said(done(1));
    scene.committed(ErrorCode::RequestTimedOut);
    assert_eq!(scene.asked, None);
    scene.after(1_000);
    assert_eq!(scene.committing(), [(0, 102)]);
    scene.committed(ErrorCode::None);
    let owned = TopicPartitions { topic_id: fixtures::topic_id("t"), partitions: vec![1] };
    assert_eq!(scene.heartbeat().topic_partitions, Some(vec![owned]));
    scene.heard(2, None);
    assert_eq!(scene.told.pop_front(), Some(Told::Epoch(v1::SubscriptionEpoch { member_epoch: 2 })));
}

#[test]
fn a_client_that_does_not_let_go_in_time_loses_its_place() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.after(5_000);
    scene.heard(1, Some(&[]));
    assert_eq!(scene.revoked(), (1, vec![0]));
    scene.after(59_999);
    scene.said(Kind::Progress(v1::SubscriptionProgress {}));
    scene.heard(1, None);
    scene.after(1);
    assert_eq!(scene.heartbeat().member_epoch, -1, "the others wait for it");
}

#[test]
fn what_comes_back_while_it_is_given_up_begins_anew() {
    let mut scene = Scene::joined(Settings { auto_commit_interval: None, ..settings() }, &[0]);
    scene.after(5_000);
    scene.heard(1, Some(&[]));
    assert_eq!(scene.revoked(), (1, vec![0]));
    scene.after(5_000);
    scene.heard(1, Some(&[0]));
    assert_eq!(scene.told.pop_front(), None);
    scene.said(done(1));
    assert_eq!(scene.assigned(), [0]);
    assert_eq!(scene.reading(), [], "where to begin is asked anew");
}

#[test]
fn the_partitions_of_a_topic_that_is_gone_are_lost() {
    let mut scene = Scene::joined(settings(), &[0]);
    scene.image = fixtures::image(&[("u", 1)]);
    scene.after(5_000);
    scene.heard(1, Some(&[]));
    let Some(Told::Lost(lost)) = scene.told.pop_front() else { panic!("nobody need give them up") };
    assert_eq!((lost.partitions[0].topic.as_str(), partitions(&lost.partitions)), ("t", vec![0]));
}

#[test]
fn a_topic_that_this_broker_has_not_heard_of_is_taken_once_it_has() {
    let mut scene = Scene::new(settings(), None);
    let known = std::mem::replace(&mut scene.image, fixtures::image(&[]));
    scene.heard(1, Some(&[0]));
    assert!(matches!(scene.told.pop_front(), Some(Told::Joined(_))));
    assert_eq!((scene.told.pop_front(), &scene.asked), (None, &None));
    scene.image = known;
    scene.happens(Event::Tick);
    assert_eq!(scene.assigned(), [0]);
    assert!(scene.heartbeat().topic_partitions.is_some());
}

#[test]
fn no_more_is_read_than_the_client_has_room_for() {
    let mut scene = Scene::joined(settings(), &[0, 1]);
    scene.records(0, 9);
    assert_eq!(scene.reading(), [(0, 109), (1, 100)]);
    scene.records(1, 5);
    assert_eq!(scene.reading(), [], "14 of 10");
    scene.said(processed(1, 105));
    assert_eq!(scene.reading(), [(0, 109), (1, 105)]);
}
