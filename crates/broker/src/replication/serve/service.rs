//! The gRPC service that followers call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use levada_proto::internal as pb;
use levada_proto::internal::replication_server::{Replication as ReplicationService, ReplicationServer};
use levada_replication::{AttachAnswer, AttachOutcome, AttachRefusal, Event, Lane};
use levada_service::grpc::{GrpcOptions, GrpcServer, GrpcServerError, MessageLimit, Profile, unreadable};
use levada_service::net::Listener;
use levada_service::shutdown::CancellationToken;
use levada_types::{BrokerEpoch, BrokerId, MetadataOffset};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::FollowerLink;
use super::sender::{Outbox, send_frames};
use crate::Broker;
use crate::readers::{lags_service, reads_service};
use crate::reassignment::replica_logs_service;
use crate::replication::wire::{Attachment, Malformed, ack_from, attach_from};
use crate::shard_log::{SHARD_LOG_MESSAGE, shard_log_service};
use crate::threads::{Attached, Job};

/// Messages that wait for the transport. Two, so that one is read while the other is sent.
const OUTBOX: usize = 2;

/// The largest message of a follower: it says little of each replica, and splits what it says of many.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// How long a follower has to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the image may take to reach what a follower has acted upon. Its replicas ask again after a while anyway.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves replication at `listener` until `stop`.
pub(crate) fn replication_server(
    broker: Arc<Broker>,
    listener: Listener,
    stop: CancellationToken,
) -> impl Future<Output = Result<(), GrpcServerError>> {
    let replica_logs = replica_logs_service(Arc::clone(&broker));
    let shard_log = shard_log_service(Arc::clone(&broker), stop.clone());
    let (lags, reads) = (lags_service(Arc::clone(&broker)), reads_service(Arc::clone(&broker), stop.clone()));
    let service = ReplicationServer::new(Service { broker, stop: stop.clone() })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(usize::MAX);
    let limit = MessageLimit { bytes: MAX_REQUEST_BYTES, setting: None };
    let server = GrpcServer::internal(&GrpcOptions::default(), Profile::Bulk)
        .add_service(replica_logs)
        .add_service(lags)
        .add_service(reads)
        .add_service_within(shard_log, SHARD_LOG_MESSAGE)
        .add_service_within(service, limit);
    server.serve(listener, stop)
}

struct Service {
    broker: Arc<Broker>,
    stop: CancellationToken,
}

/// Who speaks on a stream.
struct Hello {
    follower: BrokerId,
    link: Uuid,
    lane: Lane,
}

#[tonic::async_trait]
impl ReplicationService for Service {
    type ReplicateStream = ReceiverStream<Result<pb::ReplicateResponse, Status>>;

