//! The services as a client in another language meets them: generated stubs and nothing else.

use bytes::Bytes;
use levada_client::NewTopic;
use levada_proto::status;
use levada_proto::v1;
use levada_proto::v1::consumer_client::ConsumerClient;
use levada_proto::v1::produce_batch::Content;
use levada_proto::v1::produce_stream_request::Message;
use levada_proto::v1::producer_client::ProducerClient;
use levada_types::{ErrorCode, TopicId};
use tonic::transport::Channel;

use crate::node::{MAX_MESSAGE_BYTES, Node};

async fn channel(node: &Node) -> Channel {
    Channel::from_shared(format!("http://{}", node.address)).unwrap().connect().await.unwrap()
}

async fn topic(node: &Node) -> TopicId {
    node.client().admin().create_topic(NewTopic::new("t").partitions(2)).await.unwrap().id
}

fn by_name(name: &str) -> Option<v1::TopicRef> {
    Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Name(name.to_owned())) })
}

fn by_id(id: TopicId) -> Option<v1::TopicRef> {
    Some(v1::TopicRef { topic: Some(v1::topic_ref::Topic::Id(id.to_string())) })
}

fn records(values: &[&str]) -> Option<Content> {
    let record = |value: &&str| v1::Record {
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        timestamp_ms: Some(1_700_000_000_000),
        ..v1::Record::default()
    };
    Some(Content::Records(v1::RecordList { records: values.iter().map(record).collect() }))
}

fn stream_of(messages: Vec<Message>) -> impl futures::Stream<Item = v1::ProduceStreamRequest> {
    futures::stream::iter(messages.into_iter().map(|message| v1::ProduceStreamRequest { message: Some(message) }))
}

/// The answers to all batches of a stream.
async fn answers(node: &Node, messages: Vec<Message>) -> Result<Vec<v1::ProduceStreamResponse>, tonic::Status> {
    let mut client = ProducerClient::new(channel(node).await);
    let mut stream = client.produce_stream(stream_of(messages)).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await? {
        answers.push(answer);
    }
    Ok(answers)
}

#[tokio::test]
async fn friendly_records_go_in_and_come_out() {
    let node = Node::start().await;
    topic(&node).await;
    let mut producer = ProducerClient::new(channel(&node).await);
    let content = records(&["a", "b"]);
    let batch = v1::ProduceBatch { topic: by_name("t"), partition: Some(1), base_sequence: None, content };
    let request = v1::ProduceRequest { batch: Some(batch), ..v1::ProduceRequest::default() };
    let answer = producer.produce(request).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 1);
    let result = &answer.results[0];
    assert_eq!((result.partition, result.base_offset, result.record_count), (1, 0, 2));
    assert_eq!(result.error, None);

    let partition = |partition| v1::FetchPartition { topic: by_name("t"), partition, ..v1::FetchPartition::default() };
    let request = v1::FetchRequest {
        partitions: vec![partition(0), partition(1)],
        stop_at_end: true,
        ..v1::FetchRequest::default()
    };
    let mut stream = ConsumerClient::new(channel(&node).await).fetch(request).await.unwrap().into_inner();
    let response = stream.message().await.unwrap().unwrap();
    assert_eq!((response.partition, response.next_offset, response.high_watermark), (1, 2, 2));
    let Some(v1::fetch_response::Content::Records(list)) = response.content else { panic!("records were asked for") };
    let values: Vec<_> = list.records.iter().map(|r| (r.offset, r.value.as_deref(), r.timestamp_ms)).collect();
    assert_eq!(values, [(0, Some(&b"a"[..]), 1_700_000_000_000), (1, Some(&b"b"[..]), 1_700_000_000_000)]);
    assert_eq!(stream.message().await.unwrap(), None, "the stream ends where it was told to");
    node.stop().await;
}

#[tokio::test]
async fn an_idempotent_batch_that_is_sent_again_keeps_its_offset() {
    let node = Node::start().await;
    let id = topic(&node).await;
    let producer =
        ProducerClient::new(channel(&node).await).init(v1::InitRequest {}).await.unwrap().into_inner().producer;
    let open = || Message::Open(v1::ProduceStreamOpen { producer, ..v1::ProduceStreamOpen::default() });
    let batch = |sequence, values: &[&str]| {
        let content = records(values);
        Message::Batch(v1::ProduceBatch {
            topic: by_id(id),
            partition: Some(0),
            base_sequence: Some(sequence),
            content,
        })
    };
    let offsets = |answers: Vec<v1::ProduceStreamResponse>| -> Vec<Result<i64, String>> {
        let result = |answer: v1::ProduceStreamResponse| answer.results.into_iter().next().unwrap();
        answers.into_iter().map(result).map(|r| r.error.map_or(Ok(r.base_offset), |e| Err(e.name))).collect()
    };
    let first = answers(&node, vec![open(), batch(0, &["a", "b"]), batch(2, &["c"])]).await.unwrap();
    assert_eq!(offsets(first), [Ok(0), Ok(2)]);
    // Another stream, as after a broken one: everything again, and one batch more.
    let again = answers(&node, vec![open(), batch(0, &["a", "b"]), batch(2, &["c"]), batch(3, &["d"])]).await.unwrap();
    assert_eq!(offsets(again), [Ok(0), Ok(2), Ok(3)]);
    let gap = answers(&node, vec![open(), batch(9, &["z"]), batch(4, &["e"])]).await.unwrap();
    assert_eq!(offsets(gap), [Err("OUT_OF_ORDER_SEQUENCE_NUMBER".to_owned()), Ok(4)]);
    node.stop().await;
}

