//! The shapes are tried on what `kafka-protocol` itself writes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request, StrBytes};
use uuid::Uuid;

use super::*;

fn text() -> StrBytes {
    StrBytes::from_static_str("some text")
}

fn name() -> TopicName {
    TopicName(text())
}

/// The body that `message` makes in every version, with what the version has set by `at`.
fn every_version<R: Request>(key: ApiKey, at: impl Fn(i16) -> R) {
    for version in R::VERSIONS.min..=R::VERSIONS.max.min(<R::Response as Message>::VERSIONS.max) {
        let mut body = BytesMut::new();
        at(version).encode(&mut body, version).unwrap_or_else(|error| panic!("{key:?} {version}: {error}"));
        let len = body.len();
        assert_eq!(check(key, version, &body), Ok(len), "{key:?} {version}");
        for cut in 0..len {
            let error = check(key, version, &body[..cut]).expect_err("cut short");
            assert_eq!(error, ShapeError::Truncated, "{key:?} {version} cut at {cut}");
        }
    }
}

fn named(version: i16, ids_since: i16) -> (TopicName, Uuid) {
    if version < ids_since { (name(), Uuid::nil()) } else { (TopicName::default(), Uuid::from_u128(7)) }
}

#[test]
fn data_requests_are_walked_to_their_end() {
    every_version(ApiKey::Produce, |version| {
        use produce_request::{PartitionProduceData, TopicProduceData};
        let (name, id) = named(version, 13);
        let data = PartitionProduceData::default().with_index(3).with_records(Some(Bytes::from_static(b"records")));
        let topic = TopicProduceData::default().with_name(name).with_topic_id(id).with_partition_data(vec![data; 2]);
        ProduceRequest::default().with_transactional_id(Some(TransactionalId(text()))).with_topic_data(vec![topic; 2])
    });
    every_version(ApiKey::Fetch, |version| {
        use fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
        let (name, id) = named(version, 13);
        let mut partition = FetchPartition::default().with_partition(1);
        if version >= 17 {
            partition = partition.with_replica_directory_id(Uuid::from_u128(9));
        }
        let topic =
            FetchTopic::default().with_topic(name.clone()).with_topic_id(id).with_partitions(vec![partition; 3]);
        let mut request = FetchRequest::default().with_topics(vec![topic; 2]);
        if version >= 7 {
            let forgotten = ForgottenTopic::default().with_topic(name).with_topic_id(id).with_partitions(vec![1, 2]);
            request = request.with_forgotten_topics_data(vec![forgotten]);
        }
        if version >= 11 { request.with_rack_id(text()) } else { request }
    });
    every_version(ApiKey::ListOffsets, |_| {
        use list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
        let topic =
            ListOffsetsTopic::default().with_name(name()).with_partitions(vec![ListOffsetsPartition::default()]);
        ListOffsetsRequest::default().with_topics(vec![topic; 2])
    });
    every_version(ApiKey::OffsetForLeaderEpoch, |_| {
        use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
        let partitions = vec![OffsetForLeaderPartition::default(); 2];
        let topic = OffsetForLeaderTopic::default().with_topic(name()).with_partitions(partitions);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    });
    every_version(ApiKey::DeleteRecords, |_| {
        use delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
        let partitions = vec![DeleteRecordsPartition::default(); 2];
        let topic = DeleteRecordsTopic::default().with_name(name()).with_partitions(partitions);
        DeleteRecordsRequest::default().with_topics(vec![topic])
    });
    every_version(ApiKey::InitProducerId, |_| {
        InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(text())))
    });
}

