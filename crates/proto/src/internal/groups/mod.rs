//! Conversions of requests to group coordinators and of their answers.
//!
//! Names, lengths and numbers of groups are as the client sent them: they are the group's to judge. What is checked here is
//! what no broker of this version would send.

mod classic;
mod consumer;
mod describe;
mod offsets;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use levada_groups::api::{Request, Response};
use levada_types::{ErrorCode, TopicId};

use super as pb;
use super::ConversionError;
use super::field::{id_bytes, known, topic_id};

/// A code as it travels.
fn number(code: ErrorCode) -> i32 {
    code.code().into()
}

/// A code as it arrived. One that this build does not know is an error all the same.
fn code(number: i32) -> ErrorCode {
    i16::try_from(number).ok().and_then(ErrorCode::from_code).unwrap_or(ErrorCode::UnknownServerError)
}

fn id_of(topic: Option<TopicId>) -> Option<Bytes> {
    topic.map(|topic| id_bytes(topic.0))
}

fn topic_of(id: Option<Bytes>) -> Result<Option<TopicId>, ConversionError> {
    id.map(|id| topic_id(&id)).transpose()
}

/// One by one.
fn all<P, T>(items: Vec<P>) -> Vec<T>
where
    T: From<P>,
{
    items.into_iter().map(T::from).collect()
}

/// One by one, as long as they can be read.
fn try_all<P, T>(items: Vec<P>) -> Result<Vec<T>, ConversionError>
where
    T: TryFrom<P, Error = ConversionError>,
{
    items.into_iter().map(T::try_from).collect()
}

impl From<Request> for pb::group_request::Kind {
    fn from(request: Request) -> Self {
        match request {
            Request::JoinGroup(request) => Self::JoinGroup(request.into()),
            Request::SyncGroup(request) => Self::SyncGroup(request.into()),
            Request::Heartbeat(request) => Self::Heartbeat(request.into()),
            Request::LeaveGroup(request) => Self::LeaveGroup(request.into()),
            Request::ConsumerGroupHeartbeat(request) => Self::ConsumerGroupHeartbeat(request.into()),
            Request::OffsetCommit(request) => Self::OffsetCommit(request.into()),
            Request::FetchOffsets(request) => Self::FetchOffsets(request.into()),
            Request::DeleteOffsets(request) => Self::DeleteOffsets(request.into()),
            Request::DescribeGroup(request) => Self::DescribeGroup(request.into()),
            Request::ConsumerGroupDescribe(request) => Self::ConsumerGroupDescribe(request.into()),
            Request::DeleteGroup(request) => Self::DeleteGroup(request.into()),
            Request::ListGroups(request) => Self::ListGroups(request.into()),
        }
    }
}

impl TryFrom<pb::GroupRequest> for Request {
    type Error = ConversionError;

    fn try_from(request: pb::GroupRequest) -> Result<Self, ConversionError> {
        use pb::group_request::Kind;
        Ok(match known(request.kind, "a group request")? {
            Kind::JoinGroup(request) => Self::JoinGroup(request.into()),
            Kind::SyncGroup(request) => Self::SyncGroup(request.into()),
            Kind::Heartbeat(request) => Self::Heartbeat(request.into()),
            Kind::LeaveGroup(request) => Self::LeaveGroup(request.into()),
            Kind::ConsumerGroupHeartbeat(request) => Self::ConsumerGroupHeartbeat(request.try_into()?),
            Kind::OffsetCommit(request) => Self::OffsetCommit(request.try_into()?),
            Kind::FetchOffsets(request) => Self::FetchOffsets(request.try_into()?),
            Kind::DeleteOffsets(request) => Self::DeleteOffsets(request.into()),
            Kind::DescribeGroup(request) => Self::DescribeGroup(request.into()),
            Kind::ConsumerGroupDescribe(request) => Self::ConsumerGroupDescribe(request.into()),
            Kind::DeleteGroup(request) => Self::DeleteGroup(request.into()),
            Kind::ListGroups(request) => Self::ListGroups(request.into()),
        })
    }
}

impl From<Response> for pb::GroupResponse {
    fn from(response: Response) -> Self {
        use pb::group_response::Kind;
        let kind = match response {
            Response::JoinGroup(answer) => Kind::JoinGroup(answer.into()),
            Response::SyncGroup(answer) => Kind::SyncGroup(answer.into()),
            Response::Heartbeat(answer) => Kind::Heartbeat(answer.into()),
            Response::LeaveGroup(answer) => Kind::LeaveGroup(answer.into()),
            Response::ConsumerGroupHeartbeat(answer) => Kind::ConsumerGroupHeartbeat(answer.into()),
            Response::OffsetCommit(answer) => Kind::OffsetCommit(answer.into()),
            Response::FetchOffsets(answer) => Kind::FetchOffsets(answer.into()),
            Response::DeleteOffsets(answer) => Kind::DeleteOffsets(answer.into()),
            Response::DescribeGroup(answer) => Kind::DescribeGroup(answer.into()),
            Response::ConsumerGroupDescribe(answer) => Kind::ConsumerGroupDescribe(answer.into()),
            Response::DeleteGroup(answer) => Kind::DeleteGroup(answer.into()),
            Response::ListGroups(groups) => Kind::ListGroups(pb::ListGroupsAnswer { groups: all(groups) }),
            Response::Failed(code) => Kind::Failed(number(code)),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::GroupResponse> for Response {
    type Error = ConversionError;

    fn try_from(response: pb::GroupResponse) -> Result<Self, ConversionError> {
        use pb::group_response::Kind;
        Ok(match known(response.kind, "a group response")? {
            Kind::JoinGroup(answer) => Self::JoinGroup(answer.into()),
            Kind::SyncGroup(answer) => Self::SyncGroup(answer.into()),
            Kind::Heartbeat(answer) => Self::Heartbeat(answer.into()),
            Kind::LeaveGroup(answer) => Self::LeaveGroup(answer.into()),
            Kind::ConsumerGroupHeartbeat(answer) => Self::ConsumerGroupHeartbeat(answer.try_into()?),
            Kind::OffsetCommit(answer) => Self::OffsetCommit(answer.try_into()?),
            Kind::FetchOffsets(answer) => Self::FetchOffsets(answer.try_into()?),
            Kind::DeleteOffsets(answer) => Self::DeleteOffsets(answer.try_into()?),
            Kind::DescribeGroup(answer) => Self::DescribeGroup(answer.into()),
            Kind::ConsumerGroupDescribe(answer) => Self::ConsumerGroupDescribe(answer.try_into()?),
            Kind::DeleteGroup(answer) => Self::DeleteGroup(answer.into()),
            Kind::ListGroups(answer) => Self::ListGroups(try_all(answer.groups)?),
            // A failure that says that nothing failed is one of its own.
            Kind::Failed(number) => Self::Failed(match code(number) {
                ErrorCode::None => ErrorCode::UnknownServerError,
                code => code,
            }),
        })
    }
}
