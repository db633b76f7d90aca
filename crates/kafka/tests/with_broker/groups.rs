//! The life of groups, in every version of every API that has a part in it.

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Request, StrBytes};
use levada_kafka::KafkaOptions;
use uuid::Uuid;

use crate::client::{Client, topic_name};
use crate::every_version::Offered;
use crate::node::Node;

/// What may be done with a group: read, delete, describe, and show and change its settings (bits 3, 6, 8, 10 and 11).
const EVERYTHING: i32 = 3400;

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

/// A member's wish to join, with one protocol. The version that it is sent in decides what is left of it.
pub(crate) fn join(version: i16, group_id: &str, member_id: &str) -> JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"what I support"));
    let request = JoinGroupRequest::default()
        .with_group_id(group(group_id))
        .with_session_timeout_ms(30_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("tests"))
        .with_protocols(vec![protocol]);
    let request = if version < 1 { request } else { request.with_rebalance_timeout_ms(60_000) };
    if version < 8 { request } else { request.with_reason(Some(text("a test"))) }
}

pub(crate) fn commit(
    version: i16,
    group_id: &str,
    (member_id, generation): (&str, i32),
    topic: &str,
    (partition, offset, metadata): (i32, i64, &str),
) -> OffsetCommitRequest {
    use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text(metadata)));
    let partition = if version < 6 { partition } else { partition.with_committed_leader_epoch(0) };
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group(group_id))
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member_id))
        .with_topics(vec![topic])
}

/// What a group has committed of some partitions of a topic: the error as a whole; and offset, leader epoch, metadata and
/// error of each.
pub(crate) async fn committed(
    client: &mut Client,
    version: i16,
    group_id: &str,
    topic: Option<(&str, &[i32])>,
) -> (i16, Vec<(i32, i64, i32, String, i16)>) {
    use offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
    let request = OffsetFetchRequest::default();
    if version < 8 {
        let topics = topic.map(|(name, partitions)| {
            vec![
                OffsetFetchRequestTopic::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(partitions.to_vec()),
            ]
        });
        let response = client.call(version, &request.with_group_id(group(group_id)).with_topics(topics)).await;
        let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions).map(|told| {
            let metadata = told.metadata.map(|metadata| metadata.to_string()).unwrap_or_default();
            (told.partition_index, told.committed_offset, told.committed_leader_epoch, metadata, told.error_code)
        });
        return (response.error_code, partitions.collect());
    }
    let topics = topic.map(|(name, partitions)| {
        vec![
            OffsetFetchRequestTopics::default().with_name(topic_name(name)).with_partition_indexes(partitions.to_vec()),
        ]
    });
    let asked = OffsetFetchRequestGroup::default().with_group_id(group(group_id)).with_topics(topics);
    let other = OffsetFetchRequestGroup::default().with_group_id(group("nobody")).with_topics(None);
    let mut response = client.call(version, &request.with_groups(vec![asked, other])).await;
    assert_eq!((response.groups.len(), &**response.groups[1].group_id), (2, "nobody"));
    assert_eq!((response.groups[1].error_code, response.groups[1].topics.len()), (0, 0));
    let told = response.groups.remove(0);
    assert_eq!(&**told.group_id, group_id);
    let partitions = told.topics.into_iter().flat_map(|topic| topic.partitions).map(|told| {
        let metadata = told.metadata.map(|metadata| metadata.to_string()).unwrap_or_default();
        (told.partition_index, told.committed_offset, told.committed_leader_epoch, metadata, told.error_code)
    });
    (told.error_code, partitions.collect())
}

impl Offered {
    /// The version of an API that comes nearest to this one.
    fn nearest<R: Request>(&mut self, version: i16) -> i16 {
        self.tried.push(R::KEY);
        let &(_, min, max) = self.versions.iter().find(|(key, _, _)| *key == R::KEY).unwrap();
        version.clamp(min, max)
    }
}

/// Every API of groups in every version, which are those from 0 to 9.
pub(crate) async fn groups(offered: &mut Offered, topic: Uuid) {
    for version in 0..=9 {
        classic(offered, version).await;
    }
    for version in 0..=1 {
        next_generation(offered, version, topic).await;
    }
}

