//! A controller that does what a test tells it to.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use levada_peers::Controllers;
use levada_proto::internal::controller_server::{Controller, ControllerServer};
use levada_proto::internal::{
    AddVoterRequest, AddVoterResponse, DescribeQuorumRequest, DescribeQuorumResponse, NotActiveController,
    RemoveVoterRequest, RemoveVoterResponse, SessionRequest, SessionResponse, SubmitRequest, SubmitResponse,
    WatchMetadataRequest, WatchMetadataResponse,
};
use levada_service::grpc::{GrpcOptions, GrpcServer, Profile};
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type SubmitScript = Box<dyn Fn(usize) -> Result<SubmitResponse, Status> + Send>;

/// A watch that a test answers.
pub(crate) struct Watch {
    pub(crate) from_offset: u64,
    pub(crate) pieces: mpsc::UnboundedSender<Result<WatchMetadataResponse, Status>>,
}

/// A session that a test answers.
pub(crate) struct Session {
    pub(crate) asked: Streaming<SessionRequest>,
    pub(crate) tell: mpsc::UnboundedSender<Result<SessionResponse, Status>>,
}

/// What a test holds of a scripted controller.
pub(crate) struct Handle {
    pub(crate) watches: mpsc::UnboundedReceiver<Watch>,
    pub(crate) sessions: mpsc::UnboundedReceiver<Session>,
    submits: Arc<Mutex<(usize, SubmitScript)>>,
    shutdown: CancellationToken,
}

impl Handle {
    /// Answers commands by `script`, which is told how many came before.
    pub(crate) fn on_submit(&self, script: impl Fn(usize) -> Result<SubmitResponse, Status> + Send + 'static) {
        self.submits.lock().unwrap().1 = Box::new(script);
    }

    /// How many commands came.
    pub(crate) fn submits(&self) -> usize {
        self.submits.lock().unwrap().0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

struct Scripted {
    watches: mpsc::UnboundedSender<Watch>,
    sessions: mpsc::UnboundedSender<Session>,
    submits: Arc<Mutex<(usize, SubmitScript)>>,
}

#[tonic::async_trait]
impl Controller for Scripted {
    async fn submit(&self, _request: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        let mut submits = self.submits.lock().unwrap();
        let before = submits.0;
        submits.0 += 1;
        (submits.1)(before).map(Response::new)
    }

    type WatchMetadataStream = Answers<WatchMetadataResponse>;

    async fn watch_metadata(
        &self,
        request: Request<WatchMetadataRequest>,
    ) -> Result<Response<Self::WatchMetadataStream>, Status> {
        let (pieces, answers) = mpsc::unbounded_channel();
        let watch = Watch { from_offset: request.into_inner().from_offset, pieces };
        self.watches.send(watch).map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(answers))))
    }

    type SessionStream = Answers<SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (tell, answers) = mpsc::unbounded_channel();
        let session = Session { asked: request.into_inner(), tell };
        self.sessions.send(session).map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(answers))))
    }

    async fn describe_quorum(
        &self,
        _request: Request<DescribeQuorumRequest>,
    ) -> Result<Response<DescribeQuorumResponse>, Status> {
        Err(not_active(None))
    }

    async fn add_voter(&self, _request: Request<AddVoterRequest>) -> Result<Response<AddVoterResponse>, Status> {
        Err(not_active(None))
    }

    async fn remove_voter(
        &self,
        _request: Request<RemoveVoterRequest>,
    ) -> Result<Response<RemoveVoterResponse>, Status> {
        Err(not_active(None))
    }
}

/// Starts a scripted controller at the in-memory address `name`.
pub(crate) async fn controller(network: &Network, name: &str) -> Handle {
    let (watches, seen_watches) = mpsc::unbounded_channel();
    let (sessions, seen_sessions) = mpsc::unbounded_channel();
    let script: SubmitScript = Box::new(|_| Err(Status::unimplemented("no script")));
    let submits = Arc::new(Mutex::new((0, script)));
    let service = ControllerServer::new(Scripted { watches, sessions, submits: submits.clone() });
    let listener = network.bind(&Address::memory(name)).await.unwrap();
    let shutdown = CancellationToken::new();
    let options = GrpcOptions { drain_timeout_ms: 0, ..GrpcOptions::default() };
    let server = GrpcServer::internal(&options, Profile::Control).add_service(service);
    tokio::spawn(server.serve(listener, shutdown.clone()));
    Handle { watches: seen_watches, sessions: seen_sessions, submits, shutdown }
}

/// The way to the controllers at `names`.
pub(crate) fn way_to(network: &Network, names: &[&str]) -> Controllers {
    Controllers::new(network.clone(), names.iter().map(|name| Address::memory(*name)).collect())
}

/// The refusal of a controller that is not active.
pub(crate) fn not_active(active: Option<&str>) -> Status {
    let internal_address = active.map(|name| Address::memory(name).to_string());
    let detail = NotActiveController { id: None, internal_address };
    let any = prost_types::Any {
        type_url: "type.googleapis.com/levada.internal.v1.NotActiveController".to_owned(),
        value: detail.encode_to_vec(),
    };
    let rich = tonic_types::pb::Status { code: 9, message: String::new(), details: vec![any] };
    Status::with_details(Code::FailedPrecondition, "not active", rich.encode_to_vec().into())
}
