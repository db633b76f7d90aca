//! What is asked of groups and answered arrives as it was sent, and what cannot be read is refused.

use levada_groups::api::{
    CommitPartition, CommitTopic, CommittedPartition, CommittedTopic, ConsumerGroupDescribe,
    ConsumerGroupDescribeAnswer, ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, DeleteGroup, DeleteGroupAnswer,
    DeleteOffsets, DeleteOffsetsAnswer, DeleteTopic, DescribeGroup, DescribeGroupAnswer, DescribedConsumerMember,
    DescribedMember, FetchOffsets, FetchOffsetsAnswer, FetchTopic, FetchedPartition, FetchedTopic, GroupKind,
    Heartbeat, HeartbeatAnswer, JoinGroup, JoinGroupAnswer, JoinedMember, LeaveGroup, LeaveGroupAnswer, LeavingMember,
    LeftMember, ListGroups, ListedGroup, MemberKind, NamedTopicPartitions, OffsetCommit, OffsetCommitAnswer, Protocol,
    Request, Response, SyncGroup, SyncGroupAnswer, TopicPartitions,
};
use levada_types::{ErrorCode, LeaderEpoch, TopicId};
use prost::Message;
use uuid::Uuid;

use super::pb;
use super::{ConversionError, code, number};

fn s(text: &str) -> String {
    text.to_owned()
}

fn some(text: &str) -> Option<String> {
    Some(s(text))
}

fn topic() -> TopicId {
    TopicId(Uuid::from_u128(7))
}

fn partitions() -> Vec<TopicPartitions> {
    vec![TopicPartitions { topic_id: topic(), partitions: vec![0, 3] }]
}

fn named() -> Vec<NamedTopicPartitions> {
    vec![NamedTopicPartitions { topic_id: topic(), name: s("t"), partitions: vec![2] }]
}

fn heartbeat() -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        group_id: s("g"),
        member_id: s("m"),
        member_epoch: -2,
        instance_id: some("i"),
        rack_id: some("r"),
        rebalance_timeout_ms: -1,
        subscribed_topic_names: Some(vec![s("a"), s("b")]),
        subscribed_topic_regex: some(""),
        server_assignor: some("uniform"),
        topic_partitions: Some(partitions()),
        client_id: s("c"),
        client_host: s("/h"),
        stream_number: Some(9),
    }
}

fn commit() -> OffsetCommit {
    let partition =
        CommitPartition { partition: 1, offset: 42, leader_epoch: Some(LeaderEpoch(3)), metadata: some("x") };
    let bare = CommitPartition { partition: -1, offset: -1, leader_epoch: None, metadata: None };
    OffsetCommit {
        group_id: s("g"),
        generation_id_or_member_epoch: 4,
        member_id: s("m"),
        group_instance_id: some("i"),
        retention_time_ms: Some(-1),
        topics: vec![
            CommitTopic { name: s("t"), topic_id: Some(topic()), partitions: vec![partition, bare] },
            CommitTopic { name: s("u"), topic_id: None, partitions: vec![] },
        ],
        stream_number: None,
    }
}

