//! The version table: which APIs this broker speaks, in which versions.
//!
//! A version is offered if both its request and its response can be read and written and its handler answers it: the
//! smaller of the two ranges, since a newer request version can be known without its response and the other way round.

use kafka_protocol::messages::{
    AddRaftVoterRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest, AlterReplicaLogDirsRequest, ApiKey,
    ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
    DescribeQuorumRequest, DescribeTopicPartitionsRequest, ElectLeadersRequest, FetchRequest, FindCoordinatorRequest,
    HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest,
    ProduceRequest, RemoveRaftVoterRequest, SyncGroupRequest, UnregisterBrokerRequest, UpdateFeaturesRequest,
};
use kafka_protocol::protocol::{Message, Request, VersionRange};

/// One API and its versions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api {
    /// Which.
    pub(crate) key: ApiKey,
    /// Its name, for logs and metrics.
    pub(crate) name: &'static str,
    /// The versions that are answered.
    pub(crate) versions: VersionRange,
    /// The lowest version that ApiVersions tells; below `versions.min` for Produce only.
    pub(crate) advertised_min: i16,
}

/// The versions that both sides of an API can be read and written in.
const fn both<R: Request>() -> VersionRange
where
    R::Response: Message,
{
    let (request, response) = (R::VERSIONS, <R::Response as Message>::VERSIONS);
    VersionRange {
        min: if request.min > response.min { request.min } else { response.min },
        max: if request.max < response.max { request.max } else { response.max },
    }
}

const fn api<R: Request>(key: ApiKey, name: &'static str) -> Api {
    let versions = both::<R>();
    Api { key, name, versions, advertised_min: versions.min }
}

/// Every API of this broker, by ascending key.
pub(crate) const APIS: &[Api] = &[
    // Versions 0 to 2 are told though they are refused: librdkafka takes a broker that does not tell them for one
    // that knows no compression (KAFKA-18659).
    Api { advertised_min: 0, ..api::<ProduceRequest>(ApiKey::Produce, "Produce") },
    api::<FetchRequest>(ApiKey::Fetch, "Fetch"),
    // Version 0 is read and written by `list_offsets_v0`.
    Api {
        versions: VersionRange { min: 0, max: both::<ListOffsetsRequest>().max },
        advertised_min: 0,
        ..api::<ListOffsetsRequest>(ApiKey::ListOffsets, "ListOffsets")
    },
    api::<MetadataRequest>(ApiKey::Metadata, "Metadata"),
    api::<OffsetCommitRequest>(ApiKey::OffsetCommit, "OffsetCommit"),
    api::<OffsetFetchRequest>(ApiKey::OffsetFetch, "OffsetFetch"),
    api::<FindCoordinatorRequest>(ApiKey::FindCoordinator, "FindCoordinator"),
    api::<JoinGroupRequest>(ApiKey::JoinGroup, "JoinGroup"),
    api::<HeartbeatRequest>(ApiKey::Heartbeat, "Heartbeat"),
    api::<LeaveGroupRequest>(ApiKey::LeaveGroup, "LeaveGroup"),
    api::<SyncGroupRequest>(ApiKey::SyncGroup, "SyncGroup"),
    api::<DescribeGroupsRequest>(ApiKey::DescribeGroups, "DescribeGroups"),
    api::<ListGroupsRequest>(ApiKey::ListGroups, "ListGroups"),
    api::<ApiVersionsRequest>(ApiKey::ApiVersions, "ApiVersions"),
    api::<CreateTopicsRequest>(ApiKey::CreateTopics, "CreateTopics"),
    api::<DeleteTopicsRequest>(ApiKey::DeleteTopics, "DeleteTopics"),
    api::<DeleteRecordsRequest>(ApiKey::DeleteRecords, "DeleteRecords"),
    api::<InitProducerIdRequest>(ApiKey::InitProducerId, "InitProducerId"),
    api::<OffsetForLeaderEpochRequest>(ApiKey::OffsetForLeaderEpoch, "OffsetForLeaderEpoch"),
    api::<DescribeConfigsRequest>(ApiKey::DescribeConfigs, "DescribeConfigs"),
    api::<AlterConfigsRequest>(ApiKey::AlterConfigs, "AlterConfigs"),
    api::<AlterReplicaLogDirsRequest>(ApiKey::AlterReplicaLogDirs, "AlterReplicaLogDirs"),
    api::<DescribeLogDirsRequest>(ApiKey::DescribeLogDirs, "DescribeLogDirs"),
    api::<CreatePartitionsRequest>(ApiKey::CreatePartitions, "CreatePartitions"),
    api::<DeleteGroupsRequest>(ApiKey::DeleteGroups, "DeleteGroups"),
    api::<ElectLeadersRequest>(ApiKey::ElectLeaders, "ElectLeaders"),
    api::<IncrementalAlterConfigsRequest>(ApiKey::IncrementalAlterConfigs, "IncrementalAlterConfigs"),
    api::<AlterPartitionReassignmentsRequest>(ApiKey::AlterPartitionReassignments, "AlterPartitionReassignments"),
    api::<ListPartitionReassignmentsRequest>(ApiKey::ListPartitionReassignments, "ListPartitionReassignments"),
    api::<OffsetDeleteRequest>(ApiKey::OffsetDelete, "OffsetDelete"),
    api::<DescribeQuorumRequest>(ApiKey::DescribeQuorum, "DescribeQuorum"),
    api::<UpdateFeaturesRequest>(ApiKey::UpdateFeatures, "UpdateFeatures"),
    api::<DescribeClusterRequest>(ApiKey::DescribeCluster, "DescribeCluster"),
    api::<DescribeProducersRequest>(ApiKey::DescribeProducers, "DescribeProducers"),
    api::<UnregisterBrokerRequest>(ApiKey::UnregisterBroker, "UnregisterBroker"),
    api::<ConsumerGroupHeartbeatRequest>(ApiKey::ConsumerGroupHeartbeat, "ConsumerGroupHeartbeat"),
    api::<ConsumerGroupDescribeRequest>(ApiKey::ConsumerGroupDescribe, "ConsumerGroupDescribe"),
    api::<ListConfigResourcesRequest>(ApiKey::ListConfigResources, "ListConfigResources"),
    api::<DescribeTopicPartitionsRequest>(ApiKey::DescribeTopicPartitions, "DescribeTopicPartitions"),
    api::<AddRaftVoterRequest>(ApiKey::AddRaftVoter, "AddRaftVoter"),
    api::<RemoveRaftVoterRequest>(ApiKey::RemoveRaftVoter, "RemoveRaftVoter"),
];

