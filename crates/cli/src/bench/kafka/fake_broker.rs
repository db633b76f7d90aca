//! A broker in a few lines, for tests of the client: one topic, logs in memory, and faults on demand.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsResponse,
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use levada_records::{RecordBatch, stamp};
use levada_types::ErrorCode;

use super::topics::name;

/// What it offers: API key, least and greatest version. Older than what the client would like, so that it must choose.
const OFFERED: [(ApiKey, i16, i16); 7] = [
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ListOffsets, 1, 5),
    (ApiKey::Metadata, 1, 9),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 5),
    (ApiKey::DeleteTopics, 1, 4),
];

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Refuses the third batch.
    Refuse,
    /// Closes the connection in place of answering the third batch, which it has.
    Close,
    /// Loses the second batch and acknowledges it.
    Lose,
    /// Flips a bit of the second batch and makes its checksum right again.
    Forge,
}

/// The one topic.
#[derive(Debug)]
struct State {
    port: i32,
    fault: Fault,
    topic: Option<String>,
    /// The batches of each partition.
    logs: Vec<Vec<Bytes>>,
    batches_seen: u64,
}

/// Starts it and returns its address. It ends with the process.
pub(super) fn start(fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = i32::from(address.port());
    let state = Arc::new(Mutex::new(State { port, fault, topic: None, logs: Vec::new(), batches_seen: 0 }));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let state = state.clone();
            thread::spawn(move || serve(connection.unwrap(), &state));
        }
    });
    address.to_string()
}

fn serve(mut connection: TcpStream, state: &Mutex<State>) {
    let mut length = [0; 4];
    while connection.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        connection.read_exact(&mut frame).unwrap();
        let mut frame = Bytes::from(frame);
        let key = ApiKey::try_from(i16::from_be_bytes([frame[0], frame[1]])).unwrap();
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let header = RequestHeader::decode(&mut frame, key.request_header_version(version)).unwrap();
        assert!(OFFERED.iter().any(|&(k, least, greatest)| k == key && (least..=greatest).contains(&version)));
        let mut state = state.lock().unwrap();
        let answer = state.answer(key, version, header.correlation_id, frame);
        if key == ApiKey::Produce && state.fault == Fault::Close && state.batches_seen == 3 {
            return;
        }
        drop(state);
        if let Some(answer) = answer {
            connection.write_all(&(answer.len() as u32).to_be_bytes()).unwrap();
            connection.write_all(&answer).unwrap();
        }
    }
}

fn encoded<R: Encodable + HeaderVersion>(version: i16, correlation_id: i32, response: &R) -> Option<BytesMut> {
    let mut bytes = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut bytes, R::header_version(version)).unwrap();
    response.encode(&mut bytes, version).unwrap();
    Some(bytes)
}