    async fn replicate(
        &self,
        request: Request<Streaming<pb::ReplicateRequest>>,
    ) -> Result<Response<Self::ReplicateStream>, Status> {
        let mut inbox = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIMEOUT, inbox.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("a stream begins with a hello"))?;
        let hello = first.map_err(unreadable)?.and_then(|message| message.hello);
        let hello = hello.ok_or_else(|| Status::invalid_argument("a stream begins with a hello"))?;
        let hello = self.check(&hello)?;
        let followers = &self.broker.replication.followers;
        let link = match hello.lane {
            Lane::CatchUp => {
                let link = FollowerLink::new(hello.follower, hello.link);
                followers.open(&link);
                link
            }
            Lane::Tail => followers
                .link(hello.follower)
                .filter(|link| link.nonce() == hello.link)
                .ok_or_else(|| Status::failed_precondition("the stream for catching up comes first"))?,
        };
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let (broker, stop) = (Arc::clone(&self.broker), self.stop.clone());
        tokio::spawn(serve(broker, link, hello.lane, inbox, outbox, stop));
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

impl Service {
    fn check(&self, hello: &pb::ReplicationHello) -> Result<Hello, Status> {
        let link = Uuid::from_slice(&hello.link).map_err(|_| malformed(Malformed("link")))?;
        let lane = match hello.lane() {
            pb::ReplicationLane::Tail => Lane::Tail,
            pb::ReplicationLane::CatchUp => Lane::CatchUp,
            pb::ReplicationLane::Unspecified => return Err(malformed(Malformed("lane"))),
        };
        let (follower, image) = (BrokerId(hello.follower), self.broker.image());
        if image.cluster_id().map(|id| id.to_string()).as_deref() != Some(hello.cluster_id.as_str()) {
            let message = format!("broker {follower} belongs to another cluster, {}", hello.cluster_id);
            return Err(Status::failed_precondition(message));
        }
        if image.broker(follower).is_some_and(|known| known.epoch > BrokerEpoch(hello.broker_epoch)) {
            let message = format!("broker {follower} has registered again since epoch {}", hello.broker_epoch);
            return Err(Status::failed_precondition(message));
        }
        Ok(Hello { follower, link, lane })
    }
}

fn malformed(error: Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}

/// Serves one stream to its end, which is the end of both.
async fn serve(
    broker: Arc<Broker>,
    link: Arc<FollowerLink>,
    lane: Lane,
    inbox: Streaming<pb::ReplicateRequest>,
    outbox: Outbox,
    stop: CancellationToken,
) {
    let ended = tokio::select! {
        received = receive(&broker, &link, lane, inbox) => received,
        () = send_frames(&broker, &link, lane, &outbox) => Ok(()),
        () = link.closed() => Err(Status::aborted("the other stream of the pair has ended, or there is a newer pair")),
        () = stop.cancelled() => Err(Status::unavailable("this broker is shutting down")),
    };
    if let Err(status) = ended {
        tracing::debug!(follower = %link.follower(), reason = status.message(), "a stream of replication ends");
        // No room means that the follower does not read, or has gone.
        let _ = outbox.try_send(Err(status));
    }
    broker.replication.followers.close(&link);
    for sending in link.end_all() {
        sending.end();
        let (follower, session) = (sending.follower(), sending.session());
        sending.partition().post(Job::Replica(Event::StreamEnded { follower, session }));
    }
}

async fn receive(
    broker: &Arc<Broker>,
    link: &Arc<FollowerLink>,
    lane: Lane,
    mut inbox: Streaming<pb::ReplicateRequest>,
) -> Result<(), Status> {
    while let Some(message) = inbox.message().await.map_err(unreadable)? {
        if lane == Lane::CatchUp {
            return Err(Status::invalid_argument("requests go on the tail stream"));
        }
        for ack in &message.acks {
            take_ack(broker, link, ack)?;
        }
        if message.attaches.is_empty() {
            continue;
        }
        let offset = MetadataOffset(message.metadata_offset);
        if broker.image().offset() >= offset {
            take_attaches(broker, link, &message.attaches)?;
        } else {
            // Acknowledgements must not wait for that.
            let (broker, link) = (Arc::clone(broker), Arc::clone(link));
            tokio::spawn(async move {
                let reached = broker.metadata.wait_for(offset, IMAGE_TIMEOUT).await;
                if reached.is_err() || take_attaches(&broker, &link, &message.attaches).is_err() {
                    link.close();
                }
            });
        }
    }
    Ok(())
}

fn take_ack(broker: &Broker, link: &FollowerLink, message: &pb::ReplicaAck) -> Result<(), Status> {
    let (partition, ack) = ack_from(link.follower(), message).map_err(malformed)?;
    if message.credit > 0 || message.withheld {
        let attachment = Attachment { partition, leader_epoch: ack.leader_epoch, session: ack.session };
        if let Some(sending) = link.sending(&attachment) {
            sending.grant(message.credit, message.withheld);
        }
    }
    if let Some(partition) = broker.partitions.get(&partition) {
        partition.post(Job::Replica(Event::Ack(ack)));
    }
    Ok(())
}

fn take_attaches(broker: &Broker, link: &Arc<FollowerLink>, attaches: &[pb::ReplicaAttach]) -> Result<(), Status> {
    for message in attaches {
        let (id, attach) = attach_from(link.follower(), message).map_err(malformed)?;
        match broker.partitions.get(&id) {
            Some(partition) => {
                let attached = Attached { attach, credit: message.credit, link: Arc::clone(link) };
                partition.post(Job::Attach(Box::new(attached)));
            }
            None => {
                let outcome = AttachOutcome::Refused(AttachRefusal::NotLeader);
                let (leader_epoch, session) = (attach.leader_epoch, attach.session);
                link.answer(id, &AttachAnswer { leader_epoch, session, outcome });
            }
        }
    }
    Ok(())
}