fn requests() -> Vec<Request> {
    let join = JoinGroup {
        group_id: s("g"),
        session_timeout_ms: 1,
        rebalance_timeout_ms: 2,
        member_id: s(""),
        group_instance_id: some(""),
        protocol_type: s("consumer"),
        protocols: vec![Protocol { name: s("range"), metadata: b"\x00\x01".as_slice().into() }],
        client_id: s("c"),
        client_host: s("/h"),
        reason: some("why"),
        requires_known_member_id: true,
        supports_skipping_assignment: true,
    };
    let sync = SyncGroup {
        group_id: s("g"),
        generation_id: 5,
        member_id: s("m"),
        group_instance_id: None,
        protocol_type: some("consumer"),
        protocol_name: some("range"),
        assignments: vec![(s("m"), b"given".as_slice().into()), (s("n"), b"".as_slice().into())],
    };
    let leaving = LeavingMember { member_id: s("m"), group_instance_id: some("i"), reason: some("why") };
    let silent = ConsumerGroupHeartbeat {
        subscribed_topic_names: None,
        subscribed_topic_regex: None,
        topic_partitions: None,
        stream_number: None,
        ..heartbeat()
    };
    let nothing_left = ConsumerGroupHeartbeat { topic_partitions: Some(vec![]), ..heartbeat() };
    let fetch = FetchOffsets {
        group_id: s("g"),
        member_id: some("m"),
        member_epoch: 2,
        topics: Some(vec![FetchTopic { name: s("t"), topic_id: Some(topic()), partitions: vec![1] }]),
        require_stable: true,
    };
    let fetch_all = FetchOffsets { member_id: None, topics: None, require_stable: false, ..fetch.clone() };
    let delete = DeleteOffsets { group_id: s("g"), topics: vec![DeleteTopic { name: s("t"), partitions: vec![1, 2] }] };
    let group_instance_id = some("i");
    vec![
        Request::JoinGroup(join),
        Request::SyncGroup(sync),
        Request::Heartbeat(Heartbeat { group_id: s("g"), generation_id: 1, member_id: s("m"), group_instance_id }),
        Request::LeaveGroup(LeaveGroup { group_id: s("g"), members: vec![leaving] }),
        Request::ConsumerGroupHeartbeat(heartbeat()),
        Request::ConsumerGroupHeartbeat(silent),
        Request::ConsumerGroupHeartbeat(nothing_left),
        Request::OffsetCommit(commit()),
        Request::FetchOffsets(fetch),
        Request::FetchOffsets(fetch_all),
        Request::DeleteOffsets(delete),
        Request::DescribeGroup(DescribeGroup { group_id: s("g") }),
        Request::ConsumerGroupDescribe(ConsumerGroupDescribe { group_id: s("g") }),
        Request::DeleteGroup(DeleteGroup { group_id: s("g") }),
        Request::ListGroups(ListGroups { states: vec![s("Stable")], types: vec![s("classic")] }),
    ]
}

fn described(kind: MemberKind) -> DescribedConsumerMember {
    DescribedConsumerMember {
        member_id: s("m"),
        instance_id: some("i"),
        rack_id: None,
        member_epoch: 3,
        client_id: s("c"),
        client_host: s("/h"),
        subscribed_topic_names: vec![s("t")],
        subscribed_topic_regex: some("t.*"),
        assignment: named(),
        target_assignment: vec![],
        kind,
    }
}

fn responses() -> Vec<Response> {
    let joined = JoinedMember { member_id: s("m"), group_instance_id: some("i"), metadata: b"x".as_slice().into() };
    let join = JoinGroupAnswer {
        error: ErrorCode::MemberIdRequired,
        generation_id: -1,
        protocol_type: some("consumer"),
        protocol_name: None,
        leader: s("m"),
        skip_assignment: true,
        member_id: s("m"),
        members: vec![joined],
    };
    let sync = SyncGroupAnswer {
        error: ErrorCode::None,
        protocol_type: some("consumer"),
        protocol_name: some("range"),
        assignment: b"given".as_slice().into(),
    };
    let left = LeftMember { member_id: s("m"), group_instance_id: None, error: ErrorCode::UnknownMemberId };
    let beat = ConsumerGroupHeartbeatAnswer {
        error: ErrorCode::UnknownServerError,
        error_message: some("what"),
        member_id: some("m"),
        member_epoch: 8,
        heartbeat_interval_ms: 5000,
        assignment: Some(partitions()),
    };
    let committed = vec![CommittedTopic {
        name: s("t"),
        topic_id: Some(topic()),
        partitions: vec![CommittedPartition { partition: 1, error: ErrorCode::OffsetMetadataTooLarge }],
    }];
    let fetched = FetchedPartition {
        partition: 1,
        offset: Some(0),
        leader_epoch: Some(LeaderEpoch(2)),
        metadata: s("x"),
        committed_at: Some(77),
        error: ErrorCode::None,
    };
    let absent = FetchedPartition { offset: None, leader_epoch: None, committed_at: None, ..fetched.clone() };
    let fetched = vec![FetchedTopic { name: s("t"), topic_id: None, partitions: vec![fetched, absent] }];
    let member = DescribedMember {
        member_id: s("m"),
        group_instance_id: some("i"),
        client_id: s("c"),
        client_host: s("/h"),
        metadata: b"x".as_slice().into(),
        assignment: b"y".as_slice().into(),
    };
    let classic = DescribeGroupAnswer {
        error: ErrorCode::None,
        error_message: None,
        state: s("Stable"),
        protocol_type: s("consumer"),
        protocol: s("range"),
        members: vec![member],
    };
    let consumer = ConsumerGroupDescribeAnswer {
        error: ErrorCode::GroupIdNotFound,
        error_message: some("none"),
        state: s("Dead"),
        group_epoch: 4,
        assignment_epoch: 3,
        assignor: s("range"),
        members: vec![described(MemberKind::Classic), described(MemberKind::Consumer)],
    };
    let listed = |kind| ListedGroup { group_id: s("g"), protocol_type: s("consumer"), state: s("Empty"), kind };
    vec![
        Response::JoinGroup(join),
        Response::SyncGroup(sync),
        Response::Heartbeat(HeartbeatAnswer { error: ErrorCode::RebalanceInProgress }),
        Response::LeaveGroup(LeaveGroupAnswer { error: ErrorCode::None, members: vec![left] }),
        Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatAnswer { assignment: None, ..beat.clone() }),
        Response::ConsumerGroupHeartbeat(beat),
        Response::OffsetCommit(OffsetCommitAnswer { topics: committed.clone() }),
        Response::FetchOffsets(FetchOffsetsAnswer { error: ErrorCode::None, topics: fetched }),
        Response::DeleteOffsets(DeleteOffsetsAnswer { error: ErrorCode::NonEmptyGroup, topics: committed }),
        Response::DescribeGroup(classic),
        Response::ConsumerGroupDescribe(consumer),
        Response::DeleteGroup(DeleteGroupAnswer { error: ErrorCode::GroupIdNotFound }),
        Response::ListGroups(vec![listed(GroupKind::Classic), listed(GroupKind::Consumer)]),
        Response::Failed(ErrorCode::NotCoordinator),
    ]
}