impl State {
    fn answer(&mut self, key: ApiKey, version: i16, id: i32, mut body: Bytes) -> Option<BytesMut> {
        match key {
            ApiKey::ApiVersions => {
                let api = |&(key, least, greatest): &(ApiKey, i16, i16)| {
                    ApiVersion::default().with_api_key(key as i16).with_min_version(least).with_max_version(greatest)
                };
                let keys = OFFERED.iter().map(api).collect();
                encoded(version, id, &ApiVersionsResponse::default().with_api_keys(keys))
            }
            ApiKey::Metadata => encoded(version, id, &self.metadata()),
            ApiKey::CreateTopics => {
                let wanted = CreateTopicsRequest::decode(&mut body, version).unwrap().topics.remove(0);
                self.topic = Some(wanted.name.to_string());
                self.logs = vec![Vec::new(); wanted.num_partitions as usize];
                let result = CreatableTopicResult::default().with_name(wanted.name);
                encoded(version, id, &CreateTopicsResponse::default().with_topics(vec![result]))
            }
            ApiKey::DeleteTopics => {
                let topic = self.topic.take().unwrap();
                let result = DeletableTopicResult::default().with_name(Some(name(&topic)));
                encoded(version, id, &DeleteTopicsResponse::default().with_responses(vec![result]))
            }
            ApiKey::ListOffsets => {
                let request = ListOffsetsRequest::decode(&mut body, version).unwrap();
                let partition = request.topics[0].partitions[0].partition_index;
                let found = ListOffsetsPartitionResponse::default()
                    .with_partition_index(partition)
                    .with_offset(self.end(partition));
                let topic = ListOffsetsTopicResponse::default().with_partitions(vec![found]);
                encoded(version, id, &ListOffsetsResponse::default().with_topics(vec![topic]))
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut body, version).unwrap();
                let response = self.produce(&request);
                (request.acks != 0).then(|| encoded(version, id, &response)).flatten()
            }
            ApiKey::Fetch => {
                let request = FetchRequest::decode(&mut body, version).unwrap();
                encoded(version, id, &self.fetch(&request))
            }
            key => panic!("{key:?} is not offered"),
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(1))
            .with_host(StrBytes::from_static_str("127.0.0.1"))
            .with_port(self.port);
        let partition =
            |index| MetadataResponsePartition::default().with_partition_index(index).with_leader_id(BrokerId(1));
        let topic = match &self.topic {
            Some(topic) => MetadataResponseTopic::default()
                .with_name(Some(name(topic)))
                .with_partitions((0..self.logs.len() as i32).map(partition).collect()),
            None => MetadataResponseTopic::default()
                .with_name(Some(name("none")))
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code()),
        };
        MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
    }

    fn end(&self, partition: i32) -> i64 {
        let last = self.logs[partition as usize].last();
        last.map_or(0, |batch| RecordBatch::parse_only(batch).unwrap().header().next_offset())
    }

    fn produce(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let data = &request.topic_data[0].partition_data[0];
        let records = data.records.as_ref().unwrap();
        let header = *RecordBatch::parse_only(records).unwrap().header();
        self.batches_seen += 1;
        let mut code = ErrorCode::None;
        let stamped = stamp(self.end(data.index), header.batch_length, 0);
        let mut batch = [&stamped, &records[stamped.len()..]].concat();
        match (self.fault, self.batches_seen) {
            (Fault::Refuse, 3) => code = ErrorCode::MessageTooLarge,
            (Fault::Lose, 2) => {}
            (Fault::Forge, 2) => {
                let at = batch.len() - 2;
                batch[at] ^= 1;
                let crc = levada_records::crc32c(&batch[21..]);
                batch[17..21].copy_from_slice(&crc.to_be_bytes());
                self.logs[data.index as usize].push(batch.into());
            }
            _ => self.logs[data.index as usize].push(batch.into()),
        }
        let result = PartitionProduceResponse::default().with_index(data.index).with_error_code(code.code());
        let topic = TopicProduceResponse::default()
            .with_name(request.topic_data[0].name.clone())
            .with_partition_responses(vec![result]);
        ProduceResponse::default().with_responses(vec![topic])
    }

    /// Up to two batches of each partition, the second of them cut off.
    fn fetch(&self, request: &FetchRequest) -> FetchResponse {
        let partition = |wanted: &kafka_protocol::messages::fetch_request::FetchPartition| {
            let log = &self.logs[wanted.partition as usize];
            let is_wanted =
                |batch: &&Bytes| RecordBatch::parse_only(batch).unwrap().header().last_offset() >= wanted.fetch_offset;
            let batches: Vec<u8> = log.iter().filter(is_wanted).take(2).flatten().copied().collect();
            let first = RecordBatch::parse(&batches).map_or(0, |(batch, _)| batch.bytes().len());
            let cut = first + (batches.len() - first) / 2;
            PartitionData::default()
                .with_partition_index(wanted.partition)
                .with_records(Some(Bytes::copy_from_slice(&batches[..cut])))
        };
        let topic = FetchableTopicResponse::default()
            .with_topic(request.topics[0].topic.clone())
            .with_partitions(request.topics[0].partitions.iter().map(partition).collect());
        FetchResponse::default().with_responses(vec![topic])
    }
}
