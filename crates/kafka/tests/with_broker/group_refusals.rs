//! What members and their friends may not do: Kafka's error for it, and everything as it was.

use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::client::{Client, topic_name};
use crate::groups::{commit, committed, group, join, text};
use crate::node::Node;

const ILLEGAL_GENERATION: i16 = 22;
const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
const INVALID_GROUP_ID: i16 = 24;
const UNKNOWN_MEMBER_ID: i16 = 25;
const INVALID_SESSION_TIMEOUT: i16 = 26;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;

async fn join_code(client: &mut Client, request: &JoinGroupRequest) -> i16 {
    let answer = client.call(3, request).await;
    assert_eq!((answer.generation_id, answer.members.len()), (-1, 0), "{answer:?}");
    answer.error_code
}

async fn beat(client: &mut Client, id: &str, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group(id))
        .with_generation_id(generation)
        .with_member_id(text(member));
    client.call(4, &request).await.error_code
}

async fn commit_code(client: &mut Client, request: &OffsetCommitRequest) -> i16 {
    client.call(8, request).await.topics[0].partitions[0].error_code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_has_its_error_and_changes_nothing() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.create("t", 1).await;
    let joined = client.call(3, &join(3, "g", "")).await;
    let member = joined.member_id.to_string();
    let sync =
        SyncGroupRequest::default().with_group_id(group("g")).with_generation_id(1).with_member_id(text(&member));
    assert_eq!(client.call(2, &sync).await.error_code, 0);
    assert_eq!(commit_code(&mut client, &commit(8, "g", (&member, 1), "t", (0, 5, "kept"))).await, 0);

    // Whose group it is, and who it is.
    let too_long = "g".repeat(1 << 15);
    assert_eq!(join_code(&mut client, &join(3, "", "")).await, INVALID_GROUP_ID);
    let far_too_long = client.call(6, &join(6, &too_long, "")).await;
    assert_eq!(far_too_long.error_code, INVALID_GROUP_ID);
    assert_eq!(join_code(&mut client, &join(3, "g", "stranger")).await, UNKNOWN_MEMBER_ID);
    assert_eq!(join_code(&mut client, &join(3, "nobody", "stranger")).await, UNKNOWN_MEMBER_ID);
    for (id, who, generation, code) in [
        ("g", "stranger", 1, UNKNOWN_MEMBER_ID),
        ("nobody", "stranger", 1, UNKNOWN_MEMBER_ID),
        ("g", &*member, 2, ILLEGAL_GENERATION),
        ("g", &*member, -1, ILLEGAL_GENERATION),
        ("", &*member, 1, INVALID_GROUP_ID),
    ] {
        assert_eq!(beat(&mut client, id, who, generation).await, code, "{id} {who} {generation}");
        let sync = sync.clone().with_group_id(group(id)).with_member_id(text(who)).with_generation_id(generation);
        assert_eq!(client.call(2, &sync).await.error_code, code, "{id} {who} {generation}");
    }

    // How it wants to be a member.
    let hasty = join(3, "g", "").with_session_timeout_ms(1);
    assert_eq!(join_code(&mut client, &hasty).await, INVALID_SESSION_TIMEOUT);
    let patient = join(3, "g", "").with_session_timeout_ms(i32::MAX);
    assert_eq!(join_code(&mut client, &patient).await, INVALID_SESSION_TIMEOUT);
    let of_another_kind = join(3, "g", "").with_protocol_type(text("another"));
    assert_eq!(join_code(&mut client, &of_another_kind).await, INCONSISTENT_GROUP_PROTOCOL);
    let speechless = join(3, "fresh", "").with_protocols(Vec::new());
    assert_eq!(join_code(&mut client, &speechless).await, INCONSISTENT_GROUP_PROTOCOL);

    // What it commits.
    let note = "x".repeat(4097);
    for (who, topic, offset, code) in [
        (("stranger", 1), "t", (0, 6, ""), UNKNOWN_MEMBER_ID),
        ((&*member, 2), "t", (0, 6, ""), ILLEGAL_GENERATION),
        (("", -1), "t", (0, 6, ""), UNKNOWN_MEMBER_ID),
        ((&*member, 1), "t", (0, 6, &*note), 12),
        ((&*member, 1), "t", (9, 6, ""), 3),
        ((&*member, 1), "t", (-1, 6, ""), 3),
        ((&*member, 1), "absent", (0, 6, ""), 3),
    ] {
        let request = commit(8, "g", who, topic, offset);
        assert_eq!(commit_code(&mut client, &request).await, code, "{who:?} {topic} {offset:?}");
    }
    assert_eq!(commit_code(&mut client, &commit(8, &too_long, ("", -1), "t", (0, 6, ""))).await, INVALID_GROUP_ID);

    // What others do to its group.
    let names = ["g", "nobody", "g", "", "nobody"].map(group);
    let delete = DeleteGroupsRequest::default().with_groups_names(names.to_vec());
    let codes: Vec<i16> = client.call(2, &delete).await.results.iter().map(|result| result.error_code).collect();
    // Each group is answered once. The empty id names a group like any other where only offsets are meant.
    assert_eq!(codes, [NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, GROUP_ID_NOT_FOUND]);

    // Nothing of all that has left a trace.
    assert_eq!(beat(&mut client, "g", &member, 1).await, 0);
    let (code, told) = committed(&mut client, 7, "g", Some(("t", &[0]))).await;
    assert_eq!((code, told), (0, vec![(0, 5, 0, "kept".to_owned(), 0)]));
    let listed = client.call(5, &ListGroupsRequest::default()).await;
    let told: Vec<&str> = listed.groups.iter().map(|group| &**group.group_id).collect();
    assert_eq!(told, ["g"], "groups came to be that nobody may have");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_in_the_next_generation_has_its_error() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.create("t", 1).await;
    let member = Uuid::from_u128(3).to_string();
    let sound = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("g"))
        .with_member_id(text(&member))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic_name("t")]))
        .with_topic_partitions(Some(Vec::new()));
    let refusals = [
        (sound.clone().with_group_id(group("")), 42, "no group"),
        (sound.clone().with_member_epoch(7), 25, "no member of that epoch"),
        (sound.clone().with_member_epoch(-7), 42, "no epoch"),
        (sound.clone().with_server_assignor(Some(text("absent"))), 112, "no assignor"),
        (
            sound.clone().with_subscribed_topic_names(None).with_subscribed_topic_regex(Some(text("("))),
            128,
            "no expression",
        ),
        (sound.clone().with_rebalance_timeout_ms(-1), 42, "no time"),
    ];
    for (request, code, what) in refusals {
        let answer = client.call(1, &request).await;
        assert_eq!(answer.error_code, code, "{what}: {answer:?}");
        assert!(answer.error_message.is_some_and(|message| !message.is_empty()), "{what} needs words");
    }
    let listed = client.call(5, &ListGroupsRequest::default()).await;
    assert_eq!(listed.groups, [], "groups came to be that nobody may have");
    assert_eq!(client.call(1, &sound).await.member_epoch, 1);
    node.stop().await;
}