/// The position of an API in [`APIS`], if this broker has it.
pub(crate) fn find(key: i16) -> Option<usize> {
    APIS.iter().position(|api| api.key as i16 == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: ApiKey) -> (i16, i16, i16) {
        let api = APIS[find(key as i16).expect("listed")];
        (api.advertised_min, api.versions.min, api.versions.max)
    }

    #[test]
    fn versions_are_those_that_clients_know() {
        assert_eq!(range(ApiKey::Produce), (0, 3, 13));
        assert_eq!(range(ApiKey::Fetch), (4, 4, 18));
        assert_eq!(range(ApiKey::ListOffsets), (0, 0, 10));
        assert_eq!(range(ApiKey::Metadata), (0, 0, 13));
        // The response has a version 6 that no request can ask for.
        assert_eq!(range(ApiKey::InitProducerId), (0, 0, 5));
        assert_eq!(range(ApiKey::DescribeTopicPartitions), (0, 0, 0));
        // Those that name topics by identity alone are not read yet.
        assert_eq!(range(ApiKey::OffsetCommit), (2, 2, 9));
        assert_eq!(range(ApiKey::OffsetFetch), (1, 1, 9));
        assert_eq!(range(ApiKey::JoinGroup), (0, 0, 9));
        assert_eq!(range(ApiKey::ConsumerGroupHeartbeat), (0, 0, 1));
    }

    #[test]
    fn the_compatibility_page_tells_this_table() {
        let page = include_str!("../../../../docs/compatibility.md");
        let told: Vec<(&str, &str)> = page
            .lines()
            .skip_while(|line| !line.starts_with("| API |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .filter_map(|line| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                Some((cells.next()?, cells.next()?))
            })
            .collect();
        let versions: Vec<String> = APIS
            .iter()
            .map(|api| match (api.versions.min, api.versions.max) {
                (min, max) if min == max => max.to_string(),
                (min, max) => format!("{min} to {max}"),
            })
            .collect();
        let expected: Vec<(&str, &str)> =
            APIS.iter().map(|api| api.name).zip(versions.iter().map(String::as_str)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn the_table_ascends_and_offers_no_empty_range() {
        assert!(APIS.windows(2).all(|pair| (pair[0].key as i16) < pair[1].key as i16));
        assert!(APIS.iter().all(|api| !api.versions.is_empty()));
        assert_eq!(find(26), None, "EndTxn is not offered");
    }
}
