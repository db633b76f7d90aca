//! Connections over a real socket, with a service in place of the broker.

use std::collections::HashMap;

use bytes::{BufMut, BytesMut};
use futures::FutureExt;
use kafka_protocol::messages::{
    ApiVersionsResponse, FetchRequest, HeartbeatRequest, JoinGroupRequest, MetadataRequest, ProduceRequest,
    RequestHeader, SyncGroupRequest,
};
use kafka_protocol::protocol::Encodable;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::*;

/// Tells the test what starts, and finishes a request when the test says so.
struct Fake {
    started: mpsc::UnboundedSender<i32>,
    gates: Arc<Mutex<HashMap<i32, Arc<Semaphore>>>>,
}

impl Service for Fake {
    fn start(&self, call: Call, _peer: SocketAddr) -> BoxFuture<'static, Outcome> {
        let head = call.head;
        self.started.send(head.correlation_id).expect("the test listens");
        let gate = gate(&self.gates, head.correlation_id);
        async move {
            drop(gate.acquire().await);
            match call.request {
                Request::Produce(request) if request.acks == 0 => Outcome::Silent,
                Request::Produce(request) if request.timeout_ms == -7 => Outcome::Close("as told".to_owned()),
                // Any response will do; this one has the header of version 0 in every version.
                _ => match Answer::encode(Head { version: 0, ..head }, &ApiVersionsResponse::default()) {
                    Ok(answer) => Outcome::Answer(answer),
                    Err(error) => Outcome::Close(error.to_string()),
                },
            }
        }
        .boxed()
    }

    fn room(&self) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

fn gate(gates: &Mutex<HashMap<i32, Arc<Semaphore>>>, number: i32) -> Arc<Semaphore> {
    Arc::clone(gates.lock().entry(number).or_insert_with(|| Arc::new(Semaphore::new(0))))
}

struct Harness {
    client: TcpStream,
    started: mpsc::UnboundedReceiver<i32>,
    gates: Arc<Mutex<HashMap<i32, Arc<Semaphore>>>>,
    shutdown: CancellationToken,
    server: JoinHandle<End>,
}

impl Harness {
    async fn new(options: KafkaOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, peer) = accepted.expect("accepts");
        let (sender, started) = mpsc::unbounded_channel();
        let gates = Arc::new(Mutex::new(HashMap::new()));
        let shutdown = CancellationToken::new();
        let shared = Arc::new(Shared {
            service: Fake { started: sender, gates: Arc::clone(&gates) },
            buffers: Arc::new(BufferPool::new(16 << 20)),
            budget: Budget::new(usize::try_from(options.queued_max_request_bytes).unwrap_or(usize::MAX >> 4)),
            metrics: FaceMetrics::new(),
            shutdown: shutdown.clone(),
            options,
        });
        let server = tokio::spawn(serve(shared, stream, peer));
        Self { client: client.expect("connects"), started, gates, shutdown, server }
    }

    async fn send(&mut self, key: ApiKey, version: i16, number: i32, body: &impl Encodable) {
        self.client.write_all(&frame(key, version, number, body)).await.expect("sends");
    }

    async fn produce(&mut self, number: i32, acks: i16) {
        self.send(ApiKey::Produce, 9, number, &ProduceRequest::default().with_acks(acks)).await;
    }

    fn finish(&self, number: i32) {
        gate(&self.gates, number).add_permits(1);
    }

    async fn next_started(&mut self) -> i32 {
        self.started.recv().await.expect("the connection is open")
    }

    /// The number of the next answer.
    async fn answer(&mut self) -> i32 {
        let len = self.client.read_i32().await.expect("an answer");
        let mut body = vec![0; usize::try_from(len).expect("positive")];
        self.client.read_exact(&mut body).await.expect("the rest");
        i32::from_be_bytes(body[..4].try_into().expect("four bytes"))
    }

    async fn end(mut self) -> (End, Vec<u8>) {
        let mut rest = Vec::new();
        // A reset instead of an end is as good: there is nothing more to read.
        let _ended = self.client.read_to_end(&mut rest).await;
        (self.server.await.expect("no panic"), rest)
    }
}

fn frame(key: ApiKey, version: i16, number: i32, body: &impl Encodable) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(key as i16)
        .with_request_api_version(version)
        .with_correlation_id(number);
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header.encode(&mut frame, key.request_header_version(version)).expect("encodes");
    body.encode(&mut frame, version).expect("encodes");
    let len = i32::try_from(frame.len() - 4).expect("short");
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

