//! The gRPC service that owners of shards call.

use std::sync::Arc;
use std::time::Duration;

use levada_proto::internal as pb;
use levada_proto::internal::shard_log_server::{ShardLog, ShardLogServer};
use levada_proto::status::status_of;
use levada_service::grpc::{MessageLimit, unreadable};
use levada_service::shutdown::CancellationToken;
use levada_shard::AppendSession;
use levada_types::{LeaderEpoch, MetadataOffset, TopicId, TopicIdPartition};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::appending::{MAX_UNANSWERED, serve_appends};
use super::reading::{send_as_committed, send_committed};
use crate::Broker;
use crate::api::PartitionError;
use crate::partition::Partition;
use crate::threads::{ConfirmSession, Gather, Job, OpenSession};

/// The largest message of an owner: a batch as large as it makes them (`coordinator.max.batch.bytes` and one write beyond),
/// with room to spare.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// What the server takes of an owner's messages.
pub(crate) const SHARD_LOG_MESSAGE: MessageLimit = MessageLimit { bytes: MAX_REQUEST_BYTES, setting: None };

/// How long an owner has to say what it opens.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the image may take to reach the offset that an owner knows its leader epoch from. It asks again anyway.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Sessions that one request may ask after.
const MAX_CONFIRMED: usize = 10_000;

/// Messages of a read that wait for the transport. Two, so that one is read while the other is sent.
const READ_OUTBOX: usize = 2;

/// The service of `broker`, whose streams end with `stop`.
pub(crate) fn shard_log_service(broker: Arc<Broker>, stop: CancellationToken) -> ShardLogServer<impl ShardLog> {
    ShardLogServer::new(Service { broker, stop })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX)
}

struct Service {
    broker: Arc<Broker>,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl ShardLog for Service {
    type AppendStream = ReceiverStream<Result<pb::ShardAppendResponse, Status>>;
    type ReadStream = ReceiverStream<Result<pb::ShardReadResponse, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<pb::ShardAppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let mut inbox = request.into_inner();
        let first = tokio::time::timeout(OPEN_TIMEOUT, inbox.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("a stream begins with what it opens"))?;
        let Some(pb::shard_append_request::Kind::Open(open)) = first.map_err(unreadable)?.and_then(|first| first.kind)
        else {
            return Err(Status::invalid_argument("a stream begins with what it opens"));
        };
        let reached = self.broker.metadata.wait_for(MetadataOffset(open.metadata_offset), IMAGE_TIMEOUT).await;
        reached.map_err(|stale| Status::unavailable(stale.to_string()))?;
        let (partition, leader_epoch) = self.find(open.shard.as_ref())?;
        let (answer, opened) = oneshot::channel();
        partition.post(Job::OpenSession(OpenSession { leader_epoch, answer }));
        let opened = opened.await.map_err(|_| Status::unavailable("the replica is being closed"))?;
        let opened = opened.map_err(refused)?;
        // Every message has a place, so that the task never waits for who does not listen.
        let (outbox, messages) = mpsc::channel(MAX_UNANSWERED + 2);
        drop(outbox.try_send(Ok(opened.into())));
        let (in_flight, stop) = (Arc::clone(&self.broker.in_flight), self.stop.clone());
        tokio::spawn(serve_appends(partition, leader_epoch, opened.session, in_flight, inbox, outbox, stop));
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn read(&self, request: Request<pb::ShardReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let (partition, leader_epoch) = self.find(request.shard.as_ref())?;
        let (outbox, messages) = mpsc::channel(READ_OUTBOX);
        let (pb::ShardReadRequest { from, to, follow, .. }, stop) = (request, self.stop.clone());
        tokio::spawn(async move {
            let sending = async {
                if follow {
                    send_as_committed(&partition, leader_epoch, from, &outbox).await
                } else {
                    send_committed(&partition, leader_epoch, from..to, &outbox).await
                }
            };
            let failed = tokio::select! {
                sent = sending => sent.err(),
                () = stop.cancelled() => Some(Status::unavailable("this broker is shutting down")),
            };
            if let Some(status) = failed {
                // Who has gone hears nothing.
                drop(outbox.send(Err(status)).await);
            }
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn confirm(
        &self,
        request: Request<pb::ConfirmShardsRequest>,
    ) -> Result<Response<pb::ConfirmShardsResponse>, Status> {
        let sessions = request.into_inner().sessions;
        if sessions.len() > MAX_CONFIRMED {
            let message = format!("at most {MAX_CONFIRMED} sessions can be asked after at once");
            return Err(Status::invalid_argument(message));
        }
        let found: Vec<_> = sessions.iter().map(|session| self.find(session.shard.as_ref()).ok()).collect();
        let answers = found.iter().map(|found| if found.is_some() { None } else { Some(false) }).collect();
        let (gather, slots) = Gather::new(answers, || false);
        let asked = found.into_iter().zip(&sessions).filter_map(|(found, session)| Some((found?, session.session)));
        for (((partition, leader_epoch), session), answer) in asked.zip(slots) {
            let session = AppendSession(session);
            partition.post(Job::ConfirmSession(ConfirmSession { leader_epoch, session, answer }));
        }
        (&gather).await;
        Ok(Response::new(pb::ConfirmShardsResponse { newest: gather.give_up(|| false) }))
    }
}

impl Service {
    /// The replica that a request is about, which leads under the epoch that the request says.
    fn find(&self, shard: Option<&pb::ShardRef>) -> Result<(Arc<Partition>, LeaderEpoch), Status> {
        let malformed =
            || Status::invalid_argument("the shard is not named by a topic id, a partition and a leader epoch");
        let shard = shard.ok_or_else(malformed)?;
        let topic_id = TopicId(Uuid::from_slice(&shard.topic_id).map_err(|_| malformed())?);
        let id = TopicIdPartition { topic_id, partition: shard.partition };
        let partition = self.broker.locate(&id).map_err(refused)?;
        if !partition.name().topic.is_internal() {
            return Err(Status::invalid_argument(format!("{} has no shards", partition.name().topic)));
        }
        let leader_epoch = LeaderEpoch(shard.leader_epoch);
        partition.role().check_leads(Some(leader_epoch)).map_err(refused)?;
        Ok((partition, leader_epoch))
    }
}

/// The status of a refusal.
pub(super) fn refused(error: PartitionError) -> Status {
    status_of(error.code, error.message.unwrap_or_default())
}
