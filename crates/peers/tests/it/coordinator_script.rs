//! A group coordinator that does what a test tells it to.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use levada_groups::api::{Request, Response};
use levada_peers::parcels::{Inbox, MAX_STREAM_MESSAGE_BYTES, Outbox};
use levada_proto::internal as pb;
use levada_proto::internal::group_coordinator_server::{GroupCoordinator, GroupCoordinatorServer};
use levada_service::grpc::{GrpcOptions, GrpcServer, Profile};
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use levada_types::ErrorCode;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

/// Long enough that it never passes in a test.
pub(crate) const LONG: Duration = Duration::from_secs(60);

type Answers = mpsc::UnboundedSender<Result<pb::GroupResponses, Status>>;

/// A request that a scripted coordinator has got, and the stream on which it answers.
pub(crate) struct Asked {
    pub(crate) shard: i32,
    pub(crate) request: Request,
    pub(crate) number: u64,
    answers: Answers,
}

impl Asked {
    pub(crate) fn answer(self, response: Response) {
        let mut outbox = Outbox::default();
        outbox.push(self.number, pb::GroupResponse::from(response).encode_to_vec().into(), ());
        loop {
            let responses = outbox.load(|()| true).parcels;
            if responses.is_empty() {
                return;
            }
            self.say(pb::GroupResponses { responses, closing: false });
        }
    }

    pub(crate) fn refuse(self, code: ErrorCode) {
        self.answer(Response::Failed(code));
    }

    /// Breaks the stream.
    pub(crate) fn fail(self, status: Status) {
        // Nobody may listen any more.
        drop(self.answers.send(Err(status)));
    }

    /// Says something on the stream.
    pub(crate) fn say(&self, message: pb::GroupResponses) {
        drop(self.answers.send(Ok(message)));
    }
}

/// How a scripted coordinator meets a stream.
type Meeting = Box<dyn Fn(usize) -> Result<(), Status> + Send>;

struct Scripted {
    asked: mpsc::UnboundedSender<Asked>,
    abandoned: mpsc::UnboundedSender<u64>,
    streams: Arc<Mutex<(usize, Meeting)>>,
}

#[tonic::async_trait]
impl GroupCoordinator for Scripted {
    type HandleStream = Pin<Box<dyn Stream<Item = Result<pb::GroupResponses, Status>> + Send>>;

    async fn handle(
        &self,
        request: tonic::Request<Streaming<pb::GroupRequests>>,
    ) -> Result<tonic::Response<Self::HandleStream>, Status> {
        {
            let mut streams = self.streams.lock().unwrap();
            let before = streams.0;
            streams.0 += 1;
            (streams.1)(before)?;
        }
        let (answers, said) = mpsc::unbounded_channel();
        tokio::spawn(listen(request.into_inner(), answers, self.asked.clone(), self.abandoned.clone()));
        Ok(tonic::Response::new(Box::pin(UnboundedReceiverStream::new(said))))
    }
}

/// Hands the test what a client says until that ends its stream.
async fn listen(
    mut messages: Streaming<pb::GroupRequests>,
    answers: Answers,
    asked: mpsc::UnboundedSender<Asked>,
    abandoned: mpsc::UnboundedSender<u64>,
) {
    let mut inbox = Inbox::default();
    while let Ok(Some(message)) = messages.message().await {
        for number in message.abandoned {
            inbox.abandon(number);
            abandoned.send(number).unwrap_or_default();
        }
        for parcel in message.requests {
            let Some((number, bytes)) = inbox.take(parcel).unwrap() else { continue };
            let message = pb::GroupRequest::decode(bytes).unwrap();
            let (shard, request) = (message.shard, Request::try_from(message).unwrap());
            drop(asked.send(Asked { shard, request, number, answers: answers.clone() }));
        }
    }
}

/// What a test holds of a scripted coordinator.
pub(crate) struct Handle {
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    abandoned: mpsc::UnboundedReceiver<u64>,
    streams: Arc<Mutex<(usize, Meeting)>>,
    shutdown: CancellationToken,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Handle {
    /// The next request.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::time::timeout(LONG, self.asked.recv()).await.unwrap().unwrap()
    }

    /// The next number that the client does not wait for any more.
    pub(crate) async fn next_abandoned(&mut self) -> u64 {
        tokio::time::timeout(LONG, self.abandoned.recv()).await.unwrap().unwrap()
    }

    /// Meets streams by `script`, which is told how many came before.
    pub(crate) fn on_stream(&self, script: impl Fn(usize) -> Result<(), Status> + Send + 'static) {
        self.streams.lock().unwrap().1 = Box::new(script);
    }

    /// How many streams came.
    pub(crate) fn streams(&self) -> usize {
        self.streams.lock().unwrap().0
    }
}

/// Starts a scripted coordinator at the in-memory address `name`.
pub(crate) async fn coordinator(network: &Network, name: &str) -> Handle {
    let (asked, seen) = mpsc::unbounded_channel();
    let (abandoned, seen_abandoned) = mpsc::unbounded_channel();
    let meeting: Meeting = Box::new(|_| Ok(()));
    let streams = Arc::new(Mutex::new((0, meeting)));
    let listener = network.bind(&Address::memory(name)).await.unwrap();
    let shutdown = CancellationToken::new();
    let options = GrpcOptions { drain_timeout_ms: 0, ..GrpcOptions::default() };
    let service = GroupCoordinatorServer::new(Scripted { asked, abandoned, streams: Arc::clone(&streams) })
        .max_decoding_message_size(MAX_STREAM_MESSAGE_BYTES);
    let server = GrpcServer::internal(&options, Profile::Control).add_service(service);
    tokio::spawn(server.serve(listener, shutdown.clone()));
    Handle { asked: seen, abandoned: seen_abandoned, streams, shutdown }
}
