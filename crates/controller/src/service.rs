//! The Controller gRPC service.

use std::time::Instant;

use levada_metadata::{Command, Election};
use levada_peers::CLUSTER_HEADER;
use levada_proto::internal as pb;
use levada_proto::internal::controller_server::Controller as ControllerService;
use levada_service::telemetry::LineLimit;
use levada_types::MetadataOffset;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::active::Active;
use crate::feed::Feed;
use crate::forward::Forwarder;
use crate::log_elections::LogElections;
use crate::raft::RaftNode;
use crate::session::SessionKeeper;
use crate::{quorum, refusal, session, watch};

/// Messages of a metadata stream that wait for a slow watcher; beyond it the stream waits.
const WATCH_OUTBOX: usize = 16;

/// Messages of a session stream that wait for a slow broker.
const SESSION_OUTBOX: usize = 16;

/// Lines about calls from nodes of other clusters, which come as often as those nodes like.
static FOREIGN_CALLS: LineLimit = LineLimit::of_clients_faults();

/// What the handlers work with. Clones share it.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) active: Active,
    pub(crate) feed: Feed,
    pub(crate) raft: RaftNode,
    pub(crate) sessions: SessionKeeper,
    pub(crate) elections: LogElections,
    pub(crate) forwarder: Forwarder,
    pub(crate) heartbeat_interval_ms: u32,
    pub(crate) session_timeout_ms: u32,
    pub(crate) shutdown: CancellationToken,
}

/// Answers the other roles.
#[derive(Clone)]
pub(crate) struct Service {
    context: Context,
}

impl Service {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// Refuses who belongs to another cluster: one of the two has a wrong address, or this controller another's directory.
    fn check_cluster<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let Some(theirs) = request.metadata().get(CLUSTER_HEADER) else { return Ok(()) };
        let theirs = theirs.to_str().map_err(|_| Status::invalid_argument("a cluster id is text"))?;
        match self.context.feed.image().cluster_id() {
            Some(own) if own.to_string() != theirs => {
                if let Some(left_out) = FOREIGN_CALLS.admit(Instant::now()) {
                    tracing::error!(
                        %own,
                        theirs,
                        left_out,
                        "a node of another cluster asks this controller and is refused; see that each has its own directory"
                    );
                }
                Err(refusal::foreign(own, theirs))
            }
            _ => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl ControllerService for Service {
    type WatchMetadataStream = ReceiverStream<Result<pb::WatchMetadataResponse, Status>>;
    type SessionStream = ReceiverStream<Result<pb::SessionResponse, Status>>;

    async fn submit(&self, request: Request<pb::SubmitRequest>) -> Result<Response<pb::SubmitResponse>, Status> {
        self.check_cluster(&request)?;
        let (headers, _, message) = request.into_parts();
        let command = message.command.ok_or_else(|| Status::invalid_argument("no command"))?;
        if !message.forwarded && self.context.active.state().borrow().other_leads() {
            let timeout = headers.get("grpc-timeout");
            let request = (command, message.request);
            return self.context.forwarder.submit(request, timeout, &self.context.active).await.map(Response::new);
        }
        let request = match message.request.as_ref() {
            [] => Uuid::new_v4(),
            bytes => Uuid::from_slice(bytes).map_err(|_| Status::invalid_argument("a request id has 16 bytes"))?,
        };
        let command = Command::try_from(command).map_err(|error| refusal::malformed(&error))?;
        if creates(&command) && !self.context.raft.has_room() {
            return Err(refusal::no_room());
        }
        let submitted = match command {
            Command::ElectLeaders { election: Election::Unclean, partitions } => {
                self.context.elections.elect_unclean(request, partitions).await
            }
            command => self.context.active.submit_as(request, command).await,
        };
        let (response, offset) = submitted.map_err(|error| refusal::of_submit(error, &self.context.active))?;
        Ok(Response::new(pb::SubmitResponse { response: Some((&response).into()), offset: offset.0 }))
    }

    async fn watch_metadata(
        &self,
        request: Request<pb::WatchMetadataRequest>,
    ) -> Result<Response<Self::WatchMetadataStream>, Status> {
        self.check_cluster(&request)?;
        let from = MetadataOffset(request.into_inner().from_offset);
        let (outbox, stream) = mpsc::channel(WATCH_OUTBOX);
        tokio::spawn(watch::serve(self.context.clone(), from, outbox));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        self.check_cluster(&request)?;
        let (outbox, stream) = mpsc::channel(SESSION_OUTBOX);
        let shutdown = self.context.shutdown.clone();
        tokio::spawn(session::serve(self.context.clone(), request.into_inner(), outbox, shutdown));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn describe_quorum(
        &self,
        request: Request<pb::DescribeQuorumRequest>,
    ) -> Result<Response<pb::DescribeQuorumResponse>, Status> {
        self.check_cluster(&request)?;
        quorum::describe(&self.context).map(Response::new)
    }

    async fn add_voter(&self, request: Request<pb::AddVoterRequest>) -> Result<Response<pb::AddVoterResponse>, Status> {
        self.check_cluster(&request)?;
        quorum::add_voter(&self.context, request.into_inner()).await?;
        Ok(Response::new(pb::AddVoterResponse {}))
    }

    async fn remove_voter(
        &self,
        request: Request<pb::RemoveVoterRequest>,
    ) -> Result<Response<pb::RemoveVoterResponse>, Status> {
        self.check_cluster(&request)?;
        quorum::remove_voter(&self.context, request.into_inner()).await?;
        Ok(Response::new(pb::RemoveVoterResponse {}))
    }
}

/// Whether a command needs room for something new. What brokers say of themselves, deletions and settings (a shorter
/// retention frees space) go on while the disk is full.
fn creates(command: &Command) -> bool {
    matches!(
        command,
        Command::CreateTopics { .. }
            | Command::CreateShards(_)
            | Command::CreatePartitions { .. }
            | Command::AllocateProducerIds { .. }
    )
}