#[test]
fn lookups_are_walked_to_their_end() {
    every_version(ApiKey::ApiVersions, |version| {
        let request = ApiVersionsRequest::default();
        if version < 3 { request } else { request.with_client_software_name(text()) }
    });
    every_version(ApiKey::Metadata, |_| {
        let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(name()));
        MetadataRequest::default().with_topics(Some(vec![topic; 3]))
    });
    every_version(ApiKey::FindCoordinator, |version| {
        let request = FindCoordinatorRequest::default();
        if version < 4 { request.with_key(text()) } else { request.with_coordinator_keys(vec![text(), text()]) }
    });
    every_version(ApiKey::DescribeCluster, |_| DescribeClusterRequest::default());
    every_version(ApiKey::DescribeConfigs, |_| {
        let resource = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_name(text())
            .with_configuration_keys(Some(vec![text(), text()]));
        DescribeConfigsRequest::default().with_resources(vec![resource; 2])
    });
    every_version(ApiKey::DescribeLogDirs, |_| {
        let topic = describe_log_dirs_request::DescribableLogDirTopic::default()
            .with_topic(name())
            .with_partitions(vec![1, 2, 3]);
        DescribeLogDirsRequest::default().with_topics(Some(vec![topic; 2]))
    });
    every_version(ApiKey::DescribeProducers, |_| {
        let topic =
            describe_producers_request::TopicRequest::default().with_name(name()).with_partition_indexes(vec![1, 2]);
        DescribeProducersRequest::default().with_topics(vec![topic; 2])
    });
    every_version(ApiKey::DescribeTopicPartitions, |_| {
        use describe_topic_partitions_request::{Cursor, TopicRequest};
        DescribeTopicPartitionsRequest::default()
            .with_topics(vec![TopicRequest::default().with_name(name())])
            .with_cursor(Some(Cursor::default().with_topic_name(name())))
    });
}

#[test]
fn requests_of_members_are_walked_to_their_end() {
    let group = || GroupId(text());
    every_version(ApiKey::JoinGroup, |version| {
        let protocol = join_group_request::JoinGroupRequestProtocol::default()
            .with_name(text())
            .with_metadata(Bytes::from_static(b"what it supports"));
        let request = JoinGroupRequest::default()
            .with_group_id(group())
            .with_member_id(text())
            .with_protocol_type(text())
            .with_protocols(vec![protocol; 2]);
        let request = if version < 5 { request } else { request.with_group_instance_id(Some(text())) };
        if version < 8 { request } else { request.with_reason(Some(text())) }
    });
    every_version(ApiKey::SyncGroup, |version| {
        let given = sync_group_request::SyncGroupRequestAssignment::default()
            .with_member_id(text())
            .with_assignment(Bytes::from_static(b"what it gets"));
        let request = SyncGroupRequest::default().with_group_id(group()).with_assignments(vec![given; 2]);
        if version < 5 { request } else { request.with_protocol_type(Some(text())).with_protocol_name(Some(text())) }
    });
    every_version(ApiKey::Heartbeat, |version| {
        let request = HeartbeatRequest::default().with_group_id(group()).with_member_id(text());
        if version < 3 { request } else { request.with_group_instance_id(Some(text())) }
    });
    every_version(ApiKey::LeaveGroup, |version| {
        let member = leave_group_request::MemberIdentity::default().with_member_id(text());
        let member = if version < 5 { member } else { member.with_reason(Some(text())) };
        let request = LeaveGroupRequest::default().with_group_id(group());
        if version < 3 { request.with_member_id(text()) } else { request.with_members(vec![member; 2]) }
    });
    every_version(ApiKey::ConsumerGroupHeartbeat, |version| {
        let owned = consumer_group_heartbeat_request::TopicPartitions::default().with_partitions(vec![1, 2]);
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group())
            .with_instance_id(Some(text()))
            .with_subscribed_topic_names(Some(vec![name(); 2]))
            .with_topic_partitions(Some(vec![owned; 2]));
        if version < 1 { request } else { request.with_subscribed_topic_regex(Some(text())) }
    });
    every_version(ApiKey::ConsumerGroupHeartbeat, |_| ConsumerGroupHeartbeatRequest::default());
}

