//! The gRPC service that brokers call.

use std::time::Duration;

use levada_coordinator::Shards;
use levada_groups::Groups;
use levada_groups::api::{Request as Ask, Response as Answer};
use levada_peers::{MAX_GROUP_MESSAGE_BYTES, MetadataWatch};
use levada_proto::internal as pb;
use levada_proto::internal::group_coordinator_server::{GroupCoordinator, GroupCoordinatorServer};
use levada_service::grpc::MessageLimit;
use levada_types::{ErrorCode, MetadataOffset};
use tonic::{Request, Response, Status};

/// What the server takes of a broker's messages.
pub(crate) const GROUP_MESSAGE: MessageLimit = MessageLimit { bytes: MAX_GROUP_MESSAGE_BYTES, setting: None };

/// How long the metadata here may take to come as far as the sender's. It asks again anyway.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The service over these shards.
pub(crate) fn service(
    shards: Shards<Groups>,
    metadata: MetadataWatch,
) -> GroupCoordinatorServer<impl GroupCoordinator> {
    GroupCoordinatorServer::new(Service { shards, metadata })
        .max_decoding_message_size(MAX_GROUP_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_GROUP_MESSAGE_BYTES)
}

struct Service {
    shards: Shards<Groups>,
    metadata: MetadataWatch,
}

#[tonic::async_trait]
impl GroupCoordinator for Service {
    async fn handle(&self, request: Request<pb::GroupRequest>) -> Result<Response<pb::GroupResponse>, Status> {
        let request = request.into_inner();
        self.check_cluster(&request.cluster_id)?;
        let (shard, offset) = (request.shard, MetadataOffset(request.metadata_offset));
        let ask = Ask::try_from(request).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if self.shards.reached(offset, IMAGE_TIMEOUT).await.is_err() {
            return Ok(Response::new(Answer::Failed(ErrorCode::NotCoordinator).into()));
        }
        // Who asks for offsets that are stable must not be told those of a coordinator that was replaced.
        let confirm = matches!(&ask, Ask::FetchOffsets(fetch) if fetch.require_stable);
        let answer = self.shards.ask(shard, ask, confirm).await;
        Ok(Response::new(answer.unwrap_or_else(|unserved| Answer::Failed(unserved.code())).into()))
    }
}

impl Service {
    fn check_cluster(&self, theirs: &str) -> Result<(), Status> {
        match self.metadata.image().cluster_id() {
            Some(own) if own.to_string() != theirs => {
                let message = format!("the sender belongs to another cluster, {theirs}; this one is {own}");
                Err(Status::failed_precondition(message))
            }
            _ => Ok(()),
        }
    }
}