#[test]
fn requests_arrive_as_they_were_sent() {
    for request in requests() {
        let kind = Some(request.clone().into());
        let sent = pb::GroupRequest { shard: 3, metadata_offset: 9, kind }.encode_to_vec();
        let arrived = pb::GroupRequest::decode(sent.as_slice()).expect("a message");
        assert_eq!((arrived.shard, arrived.metadata_offset), (3, 9));
        assert_eq!(Request::try_from(arrived), Ok(request));
    }
}

#[test]
fn answers_arrive_as_they_were_sent() {
    for response in responses() {
        let sent = pb::GroupResponse::from(response.clone()).encode_to_vec();
        let arrived = pb::GroupResponse::decode(sent.as_slice()).expect("a message");
        assert_eq!(Response::try_from(arrived), Ok(response));
    }
}

#[test]
fn every_code_arrives_and_an_unknown_one_is_an_error() {
    assert!(ErrorCode::ALL.iter().all(|&known| code(number(known)) == known));
    assert_eq!([code(9_999), code(i32::MAX)], [ErrorCode::UnknownServerError; 2]);
    let nothing = pb::GroupResponse { kind: Some(pb::group_response::Kind::Failed(0)) };
    assert_eq!(Response::try_from(nothing), Ok(Response::Failed(ErrorCode::UnknownServerError)));
}

#[test]
fn what_no_peer_of_this_version_sends_is_refused() {
    assert_eq!(Request::try_from(pb::GroupRequest::default()), Err(ConversionError::UnknownKind("a group request")));
    assert_eq!(Response::try_from(pb::GroupResponse::default()), Err(ConversionError::UnknownKind("a group response")));

    let mut short = pb::OffsetCommit::from(commit());
    short.topics[0].topic_id = Some(b"short".as_slice().into());
    let kind = Some(pb::group_request::Kind::OffsetCommit(short));
    let refused = Request::try_from(pb::GroupRequest { kind, ..Default::default() });
    assert_eq!(refused, Err(ConversionError::IdLength { what: "a topic id", len: 5 }));

    let group = pb::ListedGroup { kind: 0, ..Default::default() };
    let kind = pb::group_response::Kind::ListGroups(pb::ListGroupsAnswer { groups: vec![group] });
    let refused = Response::try_from(pb::GroupResponse { kind: Some(kind) });
    assert_eq!(refused, Err(ConversionError::UnknownKind("a group's kind")));
}