#[test]
fn requests_about_groups_are_walked_to_their_end() {
    let group = || GroupId(text());
    every_version(ApiKey::OffsetCommit, |version| {
        use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
        let partition = OffsetCommitRequestPartition::default().with_committed_metadata(Some(text()));
        let partition = if version < 6 { partition } else { partition.with_committed_leader_epoch(3) };
        let topic = OffsetCommitRequestTopic::default().with_name(name()).with_partitions(vec![partition; 2]);
        let request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic; 2]);
        if version < 7 { request } else { request.with_group_instance_id(Some(text())) }
    });
    every_version(ApiKey::OffsetFetch, |version| {
        use offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
        if version < 8 {
            let topic = OffsetFetchRequestTopic::default().with_name(name()).with_partition_indexes(vec![1, 2]);
            return OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic; 2]));
        }
        let topic = OffsetFetchRequestTopics::default().with_name(name()).with_partition_indexes(vec![1, 2]);
        let some = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic; 2]));
        let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
        let some = if version < 9 { some } else { some.with_member_id(Some(text())).with_member_epoch(4) };
        OffsetFetchRequest::default().with_groups(vec![some, all])
    });
    every_version(ApiKey::OffsetDelete, |_| {
        use offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
        let partitions = vec![OffsetDeleteRequestPartition::default(); 2];
        let topic = OffsetDeleteRequestTopic::default().with_name(name()).with_partitions(partitions);
        OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![topic; 2])
    });
    every_version(ApiKey::DescribeGroups, |_| DescribeGroupsRequest::default().with_groups(vec![group(); 2]));
    every_version(ApiKey::ListGroups, |version| {
        let request = ListGroupsRequest::default();
        let request = if version < 4 { request } else { request.with_states_filter(vec![text(); 2]) };
        if version < 5 { request } else { request.with_types_filter(vec![text(); 2]) }
    });
    every_version(ApiKey::DeleteGroups, |_| DeleteGroupsRequest::default().with_groups_names(vec![group(); 2]));
    every_version(ApiKey::ConsumerGroupDescribe, |_| {
        ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(); 2])
    });
}

#[test]
fn changes_are_walked_to_their_end() {
    every_version(ApiKey::CreateTopics, |_| {
        use create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
        let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1), BrokerId(2)]);
        let config = CreatableTopicConfig::default().with_name(text()).with_value(Some(text()));
        let topic = CreatableTopic::default()
            .with_name(name())
            .with_assignments(vec![assignment; 2])
            .with_configs(vec![config; 2]);
        CreateTopicsRequest::default().with_topics(vec![topic; 2])
    });
    every_version(ApiKey::DeleteTopics, |version| {
        let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(name()));
        let request = DeleteTopicsRequest::default();
        if version < 6 { request.with_topic_names(vec![name(); 2]) } else { request.with_topics(vec![topic; 2]) }
    });
    every_version(ApiKey::CreatePartitions, |_| {
        use create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
        let assignment = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)]);
        let topic = CreatePartitionsTopic::default().with_name(name()).with_assignments(Some(vec![assignment; 2]));
        CreatePartitionsRequest::default().with_topics(vec![topic; 2])
    });
    every_version(ApiKey::AlterConfigs, |_| {
        use alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let config = AlterableConfig::default().with_name(text()).with_value(Some(text()));
        let resource = AlterConfigsResource::default().with_resource_name(text()).with_configs(vec![config; 2]);
        AlterConfigsRequest::default().with_resources(vec![resource; 2])
    });
    every_version(ApiKey::IncrementalAlterConfigs, |_| {
        use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let config = AlterableConfig::default().with_name(text()).with_value(Some(text()));
        let resource = AlterConfigsResource::default().with_resource_name(text()).with_configs(vec![config; 2]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource; 2])
    });
}