#[tokio::test]
async fn a_refused_batch_is_answered_and_the_stream_goes_on() {
    let node = Node::start().await;
    topic(&node).await;
    let batch = |partition, values: &[&str]| {
        let content = records(values);
        Message::Batch(v1::ProduceBatch { topic: by_name("t"), partition, base_sequence: None, content })
    };
    let answers = answers(&node, vec![batch(Some(7), &["x"]), batch(None, &[]), batch(Some(0), &["y"])]).await.unwrap();
    let names: Vec<_> = answers.iter().map(|answer| answer.error.as_ref().map(|error| error.name.as_str())).collect();
    assert_eq!(names, [Some("UNKNOWN_TOPIC_OR_PARTITION"), Some("INVALID_REQUEST"), None]);
    assert_eq!(answers[2].results[0].base_offset, 0);
    let late_open = Message::Open(v1::ProduceStreamOpen::default());
    let refused = self::answers(&node, vec![batch(Some(0), &["z"]), late_open]).await.unwrap_err();
    assert_eq!(status::code_of(&refused), Some(ErrorCode::InvalidRequest));
    node.stop().await;
}

#[tokio::test]
async fn errors_bear_kafkas_name_and_whether_to_retry() {
    let node = Node::start().await;
    topic(&node).await;
    let mut consumer = ConsumerClient::new(channel(&node).await);
    let fetch = |topic, offset| v1::FetchRequest {
        partitions: vec![v1::FetchPartition {
            topic,
            partition: 0,
            start: Some(v1::fetch_partition::Start::Offset(offset)),
            current_leader_epoch: None,
        }],
        ..v1::FetchRequest::default()
    };
    let refused = consumer.fetch(fetch(by_name("nowhere"), 0)).await.unwrap_err();
    let error = status::error_of(&refused).unwrap();
    assert_eq!((error.name.as_str(), error.retriable), ("UNKNOWN_TOPIC_OR_PARTITION", true));
    let mut stream = consumer.fetch(fetch(by_name("t"), 5)).await.unwrap().into_inner();
    let error = status::error_of(&stream.message().await.unwrap_err()).unwrap();
    assert_eq!(
        (error.name.as_str(), error.topic.as_deref(), error.partition),
        ("OFFSET_OUT_OF_RANGE", Some("t"), Some(0))
    );
    let unknown = consumer.fetch(fetch(by_id(TopicId::ZERO), 0)).await.unwrap_err();
    assert_eq!(status::code_of(&unknown), Some(ErrorCode::UnknownTopicId));
    node.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_nothing_is_appended() {
    let node = Node::start().await;
    topic(&node).await;
    let mut producer = ProducerClient::new(channel(&node).await);
    let value = "x".repeat(MAX_MESSAGE_BYTES);
    let batch = |content| v1::ProduceBatch { topic: by_name("t"), partition: Some(0), base_sequence: None, content };
    let request = |content| v1::ProduceRequest { batch: Some(batch(content)), ..v1::ProduceRequest::default() };
    let refused = producer.produce(request(records(&[&value]))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(refused.message().ends_with("takes at most 4194304 (grpc.max.message.bytes)"), "{}", refused.message());
    let too_large = producer.produce(request(records(&[&value[..2 << 20]]))).await.unwrap_err();
    assert_eq!(status::code_of(&too_large), Some(ErrorCode::MessageTooLarge), "the topic's own limit");
    let answer = producer.produce(request(records(&["small"]))).await.unwrap().into_inner();
    assert_eq!(answer.results[0].base_offset, 0);
    node.stop().await;
}

#[tokio::test]
async fn without_a_partition_records_are_spread_by_key_and_each_is_told_its_place() {
    let node = Node::start().await;
    topic(&node).await;
    let keys: Vec<String> = (0..20).map(|n| format!("key {n}")).collect();
    let record = |key: &String| v1::Record { key: Some(Bytes::from(key.clone())), ..v1::Record::default() };
    let content = Some(Content::Records(v1::RecordList { records: keys.iter().map(record).collect() }));
    let batch = v1::ProduceBatch { topic: by_name("t"), partition: None, base_sequence: None, content };
    let request = v1::ProduceRequest { batch: Some(batch), ..v1::ProduceRequest::default() };
    let answer = ProducerClient::new(channel(&node).await).produce(request).await.unwrap().into_inner();
    let mut told = 0;
    for result in answer.results {
        assert_eq!(result.error, None);
        for index in result.record_indexes {
            assert_eq!(result.partition, levada_types::key_partition(keys[index as usize].as_bytes(), 2));
            told += 1;
        }
    }
    assert_eq!(told, keys.len());
    node.stop().await;
}
