//! A broker on one side, a script that answers on the other, and a stream between them.

use std::time::Duration;

use levada_groups::api::{DescribeGroup, HeartbeatAnswer, ListedGroup, Request as Asked};
use levada_peers::CLUSTER_HEADER;
use levada_peers::parcels::PACK_BYTES;
use levada_proto::internal::group_coordinator_client::GroupCoordinatorClient;
use levada_service::grpc::{GrpcOptions, GrpcServer, GrpcServerError, Profile};
use levada_service::net::{Address, Network};
use levada_types::ClusterId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;
use uuid::Uuid;

use super::*;
use crate::service::{GROUP_MESSAGE, serve};

/// Long enough that it never passes in a test.
const LONG: Duration = Duration::from_secs(60);

const OWN: ClusterId = ClusterId(Uuid::from_u128(5));

/// A coordinator whose answers a test gives.
struct World {
    network: Network,
    asked: mpsc::UnboundedReceiver<(Asked, oneshot::Sender<Answer>)>,
    common: Common,
    stop: CancellationToken,
    served: JoinHandle<Result<(), GrpcServerError>>,
}

impl World {
    async fn new() -> Self {
        let (network, stop) = (Network::new(), CancellationToken::new());
        let listener = network.bind(&Address::memory("g")).await.unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let ask = move |request| {
            let (answer, answered) = oneshot::channel();
            sender.send((Asked::try_from(request).unwrap(), answer)).unwrap();
            async move { answered.await.unwrap() }.boxed()
        };
        let common = Common::new(Arc::new(ask), stop.clone());
        let options = GrpcOptions { drain_timeout_ms: 60_000, ..GrpcOptions::default() };
        let server = GrpcServer::internal(&options, Profile::Control)
            .add_service_within(serve(common.clone(), || Some(OWN)), GROUP_MESSAGE);
        let served = tokio::spawn(server.serve(listener, stop.clone()));
        Self { network, asked, common, stop, served }
    }

    async fn next(&mut self) -> (Asked, oneshot::Sender<Answer>) {
        tokio::time::timeout(LONG, self.asked.recv()).await.unwrap().unwrap()
    }

    /// A broker of this cluster.
    async fn broker(&self, cluster: &str) -> Result<Broker, Status> {
        let channel = self.network.dialer(Address::memory("g")).channel(Profile::Control);
        let (says, said) = mpsc::unbounded_channel();
        let mut call = tonic::Request::new(UnboundedReceiverStream::new(said));
        call.metadata_mut().insert(CLUSTER_HEADER, cluster.parse().unwrap());
        let messages = GroupCoordinatorClient::new(channel).handle(call).await?.into_inner();
        Ok(Broker { says: Some(says), messages, inbox: Inbox::default() })
    }
}

struct Broker {
    says: Option<mpsc::UnboundedSender<pb::GroupRequests>>,
    messages: Streaming<pb::GroupResponses>,
    inbox: Inbox,
}

impl Broker {
    fn say(&self, abandoned: &[u64], requests: Vec<pb::GroupParcel>) {
        let message = pb::GroupRequests { abandoned: abandoned.to_vec(), requests };
        self.says.as_ref().unwrap().send(message).unwrap();
    }

    fn ask(&self, numbers: &[u64]) {
        self.say(&[], numbers.iter().map(|&number| parcel(number)).collect());
    }

    async fn message(&mut self) -> Result<Option<pb::GroupResponses>, Status> {
        tokio::time::timeout(LONG, self.messages.message()).await.unwrap()
    }

    /// The next answers that are whole.
    async fn answers(&mut self) -> Vec<(u64, Answer)> {
        let mut answers = Vec::new();
        while answers.is_empty() {
            for parcel in self.message().await.unwrap().unwrap().responses {
                if let Some((number, bytes)) = self.inbox.take(parcel).unwrap() {
                    let answer = pb::GroupResponse::decode(bytes).unwrap();
                    answers.push((number, Answer::try_from(answer).unwrap()));
                }
            }
        }
        answers
    }
}

