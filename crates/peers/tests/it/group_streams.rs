//! What travels on the stream to a coordinator, and what becomes of it when the stream ends.

use bytes::Bytes;
use levada_groups::api::{GroupKind, JoinGroupAnswer, JoinedMember, ListedGroup, Request, Response, SyncGroup};
use levada_peers::GroupClientError;
use levada_peers::parcels::MAX_GROUP_MESSAGE_BYTES;
use levada_proto::internal as pb;
use levada_types::ErrorCode;
use prost::Message;
use tonic::Status;

use crate::coordinator_script::{LONG, coordinator};
use crate::groups::{World, alive, heartbeat, image, join, joined};

/// A world with one coordinator, `g-1`, that owns the only shard.
fn world() -> World {
    World::new(image(1, &["g-1"], &[Some(1)]))
}

/// An answer that tells which group it is to.
fn listed(group: &str) -> Response {
    Response::ListGroups(vec![ListedGroup {
        group_id: group.to_owned(),
        protocol_type: String::new(),
        state: String::new(),
        kind: GroupKind::Classic,
    }])
}

/// Long bytes that are not all the same.
fn long(len: usize) -> Bytes {
    (0..=250u8).cycle().take(len).collect()
}

fn sync(assignment: Bytes) -> Request {
    Request::SyncGroup(SyncGroup {
        group_id: "g".to_owned(),
        generation_id: 1,
        member_id: "m".to_owned(),
        group_instance_id: None,
        protocol_type: None,
        protocol_name: None,
        assignments: vec![("m".to_owned(), assignment)],
    })
}

#[tokio::test]
async fn many_requests_share_a_stream_and_each_gets_its_own_answer_in_any_order() {
    const MEMBERS: usize = 500;
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    let groups: Vec<String> = (0..MEMBERS).map(|number| format!("group-{number}")).collect();
    let waiting: Vec<_> = groups.iter().map(|group| world.ask(heartbeat(group))).collect();
    let mut asked = Vec::new();
    for _ in 0..MEMBERS {
        asked.push(only.next().await);
    }
    for asked in asked.into_iter().rev() {
        let group = asked.request.group_id().unwrap().to_owned();
        asked.answer(listed(&group));
    }
    for (group, waiting) in groups.iter().zip(waiting) {
        assert_eq!(waiting.await.unwrap(), Ok(listed(group)));
    }
    assert_eq!(only.streams(), 1);
}

#[tokio::test]
async fn what_a_coordinator_that_stops_has_not_answered_was_not_done() {
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    // As a new member it must not join twice.
    let (answered, unanswered) = (world.ask(heartbeat("g")), world.ask(join("")));
    let (one, other) = (only.next().await, only.next().await);
    let (beat, joining) = if one.request == heartbeat("g") { (one, other) } else { (other, one) };
    beat.answer(alive());
    joining.say(pb::GroupResponses { responses: Vec::new(), closing: true });
    only.next().await.answer(joined());
    assert_eq!(unanswered.await.unwrap(), Ok(joined()));
    assert_eq!(answered.await.unwrap(), Ok(alive()));
    assert_eq!(only.streams(), 2);
}

#[tokio::test]
async fn what_has_no_answer_when_a_stream_ends_without_a_word_may_have_been_done() {
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    let joining = world.ask(join(""));
    // It ends well, but not as a coordinator ends it that stops.
    only.next().await.fail(Status::ok(""));
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, GroupClientError::Unknown { .. }), "{error}");
    assert!(only.asked.try_recv().is_err(), "it is not asked again");
}

#[tokio::test]
async fn on_a_stream_that_is_not_taken_nothing_was_done() {
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    only.on_stream(|before| match before {
        0 => Err(Status::failed_precondition("of another cluster")),
        1 => Err(Status::aborted("who knows why")),
        _ => Ok(()),
    });
    let joining = world.ask(join(""));
    only.next().await.answer(joined());
    assert_eq!(joining.await.unwrap(), Ok(joined()));
    assert_eq!(only.streams(), 3);

    let world = self::world();
    let stranger = coordinator(&world.network, "g-1").await;
    stranger.on_stream(|_| Err(Status::unimplemented("what?")));
    let error = world.client.handle(heartbeat("g"), LONG).await.unwrap_err();
    assert!(matches!(error, GroupClientError::Refused { .. }), "{error}");
    assert_eq!(stranger.streams(), 1);
}

