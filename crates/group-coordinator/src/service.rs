//! The gRPC service that brokers call.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream};
use levada_coordinator::Shards;
use levada_groups::Groups;
use levada_groups::api::{Request as Ask, Response as Answer};
use levada_peers::parcels::MAX_STREAM_MESSAGE_BYTES;
use levada_peers::{CLUSTER_HEADER, MetadataWatch};
use levada_proto::internal as pb;
use levada_proto::internal::group_coordinator_server::{GroupCoordinator, GroupCoordinatorServer};
use levada_service::grpc::MessageLimit;
use levada_service::shutdown::CancellationToken;
use levada_types::{ClusterId, ErrorCode, MetadataOffset};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::conversation::{Common, Conversation};

/// What the server takes of a broker's messages.
pub(crate) const GROUP_MESSAGE: MessageLimit = MessageLimit { bytes: MAX_STREAM_MESSAGE_BYTES, setting: None };

/// How long the metadata here may take to come as far as the sender's. It asks again anyway.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The service over these shards, whose streams end with `stop`.
pub(crate) fn service(
    shards: Shards<Groups>,
    metadata: MetadataWatch,
    stop: CancellationToken,
) -> GroupCoordinatorServer<impl GroupCoordinator> {
    let ask = Arc::new(move |request| ask(shards.clone(), request).boxed());
    serve(Common::new(ask, stop), move || metadata.image().cluster_id())
}

/// Asks one of these shards.
async fn ask(shards: Shards<Groups>, request: pb::GroupRequest) -> Answer {
    let (shard, offset) = (request.shard, MetadataOffset(request.metadata_offset));
    let Ok(ask) = Ask::try_from(request) else { return Answer::Failed(ErrorCode::InvalidRequest) };
    if shards.reached(offset, IMAGE_TIMEOUT).await.is_err() {
        return Answer::Failed(ErrorCode::NotCoordinator);
    }
    // Who asks for offsets that are stable must not be told those of a coordinator that was replaced.
    let confirm = matches!(&ask, Ask::FetchOffsets(fetch) if fetch.require_stable);
    let answer = shards.ask(shard, ask, confirm).await;
    answer.unwrap_or_else(|unserved| Answer::Failed(unserved.code()))
}

/// The service over streams that share `common`, of the cluster that `cluster` names.
pub(crate) fn serve(
    common: Common,
    cluster: impl Fn() -> Option<ClusterId> + Send + Sync + 'static,
) -> GroupCoordinatorServer<impl GroupCoordinator> {
    GroupCoordinatorServer::new(Service { common, cluster })
        .max_decoding_message_size(MAX_STREAM_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_STREAM_MESSAGE_BYTES)
}

struct Service<C> {
    common: Common,
    /// The cluster that this coordinator belongs to.
    cluster: C,
}

#[tonic::async_trait]
impl<C: Fn() -> Option<ClusterId> + Send + Sync + 'static> GroupCoordinator for Service<C> {
    type HandleStream = Pin<Box<dyn Stream<Item = Result<pb::GroupResponses, Status>> + Send>>;

    async fn handle(
        &self,
        request: Request<Streaming<pb::GroupRequests>>,
    ) -> Result<Response<Self::HandleStream>, Status> {
        self.check_cluster(request.metadata())?;
        let conversation = Conversation::new(self.common.clone(), request.into_inner());
        let messages = futures::stream::unfold(conversation, |mut conversation| async move {
            let message = conversation.next().await?;
            Some((message, conversation))
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

impl<C: Fn() -> Option<ClusterId>> Service<C> {
    fn check_cluster(&self, headers: &MetadataMap) -> Result<(), Status> {
        let (Some(theirs), Some(own)) = (headers.get(CLUSTER_HEADER), (self.cluster)()) else { return Ok(()) };
        if theirs.as_bytes() == own.to_string().as_bytes() {
            return Ok(());
        }
        let theirs = String::from_utf8_lossy(theirs.as_bytes());
        let message = format!("the sender belongs to another cluster, {theirs}; this one is {own}");
        Err(Status::failed_precondition(message))
    }
}
