//! Loads that take turns at a leader: one keeps its turn until it is done or given up.

use futures::FutureExt;
use levada_proto::internal::shard_log_server::{ShardLog, ShardLogServer};
use levada_service::grpc::{GrpcOptions, GrpcServer, Profile};
use levada_service::net::{Address, Network};
use levada_service::shutdown::CancellationToken;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Streaming};

use super::*;
use crate::loads::{Loads, Wanted};

/// Long enough that it never passes in a test.
const LONG: Duration = Duration::from_secs(60);

/// Offsets of a load that has to wait for its turn.
const MANY: Offset = 50_000;

type Pieces = mpsc::Sender<Result<pb::ShardReadResponse, Status>>;

/// A leader from which is read what a test sends.
struct Script(mpsc::UnboundedSender<(Offset, Pieces)>);

#[tonic::async_trait]
impl ShardLog for Script {
    type AppendStream = ReceiverStream<Result<pb::ShardAppendResponse, Status>>;
    type ReadStream = ReceiverStream<Result<pb::ShardReadResponse, Status>>;

    async fn append(
        &self,
        _: Request<Streaming<pb::ShardAppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        Err(Status::unimplemented("nobody appends"))
    }

    async fn read(&self, request: Request<pb::ShardReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let (pieces, sent) = mpsc::channel(1);
        drop(self.0.send((request.into_inner().from, pieces)));
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    async fn confirm(
        &self,
        _: Request<pb::ConfirmShardsRequest>,
    ) -> Result<Response<pb::ConfirmShardsResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// The leader, the loads that read from it, one at a time, and what they hear.
struct World {
    stub: Stub,
    loads: Loads,
    reads: mpsc::UnboundedReceiver<(Offset, Pieces)>,
    heard: mpsc::Sender<Heard>,
    hearing: mpsc::Receiver<Heard>,
}

impl World {
    async fn new() -> Self {
        let network = Network::new();
        let listener = network.bind(&Address::memory("leader")).await.unwrap();
        let (asked, reads) = mpsc::unbounded_channel();
        let server = GrpcServer::internal(&GrpcOptions::default(), Profile::Bulk);
        let server = server.add_service(ShardLogServer::new(Script(asked)));
        tokio::spawn(server.serve(listener, CancellationToken::new()));
        let stub = Stub::new(network.dialer(Address::memory("leader")).channel(Profile::Bulk));
        let (heard, hearing) = mpsc::channel(8);
        Self { stub, loads: Loads::new(1), reads, heard, hearing }
    }

    /// Begins to load from `from` on, once it is its turn.
    fn load(&self, from: Offset) -> JoinHandle<Result<(), Status>> {
        let request = pb::ShardReadRequest { shard: None, from, to: from + MANY, follow: false };
        let (stub, heard, loads) = (self.stub.clone(), self.heard.clone(), self.loads.clone());
        let turn = async move { loads.turn(MANY, Wanted::default()).await };
        tokio::spawn(follow_read(stub, request, from.unsigned_abs(), heard, turn))
    }

    /// What is read next.
    async fn read(&mut self) -> (Offset, Pieces) {
        tokio::time::timeout(LONG, self.reads.recv()).await.unwrap().unwrap()
    }

    /// What is heard next, and of which attempt.
    async fn hear(&mut self) -> (u64, What) {
        let heard = tokio::time::timeout(LONG, self.hearing.recv()).await.unwrap().unwrap();
        (heard.attempt, heard.what)
    }

    /// Whether another load would have to wait.
    fn is_taken(&self) -> bool {
        self.loads.turn(MANY, Wanted::default()).now_or_never().is_none()
    }
}

#[tokio::test]
async fn a_load_has_its_turn_until_it_has_read_everything() {
    let mut world = World::new().await;
    let first = world.load(1);
    let (from, pieces) = world.read().await;
    assert_eq!(from, 1);
    let second = world.load(2);
    pieces.send(Ok(pb::ShardReadResponse { records: Bytes::from_static(b"x") })).await.unwrap();
    let (attempt, what) = world.hear().await;
    assert!(attempt == 1 && matches!(what, What::Read(records) if records == "x"));
    assert!(world.is_taken());
    drop(pieces);
    let (attempt, what) = world.hear().await;
    assert!(attempt == 1 && matches!(what, What::ReadEnded));
    let (from, pieces) = world.read().await;
    assert_eq!(from, 2);
    assert!(world.is_taken());
    drop(pieces);
    tokio::time::timeout(LONG, first).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(LONG, second).await.unwrap().unwrap().unwrap();
    assert!(!world.is_taken());
}

#[tokio::test]
async fn a_load_that_fails_or_is_given_up_leaves_its_turn_to_the_next() {
    let mut world = World::new().await;
    let failing = world.load(1);
    let (_, pieces) = world.read().await;
    let given_up = world.load(2);
    pieces.send(Err(Status::unavailable("gone"))).await.unwrap();
    assert!(tokio::time::timeout(LONG, failing).await.unwrap().unwrap().is_err());
    let (from, _pieces) = world.read().await;
    assert_eq!(from, 2);
    let last = world.load(3);
    given_up.abort();
    let (from, pieces) = world.read().await;
    assert_eq!(from, 3);
    drop(pieces);
    tokio::time::timeout(LONG, last).await.unwrap().unwrap().unwrap();
    assert!(!world.is_taken());
}