/// A classic group of one member from its first join to its deletion.
async fn classic(offered: &mut Offered, level: i16) {
    let id = format!("classic.{level}");
    let version = offered.nearest::<JoinGroupRequest>(level);
    let mut joined = offered.client.call(version, &join(version, &id, "")).await;
    if version >= 4 {
        assert_eq!((joined.error_code, joined.generation_id), (79, -1), "its id first in {version}");
        let member = joined.member_id.to_string();
        assert!(!member.is_empty());
        joined = offered.client.call(version, &join(version, &id, &member)).await;
        assert_eq!(&*joined.member_id, member);
    }
    assert_eq!((joined.error_code, joined.generation_id), (0, 1), "{version}");
    assert_eq!((joined.protocol_name.as_deref(), &joined.leader), (Some("range"), &joined.member_id), "{version}");
    assert_eq!(joined.protocol_type.as_deref(), (version >= 7).then_some("tests"));
    let told = &joined.members[0];
    assert_eq!(
        (joined.members.len(), &told.member_id, &*told.metadata),
        (1, &joined.member_id, &b"what I support"[..])
    );
    let member = joined.member_id.to_string();

    let version = offered.nearest::<SyncGroupRequest>(level);
    let given = sync_group_request::SyncGroupRequestAssignment::default()
        .with_member_id(text(&member))
        .with_assignment(Bytes::from_static(b"what I get"));
    let sync = SyncGroupRequest::default()
        .with_group_id(group(&id))
        .with_generation_id(1)
        .with_member_id(text(&member))
        .with_assignments(vec![given]);
    if version >= 5 {
        let refused = offered.client.call(version, &sync).await;
        assert_eq!(refused.error_code, 23, "the protocol has to be told");
    }
    let sync = if version < 5 {
        sync
    } else {
        sync.with_protocol_type(Some(text("tests"))).with_protocol_name(Some(text("range")))
    };
    let synced = offered.client.call(version, &sync).await;
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"what I get"[..]), "{version}");
    assert_eq!(synced.protocol_name.as_deref(), (version >= 5).then_some("range"));

    let version = offered.nearest::<HeartbeatRequest>(level);
    let beat =
        HeartbeatRequest::default().with_group_id(group(&id)).with_generation_id(1).with_member_id(text(&member));
    assert_eq!(offered.client.call(version, &beat).await.error_code, 0, "{version}");

    offsets(offered, level, &id, &member).await;
    looks(offered, level, &id, &member).await;

    let version = offered.nearest::<LeaveGroupRequest>(level);
    let request = LeaveGroupRequest::default().with_group_id(group(&id));
    let leaving = leave_group_request::MemberIdentity::default().with_member_id(text(&member));
    let request = if version < 3 { request.with_member_id(text(&member)) } else { request.with_members(vec![leaving]) };
    let left = offered.client.call(version, &request).await;
    assert_eq!((left.error_code, left.members.len()), (0, usize::from(version >= 3)), "{version}");
    let again = offered.client.call(version, &request).await;
    let code = if version < 3 { again.error_code } else { again.members[0].error_code };
    assert_eq!(code, 25, "it is no member any more");

    let version = offered.nearest::<DeleteGroupsRequest>(level);
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group(&id), group("nobody")]);
    let deleted = offered.client.call(version, &request).await;
    let codes: Vec<i16> = deleted.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [0, 69], "{version}");
}

async fn offsets(offered: &mut Offered, level: i16, id: &str, member: &str) {
    let version = offered.nearest::<OffsetCommitRequest>(level);
    let request = commit(version, id, (member, 1), "t", (1, 42, "so far"));
    let response = offered.client.call(version, &request).await;
    let told = &response.topics[0];
    assert_eq!((&**told.name, told.partitions[0].partition_index, told.partitions[0].error_code), ("t", 1, 0));
    let with_epoch = version >= 6;

    let version = offered.nearest::<OffsetFetchRequest>(level);
    let epoch = if with_epoch && version >= 5 { 0 } else { -1 };
    let expected = (1, 42, epoch, "so far".to_owned(), 0);
    let (code, told) = committed(&mut offered.client, version, id, Some(("t", &[1, 2]))).await;
    assert_eq!((code, told), (0, vec![expected.clone(), (2, -1, -1, String::new(), 0)]), "{version}");
    if version >= 2 {
        let all = committed(&mut offered.client, version, id, None).await;
        assert_eq!(all, (0, vec![expected]), "all of it in {version}");
    }

    let version = offered.nearest::<OffsetDeleteRequest>(level);
    let partition = offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(1);
    let topic = offset_delete_request::OffsetDeleteRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(group(id)).with_topics(vec![topic]);
    let response = offered.client.call(version, &request).await;
    // Not one whose members subscribe to nothing that anybody could read.
    assert_eq!(response.error_code, 68, "a group of another kind has to be empty");
}