#[tokio::test]
async fn answers_come_in_the_order_of_requests() {
    let mut harness = Harness::new(KafkaOptions::default()).await;
    for number in 1..=3 {
        harness.produce(number, 1).await;
    }
    for number in 1..=3 {
        assert_eq!(harness.next_started().await, number, "all start while none is answered");
    }
    for number in [3, 2, 1] {
        harness.finish(number);
    }
    assert_eq!([harness.answer().await, harness.answer().await, harness.answer().await], [1, 2, 3]);
}

#[tokio::test]
async fn an_admin_request_waits_for_all_before_it_and_holds_all_behind_it() {
    let mut harness = Harness::new(KafkaOptions::default()).await;
    harness.produce(1, 1).await;
    let admin = kafka_protocol::messages::CreateTopicsRequest::default();
    harness.send(ApiKey::CreateTopics, 7, 2, &admin).await;
    harness.send(ApiKey::Metadata, 9, 3, &MetadataRequest::default()).await;
    assert_eq!(harness.next_started().await, 1);
    assert!(harness.started.try_recv().is_err());
    harness.finish(1);
    assert_eq!((harness.answer().await, harness.next_started().await), (1, 2));
    assert!(harness.started.try_recv().is_err(), "nothing starts behind it");
    harness.finish(2);
    assert_eq!((harness.answer().await, harness.next_started().await), (2, 3));
    harness.finish(3);
    assert_eq!(harness.answer().await, 3);
}

#[tokio::test]
async fn requests_of_one_fetch_session_do_not_overlap() {
    let mut harness = Harness::new(KafkaOptions::default()).await;
    let fetch = FetchRequest::default().with_session_id(5).with_session_epoch(1);
    harness.send(ApiKey::Fetch, 12, 1, &fetch).await;
    harness.send(ApiKey::Fetch, 12, 2, &fetch).await;
    assert_eq!(harness.next_started().await, 1);
    harness.finish(1);
    harness.finish(2);
    assert_eq!((harness.answer().await, harness.answer().await, harness.next_started().await), (1, 2, 2));
}

#[tokio::test]
async fn at_the_bound_nothing_more_starts() {
    let options = KafkaOptions { connection_queued_max_requests: 2, ..KafkaOptions::default() };
    let mut harness = Harness::new(options).await;
    for number in 1..=3 {
        harness.produce(number, 1).await;
    }
    assert_eq!((harness.next_started().await, harness.next_started().await), (1, 2));
    assert!(harness.started.try_recv().is_err());
    harness.finish(1);
    assert_eq!((harness.answer().await, harness.next_started().await), (1, 3));
}

#[tokio::test]
async fn a_close_is_noticed_while_requests_are_open() {
    // With room and without.
    for bound in [10, 1] {
        let options = KafkaOptions { connection_queued_max_requests: bound, ..KafkaOptions::default() };
        let mut harness = Harness::new(options).await;
        harness.send(ApiKey::Fetch, 12, 1, &FetchRequest::default()).await;
        assert_eq!(harness.next_started().await, 1);
        drop(harness.client);
        assert!(matches!(harness.server.await.expect("no panic"), End::Closed | End::Io(_)), "bound {bound}");
    }
    let mut harness = Harness::new(KafkaOptions::default()).await;
    harness.send(ApiKey::JoinGroup, 5, 1, &JoinGroupRequest::default()).await;
    assert_eq!(harness.next_started().await, 1);
    drop(harness.client);
    assert!(
        matches!(harness.server.await.expect("no panic"), End::Closed | End::Io(_)),
        "a member that waits has gone"
    );
}

#[tokio::test]
async fn a_member_that_waits_holds_all_behind_it() {
    let mut harness = Harness::new(KafkaOptions::default()).await;
    harness.send(ApiKey::JoinGroup, 5, 1, &JoinGroupRequest::default()).await;
    harness.send(ApiKey::Heartbeat, 3, 2, &HeartbeatRequest::default()).await;
    harness.produce(3, 1).await;
    assert_eq!(harness.next_started().await, 1);
    assert!(harness.started.try_recv().is_err());
    for number in 1..=3 {
        harness.finish(number);
        assert_eq!(harness.answer().await, number);
    }
}

#[tokio::test]
async fn records_sent_before_a_close_are_taken_in() {
    let options = KafkaOptions { connection_queued_max_requests: 1, ..KafkaOptions::default() };
    let mut harness = Harness::new(options).await;
    for number in 1..=3 {
        harness.produce(number, 0).await;
    }
    harness.client.shutdown().await.expect("half closed");
    for number in 1..=3 {
        assert_eq!(harness.next_started().await, number);
        harness.finish(number);
    }
    let (end, answers) = harness.end().await;
    assert!(matches!(end, End::Closed) && answers.is_empty(), "acks=0 is not answered");
}