/// A request that names its number.
fn parcel(number: u64) -> pb::GroupParcel {
    let asked = Asked::DescribeGroup(DescribeGroup { group_id: number.to_string() });
    let request = pb::GroupRequest { shard: 1, metadata_offset: 0, kind: Some(asked.into()) };
    pb::GroupParcel { number, bytes: request.encode_to_vec().into(), continues: false }
}

fn number_of(asked: &Asked) -> u64 {
    asked.group_id().unwrap().parse().unwrap()
}

fn alive() -> Answer {
    Answer::Heartbeat(HeartbeatAnswer { error: ErrorCode::None })
}

fn failed(code: ErrorCode) -> Answer {
    Answer::Failed(code)
}

/// An answer of about so many bytes.
fn large(bytes: usize) -> Answer {
    let group_id = "g".repeat(bytes);
    let kind = levada_groups::api::GroupKind::Classic;
    Answer::ListGroups(vec![ListedGroup { group_id, protocol_type: String::new(), state: String::new(), kind }])
}

#[tokio::test]
async fn who_waits_holds_nobody_up_and_what_is_answered_together_leaves_together() {
    let mut world = World::new().await;
    let mut broker = world.broker(&OWN.to_string()).await.unwrap();
    broker.ask(&[4, 5, 6]);
    let mut asked = Vec::new();
    for number in 4..7 {
        let (request, answer) = world.next().await;
        assert_eq!(number_of(&request), number);
        asked.push(answer);
    }
    asked.pop().unwrap().send(alive()).unwrap();
    assert_eq!(broker.answers().await, [(6, alive())]);
    for answer in asked {
        answer.send(alive()).unwrap();
    }
    let mut rest = broker.answers().await;
    while rest.len() < 2 {
        rest.extend(broker.answers().await);
    }
    rest.sort_by_key(|(number, _)| *number);
    assert_eq!(rest, [(4, alive()), (5, alive())]);
    assert_eq!(world.common.requests.available_permits(), MAX_UNDER_WAY);
    assert_eq!(world.common.bytes.available_permits(), MAX_BYTES_UNDER_WAY);
}

#[tokio::test]
async fn a_request_that_is_abandoned_in_parts_makes_room_for_the_next() {
    let mut world = World::new().await;
    let mut broker = world.broker(&OWN.to_string()).await.unwrap();
    broker.say(&[], vec![pb::GroupParcel { continues: true, ..parcel(1) }]);
    let mut rest = parcel(2);
    let begin = pb::GroupParcel { bytes: rest.bytes.split_to(1), continues: true, ..rest.clone() };
    broker.say(&[1], vec![begin, rest]);
    let (request, answer) = world.next().await;
    assert_eq!(number_of(&request), 2);
    answer.send(alive()).unwrap();
    assert_eq!(broker.answers().await, [(2, alive())]);
}

#[tokio::test]
async fn what_is_abandoned_is_dropped_and_its_place_is_free() {
    let mut world = World::new().await;
    let broker = world.broker(&OWN.to_string()).await.unwrap();
    broker.ask(&[1, 2]);
    let (mut first, (_, mut second)) = (world.next().await.1, world.next().await);
    assert_eq!(world.common.requests.available_permits(), MAX_UNDER_WAY - 2);
    broker.say(&[1, 9], Vec::new());
    tokio::time::timeout(LONG, first.closed()).await.unwrap();
    // So it is when the broker goes.
    drop(broker);
    tokio::time::timeout(LONG, second.closed()).await.unwrap();
    assert_eq!(world.common.requests.available_permits(), MAX_UNDER_WAY);
    assert_eq!(world.common.bytes.available_permits(), MAX_BYTES_UNDER_WAY);
}