async fn looks(offered: &mut Offered, level: i16, id: &str, member: &str) {
    let version = offered.nearest::<DescribeGroupsRequest>(level);
    let request = DescribeGroupsRequest::default().with_groups(vec![group(id), group("nobody")]);
    let request = if version < 3 { request } else { request.with_include_authorized_operations(true) };
    let described = offered.client.call(version, &request).await;
    let told = &described.groups[0];
    assert_eq!((told.error_code, &*told.group_state, &*told.protocol_type), (0, "Stable", "tests"), "{version}");
    assert_eq!((&*told.protocol_data, told.members.len(), &*told.members[0].member_id), ("range", 1, member));
    assert_eq!((&*told.members[0].client_id, &*told.members[0].client_host), ("test", "/127.0.0.1"));
    let (metadata, assignment) = (&told.members[0].member_metadata, &told.members[0].member_assignment);
    assert_eq!((&**metadata, &**assignment), (&b"what I support"[..], &b"what I get"[..]));
    assert!(version < 3 || told.authorized_operations == EVERYTHING);
    let nobody = &described.groups[1];
    let code = if version < 6 { 0 } else { 69 };
    assert_eq!((nobody.error_code, &*nobody.group_state, nobody.members.len()), (code, "Dead", 0), "{version}");
    assert_eq!(nobody.error_message.is_some(), version >= 6);

    let version = offered.nearest::<ListGroupsRequest>(level);
    let request = ListGroupsRequest::default();
    let request = if version < 4 { request } else { request.with_states_filter(vec![text("stable")]) };
    let request = if version < 5 { request } else { request.with_types_filter(vec![text("Classic")]) };
    let listed = offered.client.call(version, &request).await;
    let told: Vec<&str> = listed.groups.iter().map(|group| &**group.group_id).collect();
    assert_eq!((listed.error_code, told), (0, vec![id]), "{version}");
    let one = &listed.groups[0];
    assert_eq!(&*one.protocol_type, "tests");
    assert_eq!(
        (&*one.group_state, &*one.group_type),
        match version {
            0..4 => ("", ""),
            4 => ("Stable", ""),
            _ => ("Stable", "classic"),
        }
    );
}

