//! `levada.v1.Groups`: consumer groups as operators see them.

mod commit;
mod delete;
mod describe;
mod lag;
mod list;
mod places;
mod reset;

use std::sync::Arc;
use std::time::Duration;

use levada_broker::api::PartitionError;
use levada_groups::api;
use levada_proto::v1;
use levada_proto::v1::groups_server::Groups;
use levada_types::ErrorCode;
use tonic::{Request, Response, Status};

use crate::gateway::Gateway;
use crate::refusal::to_status;

/// How long a coordinator may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The service. What each call does stands in its own room; here they are only listed.
pub(crate) struct GroupsService {
    gateway: Arc<Gateway>,
}

type Answer<T> = Result<Response<T>, Status>;

impl GroupsService {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    fn answer<T>(&self, result: Result<T, PartitionError>) -> Answer<T> {
        result.map(Response::new).map_err(|error| to_status(&self.gateway.broker.image(), error))
    }
}

/// Asks the coordinator of a group.
async fn ask(gateway: &Gateway, request: api::Request) -> Result<api::Response, PartitionError> {
    match gateway.broker.groups().handle(request, TIMEOUT).await {
        Ok(api::Response::Failed(code)) => Err(code.into()),
        Ok(response) => Ok(response),
        Err(error) => Err(PartitionError::new(error.code(), error.to_string())),
    }
}

/// An answer to another question, which only a defect can bring about.
fn unexpected() -> PartitionError {
    PartitionError::new(ErrorCode::UnknownServerError, "the coordinator answered something else than was asked")
}

/// The error that an answer bears, if it bears one.
fn check(code: ErrorCode, message: Option<String>) -> Result<(), PartitionError> {
    match (code, message) {
        (ErrorCode::None, _) => Ok(()),
        (code, Some(message)) => Err(PartitionError::new(code, message)),
        (code, None) => Err(code.into()),
    }
}

#[tonic::async_trait]
impl Groups for GroupsService {
    async fn list_groups(&self, request: Request<v1::ListGroupsRequest>) -> Answer<v1::ListGroupsResponse> {
        self.answer(list::list(&self.gateway, request.into_inner()).await)
    }

    async fn describe_group(&self, request: Request<v1::DescribeGroupRequest>) -> Answer<v1::DescribeGroupResponse> {
        self.answer(describe::describe(&self.gateway, request.into_inner()).await)
    }

    async fn commit_offsets(&self, request: Request<v1::CommitOffsetsRequest>) -> Answer<v1::CommitOffsetsResponse> {
        self.answer(commit::commit(&self.gateway, request.into_inner()).await)
    }

    async fn reset_offsets(&self, request: Request<v1::ResetOffsetsRequest>) -> Answer<v1::ResetOffsetsResponse> {
        self.answer(reset::reset(&self.gateway, request.into_inner()).await)
    }

    async fn delete_offsets(&self, request: Request<v1::DeleteOffsetsRequest>) -> Answer<v1::DeleteOffsetsResponse> {
        self.answer(delete::offsets(&self.gateway, request.into_inner()).await)
    }

    async fn delete_group(&self, request: Request<v1::DeleteGroupRequest>) -> Answer<v1::DeleteGroupResponse> {
        self.answer(delete::group(&self.gateway, request.into_inner()).await)
    }
}