#[tokio::test]
async fn who_closes_only_its_side_gets_its_answers() {
    let mut harness = Harness::new(KafkaOptions::default()).await;
    harness.produce(1, 1).await;
    harness.produce(2, 1).await;
    harness.client.shutdown().await.expect("half closed");
    assert_eq!((harness.next_started().await, harness.next_started().await), (1, 2));
    harness.finish(2);
    harness.finish(1);
    assert_eq!((harness.answer().await, harness.answer().await), (1, 2));
    assert!(matches!(harness.end().await.0, End::Closed));
}

#[tokio::test]
async fn what_cannot_be_answered_closes_the_connection() {
    let unknown = frame(ApiKey::EndTxn, 3, 1, &MetadataRequest::default());
    let mut huge = BytesMut::new();
    huge.put_i32(i32::MAX);
    for bytes in [unknown, huge] {
        let mut harness = Harness::new(KafkaOptions::default()).await;
        harness.client.write_all(&bytes).await.expect("sends");
        assert!(harness.end().await.0.is_clients_fault());
    }
    let mut harness = Harness::new(KafkaOptions::default()).await;
    harness.send(ApiKey::Produce, 9, 1, &ProduceRequest::default().with_acks(1).with_timeout_ms(-7)).await;
    harness.finish(1);
    assert!(matches!(harness.end().await.0, End::Refused(reason) if reason == "as told"));
}

#[tokio::test]
async fn a_request_waits_for_its_share_of_memory_and_not_for_ever() {
    let options = KafkaOptions { queued_max_request_bytes: 64 << 10, queued_max_wait_ms: 1, ..KafkaOptions::default() };
    let mut harness = Harness::new(options).await;
    harness.client.write_i32(100 << 10).await.expect("announces");
    harness.client.write_all(&[0; 80 << 10]).await.expect("sends");
    assert!(matches!(harness.end().await.0, End::NoMemory));
}

#[tokio::test]
async fn a_request_whose_sender_is_gone_does_not_wait_for_memory() {
    let options = KafkaOptions { queued_max_request_bytes: 64 << 10, ..KafkaOptions::default() };
    let mut harness = Harness::new(options).await;
    harness.client.write_i32(100 << 10).await.expect("announces");
    harness.client.write_all(&[0; 80 << 10]).await.expect("sends");
    drop(harness.client);
    assert!(matches!(harness.server.await.expect("no panic"), End::Closed | End::Io(_)));
}

#[tokio::test]
async fn a_request_that_does_not_go_on_gives_its_memory_back() {
    let options = KafkaOptions { queued_max_request_bytes: 64 << 10, queued_max_wait_ms: 1, ..KafkaOptions::default() };
    let mut harness = Harness::new(options).await;
    harness.client.write_i32(60 << 10).await.expect("announces");
    harness.client.write_all(&[0; 50 << 10]).await.expect("sends");
    assert!(matches!(harness.end().await.0, End::Stalled));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let options = KafkaOptions { connections_max_idle_ms: 1, ..KafkaOptions::default() };
    assert!(matches!(Harness::new(options).await.end().await.0, End::Idle));
}

#[tokio::test]
async fn a_shutdown_answers_what_is_in_flight() {
    let mut harness = Harness::new(KafkaOptions::default()).await;
    harness.produce(1, 1).await;
    assert_eq!(harness.next_started().await, 1);
    harness.shutdown.cancel();
    harness.finish(1);
    assert_eq!(harness.answer().await, 1);
    assert!(matches!(harness.end().await.0, End::Closed));

    // A fetch that waits for records holds nobody up, nor does a member that waits for others.
    let mut waiting = Harness::new(KafkaOptions::default()).await;
    waiting.send(ApiKey::Fetch, 12, 1, &FetchRequest::default()).await;
    assert_eq!(waiting.next_started().await, 1);
    waiting.shutdown.cancel();
    assert!(matches!(waiting.end().await.0, End::Closed));
    let mut waiting = Harness::new(KafkaOptions::default()).await;
    waiting.send(ApiKey::SyncGroup, 3, 1, &SyncGroupRequest::default()).await;
    assert_eq!(waiting.next_started().await, 1);
    waiting.shutdown.cancel();
    assert!(matches!(waiting.end().await.0, End::Closed));

    let options = KafkaOptions { connection_shutdown_wait_ms: 1, ..KafkaOptions::default() };
    let mut stuck = Harness::new(options).await;
    stuck.produce(1, 1).await;
    assert_eq!(stuck.next_started().await, 1);
    stuck.shutdown.cancel();
    assert!(matches!(stuck.end().await.0, End::DrainDeadline), "within its bound");
}
