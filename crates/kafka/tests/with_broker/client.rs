//! A client that knows the protocol and nothing else: one request, one answer, in a version of the test's choice.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, FetchRequest, FetchResponse, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use levada_records::{BatchBuilder, Compression};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::node::LIMIT;

pub(crate) struct Client {
    stream: TcpStream,
    next: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), next: 1 }
    }

    /// The port that it is connected to.
    pub(crate) fn port(&self) -> u16 {
        self.stream.peer_addr().unwrap().port()
    }

    /// Sends a request and returns its number.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let number = self.next;
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(number)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, R::header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        let len = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.send_bytes(&frame).await;
        number
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next frame without its length, or `None` if the connection has ended.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let reading = async {
            let len = self.stream.read_u32().await.ok()?;
            let mut frame = vec![0; usize::try_from(len).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(LIMIT, reading).await.unwrap()
    }

    /// The answer to the request of this number, which must be the next one and have no byte too many.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, number: i32) -> R::Response {
        let mut frame = self.frame().await.expect("the connection is open");
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, number);
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "{} bytes behind the answer", frame.len());
        response
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let number = self.send(version, request).await;
        self.receive::<R>(version, number).await
    }

    /// Creates a topic and returns its identity.
    pub(crate) async fn create(&mut self, name: &str, partitions: i32) -> Uuid {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(-1);
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
        let result = self.call(7, &request).await.topics.remove(0);
        assert_eq!((result.error_code, result.num_partitions), (0, partitions), "{result:?}");
        result.topic_id
    }

    /// Appends to a topic of the newest version that names topics by name.
    pub(crate) async fn append(&mut self, name: &str, partition: i32, records: Bytes) -> PartitionProduceResponse {
        let mut response = self.call(12, &produce(name, partition, 1, records)).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches one partition from `offset` without a session.
    pub(crate) async fn read(
        &mut self,
        version: i16,
        name: &str,
        id: Uuid,
        offset: i64,
    ) -> (FetchResponse, PartitionData) {
        let request = fetch(version, name, id, &[(0, offset)]);
        let response = self.call(version, &request).await;
        let partition = response.responses[0].partitions[0].clone();
        (response, partition)
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A batch of one record.
pub(crate) fn batch(value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append(1_000, Some(b"key"), Some(value), &[]).unwrap();
    builder.build(Compression::None, None).unwrap()
}

pub(crate) fn produce(name: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic_name(name)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(60_000).with_topic_data(vec![topic])
}

/// A fetch that waits for nothing, of partitions with offsets; the topic by name or by identity as the version wants.
pub(crate) fn fetch(version: i16, name: &str, id: Uuid, partitions: &[(i32, i64)]) -> FetchRequest {
    let partitions = partitions.iter().map(|&(partition, offset)| {
        FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(64 << 20)
            .with_current_leader_epoch(-1)
    });
    let topic = FetchTopic::default().with_partitions(partitions.collect());
    let topic = if version < 13 { topic.with_topic(topic_name(name)) } else { topic.with_topic_id(id) };
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(64 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The batches as they were sent: without what the broker stamps (base offset, leader epoch).
pub(crate) fn unstamped(mut records: Bytes) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    while records.has_remaining() {
        let len = 12 + usize::try_from(i32::from_be_bytes(records[8..12].try_into().unwrap())).unwrap();
        let mut batch = records.split_to(len).to_vec();
        batch[..8].fill(0);
        batch[12..16].fill(0);
        batches.push(batch);
    }
    batches
}

/// The greatest version of an API that is offered.
pub(crate) fn newest(key: ApiKey, offered: &[(i16, i16, i16)]) -> i16 {
    offered.iter().find(|(offered, _, _)| *offered == key as i16).unwrap().2
}
