//! A request: what a frame says, read and checked.

use bytes::{Buf, Bytes};
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
use kafka_protocol::protocol::{Decodable, StrBytes};
use thiserror::Error;

use super::api::{self, APIS, Api};
use super::list_offsets_v0;
use super::shape::{self, ShapeError};

/// Why a frame is no request of this broker's. The connection it came from is closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum RequestError {
    /// The frame ends within the header.
    #[error("the request ends within its header")]
    TruncatedHeader,
    /// No API of this broker has that key.
    #[error("{}", not_offered(*.0))]
    UnknownApi(i16),
    /// The API is not offered in that version.
    #[error("{api} version {version} is not supported")]
    UnsupportedVersion {
        /// The API's name.
        api: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A length is wrong.
    #[error("the {api} request of version {version} is malformed: {source}")]
    Shape {
        /// The API's name.
        api: &'static str,
        /// Its version.
        version: i16,
        /// What is wrong.
        source: ShapeError,
    },
    /// Something else is wrong.
    #[error("the {api} request of version {version} is malformed: {reason}")]
    Malformed {
        /// The API's name.
        api: &'static str,
        /// Its version.
        version: i16,
        /// What the decoder said.
        reason: String,
    },
}

/// Names an API that Kafka has and this broker has not, since a person who reads of it knows it by name.
fn not_offered(key: i16) -> String {
    match ApiKey::try_from(key) {
        Ok(api) => format!("{api:?} (API key {key}) is not supported"),
        Err(_) => format!("there is no API with key {key}"),
    }
}

macro_rules! requests {
    ($($key:ident($message:ty),)+) => {
        /// The body of a request.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) enum Request {
            $(#[doc = stringify!($key)] $key($message),)+
            /// ApiVersions in a version that this broker does not have: answered, so that the client can choose another.
            UnsupportedApiVersions,
        }

        fn decode_body(key: ApiKey, version: i16, body: &mut Bytes) -> Result<Option<Request>, String> {
            match key {
                ApiKey::ListOffsets if version == 0 => {
                    list_offsets_v0::read(body).map(|message| Some(Request::ListOffsets(message)))
                }
                $(ApiKey::$key => <$message>::decode(body, version)
                    .map(|message| Some(Request::$key(message)))
                    .map_err(|error| error.to_string()),)+
                _ => Ok(None),
            }
        }
    };
}

requests! {
    Produce(ProduceRequest),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    OffsetCommit(OffsetCommitRequest),
    OffsetFetch(OffsetFetchRequest),
    FindCoordinator(FindCoordinatorRequest),
    JoinGroup(JoinGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    SyncGroup(SyncGroupRequest),
    DescribeGroups(DescribeGroupsRequest),
    ListGroups(ListGroupsRequest),
    ApiVersions(ApiVersionsRequest),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    DeleteRecords(DeleteRecordsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    DescribeConfigs(DescribeConfigsRequest),
    AlterConfigs(AlterConfigsRequest),
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest),
    DescribeLogDirs(DescribeLogDirsRequest),
    CreatePartitions(CreatePartitionsRequest),
    DeleteGroups(DeleteGroupsRequest),
    ElectLeaders(ElectLeadersRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    OffsetDelete(OffsetDeleteRequest),
    DescribeQuorum(DescribeQuorumRequest),
    UpdateFeatures(UpdateFeaturesRequest),
    DescribeCluster(DescribeClusterRequest),
    DescribeProducers(DescribeProducersRequest),
    UnregisterBroker(UnregisterBrokerRequest),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest),
    ListConfigResources(ListConfigResourcesRequest),
    DescribeTopicPartitions(DescribeTopicPartitionsRequest),
    AddRaftVoter(AddRaftVoterRequest),
    RemoveRaftVoter(RemoveRaftVoterRequest),
}

/// What the answer to a request must repeat or be encoded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The API's position in [`APIS`].
    pub(crate) api: usize,
    /// The version asked for; 0 for an ApiVersions request of a version that this broker does not have.
    pub(crate) version: i16,
    /// The client's number for the request.
    pub(crate) correlation_id: i32,
}

impl Head {
    /// The API.
    pub(crate) fn api(self) -> &'static Api {
        // `read` is the only maker of heads and takes the position from `api::find`.
        &APIS[self.api]
    }
}

/// A request with its header.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// What the answer needs.
    pub(crate) head: Head,
    /// The name that the client gives itself.
    pub(crate) client_id: Option<StrBytes>,
    /// The body.
    pub(crate) request: Request,
}

impl Call {
    /// Reads a frame (without its length field). Byte fields of the request are slices of it.
    ///
    /// # Errors
    /// [`RequestError`] says what is wrong; no answer can be given then.
    pub(crate) fn read(mut frame: Bytes) -> Result<Self, RequestError> {
        if frame.len() < 8 {
            return Err(RequestError::TruncatedHeader);
        }
        let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let api = api::find(key).ok_or(RequestError::UnknownApi(key))?;
        let Api { key, name, versions, .. } = APIS[api];
        if !(versions.min..=versions.max).contains(&version) {
            if key != ApiKey::ApiVersions {
                return Err(RequestError::UnsupportedVersion { api: name, version });
            }
            // Whatever follows, in whatever header version, is not needed for the answer.
            let head = Head { api, version: 0, correlation_id };
            return Ok(Self { head, client_id: None, request: Request::UnsupportedApiVersions });
        }
        let client_id = read_client_id(&mut frame)?;
        if key.request_header_version(version) >= 2 {
            let shape = |source| RequestError::Shape { api: name, version, source };
            let tags = frame.len() - shape::skip_tags(&frame).map_err(shape)?.len();
            frame.advance(tags);
        }
        shape::check(key, version, &frame).map_err(|source| RequestError::Shape { api: name, version, source })?;
        let request = decode_body(key, version, &mut frame)
            .map_err(|reason| RequestError::Malformed { api: name, version, reason })?
            .ok_or(RequestError::UnknownApi(key as i16))?;
        Ok(Self { head: Head { api, version, correlation_id }, client_id, request })
    }
}

/// The nullable client id; one that is no UTF-8 is as good as none.
fn read_client_id(frame: &mut Bytes) -> Result<Option<StrBytes>, RequestError> {
    let len = frame.try_get_i16().map_err(|_| RequestError::TruncatedHeader)?;
    let Ok(len) = usize::try_from(len) else { return Ok(None) };
    if frame.len() < len {
        return Err(RequestError::TruncatedHeader);
    }
    Ok(StrBytes::from_utf8(frame.split_to(len)).ok())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
