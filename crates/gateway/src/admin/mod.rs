//! `levada.v1.Admin`: looking at the cluster and changing it.

mod cluster;
mod configs;
mod decommissions;
mod elections;
mod features;
mod log_dirs;
mod neighbours;
mod offsets;
mod quorum;
mod reassignments;
mod rebalance;
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

    async fn list_config_resources(
        &self,
        request: Request<v1::ListConfigResourcesRequest>,
    ) -> Answer<v1::ListConfigResourcesResponse> {
        let configured_only = request.into_inner().configured_only;
        Ok(Response::new(configs::resources(&self.gateway.broker.image(), configured_only)))
    }

    async fn alter_partition_reassignments(
        &self,
        request: Request<v1::AlterPartitionReassignmentsRequest>,
    ) -> Answer<v1::AlterPartitionReassignmentsResponse> {
        self.answer(reassignments::alter(self, request.into_inner()).await)
    }

    async fn cancel_partition_reassignments(
        &self,
        request: Request<v1::CancelPartitionReassignmentsRequest>,
    ) -> Answer<v1::CancelPartitionReassignmentsResponse> {
        self.answer(reassignments::cancel(self, request.into_inner()).await)
    }

    async fn list_partition_reassignments(
        &self,
        request: Request<v1::ListPartitionReassignmentsRequest>,
    ) -> Answer<v1::ListPartitionReassignmentsResponse> {
        self.answer(reassignments::list(&self.gateway, request.into_inner()).await)
    }

    async fn elect_leaders(&self, request: Request<v1::ElectLeadersRequest>) -> Answer<v1::ElectLeadersResponse> {
        self.answer(elections::elect(self, request.into_inner()).await)
    }

    async fn describe_log_dirs(
        &self,
        request: Request<v1::DescribeLogDirsRequest>,
    ) -> Answer<v1::DescribeLogDirsResponse> {
        self.answer(log_dirs::describe(&self.gateway, &request.into_inner()).await)
    }

    async fn alter_replica_log_dirs(
        &self,
        request: Request<v1::AlterReplicaLogDirsRequest>,
    ) -> Answer<v1::AlterReplicaLogDirsResponse> {
        self.answer(log_dirs::alter(&self.gateway, request.into_inner()).await)
    }

    async fn start_rebalance(&self, request: Request<v1::StartRebalanceRequest>) -> Answer<v1::StartRebalanceResponse> {
        self.answer(rebalance::start(self, request.into_inner()).await)
    }

    async fn cancel_rebalance(
        &self,
        _request: Request<v1::CancelRebalanceRequest>,
    ) -> Answer<v1::CancelRebalanceResponse> {
        self.answer(rebalance::cancel(self).await)
    }

    async fn describe_rebalance(
        &self,
        _request: Request<v1::DescribeRebalanceRequest>,
    ) -> Answer<v1::DescribeRebalanceResponse> {
        Ok(Response::new(rebalance::describe(&self.gateway.broker.image())))
    }

    async fn start_decommission(
        &self,
        request: Request<v1::StartDecommissionRequest>,
    ) -> Answer<v1::StartDecommissionResponse> {
        let drained = decommissions::drain(self, request.into_inner().broker_id, true).await;
        self.answer(drained.map(|()| v1::StartDecommissionResponse {}))
    }

    async fn cancel_decommission(
        &self,
        request: Request<v1::CancelDecommissionRequest>,
    ) -> Answer<v1::CancelDecommissionResponse> {
        let drained = decommissions::drain(self, request.into_inner().broker_id, false).await;
        self.answer(drained.map(|()| v1::CancelDecommissionResponse {}))
    }

    async fn describe_decommission(
        &self,
        request: Request<v1::DescribeDecommissionRequest>,
    ) -> Answer<v1::DescribeDecommissionResponse> {
        self.answer(decommissions::describe(&self.gateway, &request.into_inner()).await)
    }

    async fn unregister_broker(
        &self,
        request: Request<v1::UnregisterBrokerRequest>,
    ) -> Answer<v1::UnregisterBrokerResponse> {
        let forgotten = decommissions::unregister(self, request.into_inner().broker_id).await;
        self.answer(forgotten.map(|()| v1::UnregisterBrokerResponse {}))
    }

    async fn describe_quorum(
        &self,
        _request: Request<v1::DescribeQuorumRequest>,
    ) -> Answer<v1::DescribeQuorumResponse> {
        self.answer(quorum::describe(&self.gateway.broker).await)
    }

    async fn add_voter(&self, request: Request<v1::AddVoterRequest>) -> Answer<v1::AddVoterResponse> {
        self.answer(quorum::add_voter(&self.gateway.broker, request.into_inner()).await)
    }

    async fn remove_voter(&self, request: Request<v1::RemoveVoterRequest>) -> Answer<v1::RemoveVoterResponse> {
        self.answer(quorum::remove_voter(&self.gateway.broker, request.into_inner()).await)
    }

    async fn describe_features(
        &self,
        _request: Request<v1::DescribeFeaturesRequest>,
    ) -> Answer<v1::DescribeFeaturesResponse> {
        Ok(Response::new(features::describe(&self.gateway.broker.image())))
    }

    async fn update_features(&self, request: Request<v1::UpdateFeaturesRequest>) -> Answer<v1::UpdateFeaturesResponse> {
        self.answer(features::update(self, request.into_inner()).await)
    }
}