#[test]
fn requests_about_replicas_are_walked_to_their_end() {
    every_version(ApiKey::AlterReplicaLogDirs, |_| {
        use alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
        let topic = AlterReplicaLogDirTopic::default().with_name(name()).with_partitions(vec![1, 2]);
        let directory = AlterReplicaLogDir::default().with_path(text()).with_topics(vec![topic; 2]);
        AlterReplicaLogDirsRequest::default().with_dirs(vec![directory; 2])
    });
    every_version(ApiKey::ElectLeaders, |_| {
        use elect_leaders_request::TopicPartitions;
        let topic = TopicPartitions::default().with_topic(name()).with_partitions(vec![1, 2]);
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic; 2]))
    });
    every_version(ApiKey::ElectLeaders, |_| ElectLeadersRequest::default().with_topic_partitions(None));
    every_version(ApiKey::AlterPartitionReassignments, |_| {
        use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
        let moved = ReassignablePartition::default().with_replicas(Some(vec![BrokerId(1), BrokerId(2)]));
        let cancelled = ReassignablePartition::default().with_replicas(None);
        let topic = ReassignableTopic::default().with_name(name()).with_partitions(vec![moved, cancelled]);
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic; 2])
    });
    every_version(ApiKey::ListPartitionReassignments, |_| {
        use list_partition_reassignments_request::ListPartitionReassignmentsTopics;
        let topic = ListPartitionReassignmentsTopics::default().with_name(name()).with_partition_indexes(vec![1, 2]);
        ListPartitionReassignmentsRequest::default().with_topics(Some(vec![topic; 2]))
    });
    every_version(ApiKey::ListPartitionReassignments, |_| {
        ListPartitionReassignmentsRequest::default().with_topics(None)
    });
}

#[test]
fn requests_about_nodes_are_walked_to_their_end() {
    every_version(ApiKey::DescribeQuorum, |_| {
        use describe_quorum_request::{PartitionData, TopicData};
        let topic = TopicData::default().with_topic_name(name()).with_partitions(vec![PartitionData::default(); 2]);
        DescribeQuorumRequest::default().with_topics(vec![topic; 2])
    });
    every_version(ApiKey::UpdateFeatures, |version| {
        let key = update_features_request::FeatureUpdateKey::default().with_feature(text());
        let key = if version < 1 { key.with_allow_downgrade(true) } else { key.with_upgrade_type(3) };
        UpdateFeaturesRequest::default().with_feature_updates(vec![key; 2])
    });
    every_version(ApiKey::UnregisterBroker, |_| UnregisterBrokerRequest::default().with_broker_id(BrokerId(7)));
    every_version(ApiKey::ListConfigResources, |version| {
        let request = ListConfigResourcesRequest::default();
        if version < 1 { request } else { request.with_resource_types(vec![2, 4, 8]) }
    });
    every_version(ApiKey::AddRaftVoter, |_| {
        let listener = add_raft_voter_request::Listener::default().with_name(text()).with_host(text());
        AddRaftVoterRequest::default().with_cluster_id(Some(text())).with_listeners(vec![listener; 2])
    });
    every_version(ApiKey::RemoveRaftVoter, |_| RemoveRaftVoterRequest::default().with_cluster_id(Some(text())));
}

#[test]
fn announced_lengths_beyond_the_frame_are_refused() {
    // Metadata version 1: an array of 2^31 - 1 topics.
    assert_eq!(check(ApiKey::Metadata, 1, &i32::MAX.to_be_bytes()), Err(ShapeError::Truncated));
    // Version 9: a compact array of 2^32 - 2.
    assert_eq!(check(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(ShapeError::Truncated));
    // A varint that does not end.
    assert_eq!(check(ApiKey::Metadata, 9, &[0xff; 9]), Err(ShapeError::InvalidLength));
    // A negative length that is not null.
    assert_eq!(check(ApiKey::Metadata, 1, &(-2i32).to_be_bytes()), Err(ShapeError::InvalidLength));
}

#[test]
fn too_many_elements_are_refused() {
    let count = i32::try_from(MAX_ELEMENTS + 1).expect("small");
    let mut body = count.to_be_bytes().to_vec();
    body.resize(4 + 2 * (MAX_ELEMENTS + 1), 0);
    assert_eq!(check(ApiKey::Metadata, 1, &body), Err(ShapeError::TooManyElements));
}
