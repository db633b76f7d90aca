//! A broker that serves `Subscribe` alone, and says what the test tells it to.

use std::collections::BTreeMap;

use levada_proto::v1;
use levada_proto::v1::consumer_server::{Consumer, ConsumerServer};
use levada_proto::v1::subscribe_request::Kind as Said;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::TopicId;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Messages that may wait for a client.
const MESSAGES: usize = 64;

pub(crate) struct FakeBroker {
    pub(crate) address: String,
    streams: mpsc::Receiver<FakeStream>,
}

/// A stream that a client has opened, from the broker's side. Dropping it breaks it.
pub(crate) struct FakeStream {
    requests: Streaming<v1::SubscribeRequest>,
    responses: mpsc::Sender<Result<v1::SubscribeResponse, Status>>,
}

struct Service {
    streams: mpsc::Sender<FakeStream>,
}

#[tonic::async_trait]
impl Consumer for Service {
    type FetchStream = ReceiverStream<Result<v1::FetchResponse, Status>>;
    type SubscribeStream = ReceiverStream<Result<v1::SubscribeResponse, Status>>;

    async fn fetch(&self, _: Request<v1::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        Err(Status::unimplemented("this broker serves Subscribe alone"))
    }

    async fn subscribe(
        &self,
        request: Request<Streaming<v1::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (responses, stream) = mpsc::channel(MESSAGES);
        let opened = FakeStream { requests: request.into_inner(), responses };
        self.streams.send(opened).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl FakeBroker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, streams) = mpsc::channel(MESSAGES);
        let server = tonic::transport::Server::builder()
            .add_service(ConsumerServer::new(Service { streams: sender }))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Self { address, streams }
    }

    /// The next stream that a client opens, and its first message.
    pub(crate) async fn accept(&mut self) -> (FakeStream, v1::JoinSubscription) {
        let mut stream = self.streams.recv().await.unwrap();
        match stream.hear().await {
            Said::Join(join) => (stream, join),
            other => panic!("the first message is {other:?}"),
        }
    }
}

impl FakeStream {
    /// The next message of the client that is more than a sign of life.
    pub(crate) async fn hear(&mut self) -> Said {
        loop {
            let message = self.requests.message().await.unwrap().unwrap();
            match message.kind.unwrap() {
                Said::Progress(_) => {}
                kind => return kind,
            }
        }
    }

    /// What the client has processed by partition, when it says something else; and that.
    pub(crate) async fn hear_behind_processed(&mut self) -> (BTreeMap<i32, i64>, Said) {
        let mut processed = BTreeMap::new();
        loop {
            match self.hear().await {
                Said::Processed(it) => processed.insert(it.partition, it.next_offset),
                kind => return (processed, kind),
            };
        }
    }

    pub(crate) async fn tell(&self, kind: Told) {
        self.responses.send(Ok(v1::SubscribeResponse { kind: Some(kind) })).await.unwrap();
    }

    /// Ends the stream with an error.
    pub(crate) async fn fail(self, status: Status) {
        self.responses.send(Err(status)).await.unwrap();
    }

    pub(crate) async fn joined(&self, member_id: &str, stream_number: u64) {
        let member_id = member_id.to_owned();
        self.tell(Told::Joined(v1::SubscriptionJoined { member_id, member_epoch: 7, stream_number })).await;
    }

    pub(crate) async fn assigned(&self, numbers: &[i32]) {
        self.tell(Told::Assigned(v1::SubscriptionAssigned { partitions: partitions(numbers) })).await;
    }

    pub(crate) async fn revoke(&self, number: u64, numbers: &[i32]) {
        self.tell(Told::Revoke(v1::SubscriptionRevoke { number, partitions: partitions(numbers) })).await;
    }

    /// Records of these offsets.
    pub(crate) async fn records(&self, partition: i32, offsets: std::ops::Range<i64>) {
        let record = |offset: i64| v1::StoredRecord {
            offset,
            value: Some(offset.to_string().into()),
            ..v1::StoredRecord::default()
        };
        let records = v1::SubscriptionRecords {
            topic: "t".to_owned(),
            topic_id: TopicId::ZERO.to_string(),
            partition,
            next_offset: offsets.end,
            high_watermark: offsets.end,
            records: offsets.map(record).collect(),
        };
        self.tell(Told::Records(records)).await;
    }
}

/// Partitions of topic `t`.
fn partitions(numbers: &[i32]) -> Vec<v1::TopicPartitions> {
    let topic_id = TopicId::ZERO.to_string();
    vec![v1::TopicPartitions { topic: "t".to_owned(), topic_id, partitions: numbers.to_vec() }]
}