#[tokio::test]
async fn a_stop_answers_what_was_taken_and_says_that_nothing_else_was() {
    let mut world = World::new().await;
    let mut broker = world.broker(&OWN.to_string()).await.unwrap();
    let mut idle = world.broker(&OWN.to_string()).await.unwrap();
    broker.ask(&[1]);
    let (_, answer) = world.next().await;
    world.stop.cancel();
    let closing = pb::GroupResponses { responses: Vec::new(), closing: true };
    assert_eq!(idle.message().await.unwrap(), Some(closing.clone()));
    assert_eq!(idle.message().await.unwrap(), None);
    // The stop has been noticed, and this is not taken any more.
    broker.ask(&[2]);
    answer.send(alive()).unwrap();
    assert_eq!(broker.answers().await, [(1, alive())]);
    assert_eq!(broker.message().await.unwrap(), Some(closing));
    assert_eq!(broker.message().await.unwrap(), None);
    drop((broker, idle));
    tokio::time::timeout(LONG, world.served).await.unwrap().unwrap().unwrap();
    assert!(world.asked.try_recv().is_err(), "what came too late was not taken");
}

#[tokio::test]
async fn a_broker_that_asks_no_more_is_still_answered() {
    let mut world = World::new().await;
    let mut broker = world.broker(&OWN.to_string()).await.unwrap();
    broker.ask(&[1]);
    broker.says = None;
    world.next().await.1.send(alive()).unwrap();
    assert_eq!(broker.answers().await, [(1, alive())]);
    assert!(broker.message().await.unwrap().unwrap().closing);
    assert_eq!(broker.message().await.unwrap(), None);
}

#[tokio::test]
async fn what_breaks_the_rules_ends_the_stream() {
    let mut world = World::new().await;
    let part = |number, continues| pb::GroupParcel { continues, ..parcel(number) };
    for requests in [vec![parcel(1), parcel(1)], vec![part(1, true), part(2, true)]] {
        let mut broker = world.broker(&OWN.to_string()).await.unwrap();
        broker.say(&[], requests);
        assert_eq!(broker.message().await.unwrap_err().code(), Code::InvalidArgument);
    }
    // What had been asked on it is gone with it.
    let (_, mut answer) = world.next().await;
    tokio::time::timeout(LONG, answer.closed()).await.unwrap();
    let theirs = world.broker("another").await.map(drop).unwrap_err();
    assert_eq!(theirs.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_or_finds_no_place_is_refused_alone() {
    let mut world = World::new().await;
    let mut broker = world.broker(&OWN.to_string()).await.unwrap();
    let unreadable = pb::GroupParcel { bytes: Bytes::from_static(b"\xff"), ..parcel(1) };
    broker.say(&[], vec![unreadable]);
    assert_eq!(broker.answers().await, [(1, failed(ErrorCode::InvalidRequest))]);

    let requests = Arc::clone(&world.common.requests);
    let all = requests.try_acquire_many(u32::try_from(MAX_UNDER_WAY).unwrap()).unwrap();
    broker.ask(&[2]);
    assert_eq!(broker.answers().await, [(2, failed(ErrorCode::CoordinatorNotAvailable))]);
    drop(all);
    let bytes = Arc::clone(&world.common.bytes);
    let all = bytes.try_acquire_many(u32::try_from(MAX_BYTES_UNDER_WAY).unwrap()).unwrap();
    broker.ask(&[3]);
    assert_eq!(broker.answers().await, [(3, failed(ErrorCode::CoordinatorNotAvailable))]);
    drop(all);
    broker.ask(&[4]);
    world.next().await.1.send(alive()).unwrap();
    assert_eq!(broker.answers().await, [(4, alive())]);
}

#[tokio::test]
async fn a_large_answer_leaves_in_parts_and_one_over_the_limit_not_at_all() {
    let mut world = World::new().await;
    let mut broker = world.broker(&OWN.to_string()).await.unwrap();
    for (number, answer, seen) in [
        (1, large(3 * PACK_BYTES), large(3 * PACK_BYTES)),
        (2, large(MAX_GROUP_MESSAGE_BYTES), failed(ErrorCode::MessageTooLarge)),
    ] {
        broker.ask(&[number]);
        world.next().await.1.send(answer).unwrap();
        assert!(broker.answers().await == [(number, seen)]);
    }
}
