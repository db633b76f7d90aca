//! `levada.v1.Admin`: looking at the cluster and changing it.

mod cluster;
mod configs;
mod offsets;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use levada_broker::api::PartitionError;
use levada_metadata::{Command, Response as Decision};
use levada_proto::v1;
use levada_proto::v1::admin_server::Admin;
use levada_types::ErrorCode;
use tonic::{Request, Response, Status};

use crate::gateway::Gateway;
use crate::refusal::to_status;

/// How long the controller may take to decide and this broker to follow; Kafka's default `request.timeout.ms`.
const DECISION_TIMEOUT: Duration = Duration::from_secs(30);

/// The service. What each call does stands in its own room; here they are only listed.
pub(crate) struct AdminService {
    gateway: Arc<Gateway>,
}

type Answer<T> = Result<Response<T>, Status>;

impl AdminService {
    pub(crate) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    fn answer<T>(&self, result: Result<T, PartitionError>) -> Answer<T> {
        result.map(Response::new).map_err(|error| to_status(&self.gateway.broker.image(), error))
    }

    async fn decide(&self, command: Command) -> Result<Decision, PartitionError> {
        self.gateway.broker.submit(command, DECISION_TIMEOUT).await
    }
}

/// A decision that is not an answer to its command, which only a defect can bring about.
fn unexpected() -> PartitionError {
    PartitionError::new(ErrorCode::UnknownServerError, "the controller answered something else than was asked")
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn create_topic(&self, request: Request<v1::CreateTopicRequest>) -> Answer<v1::CreateTopicResponse> {
        self.answer(topics::create(self, request.into_inner()).await)
    }

    async fn list_topics(&self, request: Request<v1::ListTopicsRequest>) -> Answer<v1::ListTopicsResponse> {
        let limit = self.gateway.options.list_max_page_size;
        Ok(Response::new(topics::list(&self.gateway.broker.image(), &request.into_inner(), limit)))
    }

    async fn describe_topic(&self, request: Request<v1::DescribeTopicRequest>) -> Answer<v1::DescribeTopicResponse> {
        self.answer(topics::describe(&self.gateway, request.into_inner()).await)
    }

    async fn delete_topic(&self, request: Request<v1::DeleteTopicRequest>) -> Answer<v1::DeleteTopicResponse> {
        self.answer(topics::delete(self, request.into_inner()).await)
    }

    async fn add_partitions(&self, request: Request<v1::AddPartitionsRequest>) -> Answer<v1::AddPartitionsResponse> {
        self.answer(topics::add_partitions(self, request.into_inner()).await)
    }

    async fn describe_configs(
        &self,
        request: Request<v1::DescribeConfigsRequest>,
    ) -> Answer<v1::DescribeConfigsResponse> {
        self.answer(configs::describe(&self.gateway.broker, request.into_inner()))
    }

    async fn alter_configs(&self, request: Request<v1::AlterConfigsRequest>) -> Answer<v1::AlterConfigsResponse> {
        self.answer(configs::alter(self, request.into_inner()).await)
    }

    async fn describe_cluster(
        &self,
        _request: Request<v1::DescribeClusterRequest>,
    ) -> Answer<v1::DescribeClusterResponse> {
        let broker = &self.gateway.broker;
        Ok(Response::new(cluster::describe(&broker.image(), broker.id())))
    }

    async fn list_offsets(&self, request: Request<v1::ListOffsetsRequest>) -> Answer<v1::ListOffsetsResponse> {
        self.answer(offsets::list(&self.gateway.broker, request.into_inner()).await)
    }

    async fn delete_records(&self, request: Request<v1::DeleteRecordsRequest>) -> Answer<v1::DeleteRecordsResponse> {
        self.answer(offsets::delete_records(&self.gateway.broker, request.into_inner()).await)
    }
}