#[tokio::test]
async fn a_coordinator_is_told_what_nobody_waits_for_any_more() {
    let world = World::new(image(1, &["g-1", "g-2"], &[Some(1)]));
    let (mut old, mut new) = (coordinator(&world.network, "g-1").await, coordinator(&world.network, "g-2").await);
    // The client has gone.
    let (gone, stays) = (world.ask(join("m")), world.ask(heartbeat("g")));
    let (one, other) = (old.next().await, old.next().await);
    let (joining, beat) = if one.request == join("m") { (one, other) } else { (other, one) };
    gone.abort();
    assert_eq!(old.next_abandoned().await, joining.number);
    // An answer that comes too late is nobody's, and the others stay where they are.
    joining.answer(joined());
    beat.answer(alive());
    assert_eq!(stays.await.unwrap(), Ok(alive()));

    // The shard has another owner, and the old one had its last words.
    let beating = world.ask(heartbeat("g"));
    let left = old.next().await;
    world.metadata.publish(&image(2, &["g-1", "g-2"], &[Some(2)]));
    new.next().await.answer(alive());
    assert_eq!(beating.await.unwrap(), Ok(alive()));
    assert_eq!(old.next_abandoned().await, left.number);
    assert_eq!((old.streams(), new.streams()), (1, 1));
}

#[tokio::test]
async fn an_answer_to_what_nobody_asked_ends_the_stream_and_nothing_else() {
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    let bytes: Bytes = pb::GroupResponse::from(alive()).encode_to_vec().into();
    let answers = |number| {
        let parcel = |number| pb::GroupParcel { number, bytes: bytes.clone(), continues: false };
        // Twice the same: the second one is dropped.
        pb::GroupResponses { responses: vec![parcel(number), parcel(number)], closing: false }
    };
    let beating = world.ask(heartbeat("g"));
    let asked = only.next().await;
    asked.say(answers(asked.number));
    assert_eq!(beating.await.unwrap(), Ok(alive()));

    let joining = world.ask(join(""));
    let asked = only.next().await;
    asked.say(answers(asked.number + 1));
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, GroupClientError::Unknown { .. }), "{error}");

    let joining = world.ask(join(""));
    let asked = only.next().await;
    let part = |number| pb::GroupParcel { number, bytes: bytes.clone(), continues: true };
    let responses = vec![part(asked.number), part(asked.number + 1)];
    asked.say(pb::GroupResponses { responses, closing: false });
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, GroupClientError::Unknown { .. }), "{error}");

    let beating = world.ask(heartbeat("g"));
    only.next().await.answer(alive());
    assert_eq!(beating.await.unwrap(), Ok(alive()));
    assert_eq!(only.streams(), 3);
}

#[tokio::test]
async fn what_cannot_be_read_is_the_matter_of_one_request() {
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    let (beating, joining) = (world.ask(heartbeat("g")), world.ask(join("")));
    for _ in 0..2 {
        let asked = only.next().await;
        let bytes = if asked.request == heartbeat("g") {
            Bytes::from_static(b"\xff")
        } else {
            pb::GroupResponse::from(joined()).encode_to_vec().into()
        };
        let parcel = pb::GroupParcel { number: asked.number, bytes, continues: false };
        asked.say(pb::GroupResponses { responses: vec![parcel], closing: false });
    }
    assert_eq!(joining.await.unwrap(), Ok(joined()));
    assert!(matches!(beating.await.unwrap(), Err(GroupClientError::Refused { .. })));
    assert_eq!(only.streams(), 1);
}

#[tokio::test]
async fn large_generations_pass_beside_heartbeats_up_to_the_limit() {
    let world = world();
    let mut only = coordinator(&world.network, "g-1").await;
    let large = sync(long(5 << 20));
    let syncing = world.ask(large.clone());
    let beating = world.ask(heartbeat("g"));
    let leader = Response::JoinGroup(JoinGroupAnswer {
        error: ErrorCode::None,
        generation_id: 1,
        protocol_type: None,
        protocol_name: None,
        leader: "m".to_owned(),
        skip_assignment: false,
        member_id: "m".to_owned(),
        members: vec![JoinedMember { member_id: "m".to_owned(), group_instance_id: None, metadata: long(7 << 20) }],
    });
    for _ in 0..2 {
        let asked = only.next().await;
        let answer = if asked.request == large { leader.clone() } else { alive() };
        asked.answer(answer);
    }
    assert_eq!(syncing.await.unwrap(), Ok(leader));
    assert_eq!(beating.await.unwrap(), Ok(alive()));

    let error = world.client.handle(sync(Bytes::from(vec![0; MAX_GROUP_MESSAGE_BYTES])), LONG).await.unwrap_err();
    assert!(matches!(error, GroupClientError::Refused { .. }), "{error}");
    let joining = world.ask(join(""));
    only.next().await.refuse(ErrorCode::MessageTooLarge);
    assert!(matches!(joining.await.unwrap(), Err(GroupClientError::Refused { .. })));
    assert_eq!(only.streams(), 1);
}