/// A group of the next-generation protocol of one member.
async fn next_generation(offered: &mut Offered, level: i16, topic: Uuid) {
    let id = format!("next.{level}");
    let version = offered.nearest::<ConsumerGroupHeartbeatRequest>(level);
    let own_id = Uuid::from_u128(77).to_string();
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(&id))
        .with_member_id(text(if version == 0 { "" } else { &own_id }))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic_name("t")]))
        .with_topic_partitions(Some(Vec::new()));
    if version >= 1 {
        let nameless = request.clone().with_member_id(StrBytes::default());
        assert_eq!(offered.client.call(version, &nameless).await.error_code, 42, "it draws its own id");
    }
    let joined = offered.client.call(version, &request).await;
    assert_eq!((joined.error_code, joined.member_epoch), (0, 1), "{version}: {joined:?}");
    assert!(joined.heartbeat_interval_ms > 0);
    let member = joined.member_id.unwrap().to_string();
    assert!(version == 0 || member == own_id);
    let assignment = joined.assignment.unwrap();
    assert_eq!(assignment.topic_partitions[0].topic_id, topic);
    let mut partitions = assignment.topic_partitions[0].partitions.clone();
    partitions.sort_unstable();
    assert_eq!((assignment.topic_partitions.len(), partitions), (1, vec![0, 1, 2]));
    let owned = consumer_group_heartbeat_request::TopicPartitions::default()
        .with_topic_id(topic)
        .with_partitions(vec![0, 1, 2]);
    let acknowledged = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(&id))
        .with_member_id(text(&member))
        .with_member_epoch(1)
        .with_topic_partitions(Some(vec![owned]));
    let beat = offered.client.call(version, &acknowledged).await;
    assert_eq!((beat.error_code, beat.member_epoch, beat.assignment), (0, 1, None), "{version}");

    let request = commit(9, &id, (&member, 1), "t", (2, 7, ""));
    assert_eq!(offered.client.call(9, &request).await.topics[0].partitions[0].error_code, 0);
    let stale = commit(9, &id, (&member, 9), "t", (2, 8, ""));
    assert_eq!(offered.client.call(9, &stale).await.topics[0].partitions[0].error_code, 113);

    let version = offered.nearest::<ConsumerGroupDescribeRequest>(level);
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(vec![group(&id), group("nobody")])
        .with_include_authorized_operations(true);
    let described = offered.client.call(version, &request).await;
    let told = &described.groups[0];
    assert_eq!((told.error_code, &*told.group_state, told.group_epoch), (0, "Stable", 1), "{version}");
    assert_eq!(told.authorized_operations, EVERYTHING);
    let told = &told.members[0];
    assert_eq!((&*told.member_id, told.member_epoch, &*told.client_id), (&*member, 1, "test"));
    assert_eq!((&*told.client_host, &**told.subscribed_topic_names[0]), ("/127.0.0.1", "t"));
    let assigned = &told.assignment.topic_partitions[0];
    assert_eq!((assigned.topic_id, &**assigned.topic_name, assigned.partitions.len()), (topic, "t", 3));
    assert_eq!(told.member_type, if version == 0 { -1 } else { 1 });
    assert_eq!(described.groups[1].error_code, 69);

    let leave = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(&id))
        .with_member_id(text(&member))
        .with_member_epoch(-1);
    let left = offered.client.call(level, &leave).await;
    assert_eq!((left.error_code, left.member_epoch), (0, -1));
    let (code, told) = committed(&mut offered.client, 9, &id, Some(("t", &[2]))).await;
    assert_eq!((code, told), (0, vec![(2, 7, 0, String::new(), 0)]), "offsets outlive members");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_waits_holds_its_own_connection_alone() {
    // Long enough that it is not over before the test is.
    let node = Node::with_delay(KafkaOptions::default(), 600_000).await;
    let (mut waiting, mut other) = (node.client().await, node.client().await);
    let number = waiting.send(0, &join(0, "g", "")).await;
    let behind = waiting.send(1, &MetadataRequest::default().with_topics(None)).await;
    // The member is known as soon as it waits.
    let describe = DescribeGroupsRequest::default().with_groups(vec![group("g")]);
    while other.call(0, &describe).await.groups[0].members.is_empty() {}
    assert_eq!(&*other.call(0, &describe).await.groups[0].group_state, "PreparingRebalance");
    assert_eq!(other.call(3, &ApiVersionsRequest::default()).await.error_code, 0);
    // Thrown out by somebody else, it is told so, and what was asked behind it follows.
    let member = other.call(0, &describe).await.groups[0].members[0].member_id.clone();
    let leave = LeaveGroupRequest::default().with_group_id(group("g")).with_member_id(member);
    assert_eq!(other.call(0, &leave).await.error_code, 0);
    assert_eq!(waiting.receive::<JoinGroupRequest>(0, number).await.error_code, 25);
    assert_eq!(waiting.receive::<MetadataRequest>(1, behind).await.brokers.len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_although_a_member_waits() {
    let node =
        Node::with_delay(KafkaOptions { connection_shutdown_wait_ms: 600_000, ..KafkaOptions::default() }, 600_000)
            .await;
    let (mut waiting, mut other) = (node.client().await, node.client().await);
    waiting.send(0, &join(0, "g", "")).await;
    let describe = DescribeGroupsRequest::default().with_groups(vec![group("g")]);
    while other.call(0, &describe).await.groups[0].members.is_empty() {}
    drop(other);
    node.stop().await;
}
