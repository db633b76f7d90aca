//! Clients that send what no client should: they lose their connection, and nobody else notices.

use bytes::{Buf, BufMut, BytesMut};
use kafka_protocol::messages::{ApiVersionsResponse, MetadataRequest};
use kafka_protocol::protocol::Decodable;
use levada_kafka::KafkaOptions;
use uuid::Uuid;

use crate::client::{Client, batch, produce};
use crate::node::Node;

/// Whether a client is served as if nothing had happened.
async fn assert_served(client: &mut Client) {
    let response = client.call(9, &MetadataRequest::default().with_topics(Some(vec![]))).await;
    assert_eq!(response.brokers.len(), 1);
}

fn header(key: i16, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_i16(-1);
    frame
}

fn framed(body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(body.len()).unwrap());
    frame.put_slice(body);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_frames_cost_only_their_connection() {
    let node = Node::start().await;
    let mut bystander = node.client().await;
    bystander.create("t", 1).await;
    let mut lying = header(3, 1);
    lying.put_i32(i32::MAX);
    let mut negative = header(3, 1);
    negative.put_i32(-7);
    let frames = [
        framed(&header(999, 0)),
        framed(&header(0, 2)),
        framed(&header(3, 99)),
        framed(&lying),
        framed(&negative),
        framed(b"\0\x03"),
        framed(&[0xff; 64]),
        BytesMut::from(&i32::MIN.to_be_bytes()[..]),
        BytesMut::from(&(200_i32 << 20).to_be_bytes()[..]),
        BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..]),
    ];
    for frame in frames {
        let mut client = node.client().await;
        client.send_bytes(&frame).await;
        assert_eq!(client.frame().await, None, "{frame:?}");
    }
    // An error of a request that wants no answer.
    let mut client = node.client().await;
    client.send(9, &produce("absent", 0, 0, batch(b"x"))).await;
    assert_eq!(client.frame().await, None);
    assert_served(&mut bystander).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.send_bytes(&framed(&header(18, 55))).await;
    let mut frame = client.frame().await.unwrap();
    assert_eq!(frame.get_i32(), 77);
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert!(!frame.has_remaining());
    assert_eq!(response.error_code, 35);
    let of =
        |key| response.api_keys.iter().find(|api| api.api_key == key).map(|api| (api.min_version, api.max_version));
    assert_eq!((of(0), of(18), of(26)), (Some((0, 13)), Some((0, 4)), None));
    assert_served(&mut client).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_bytes_take_nothing_from_those_who_send() {
    // Announced are thirty gigabytes; there is memory for one request of the greatest size and a little more.
    let options = KafkaOptions { queued_max_request_bytes: 1, ..KafkaOptions::default() };
    let node = Node::with(options).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut client = node.client().await;
        client.send_bytes(&(100_i32 << 20).to_be_bytes()).await;
        silent.push(client);
    }
    let mut client = node.client().await;
    client.create("t", 1).await;
    for _ in 0..20 {
        assert_eq!(client.append("t", 0, batch(&[1; 900_000])).await.error_code, 0);
    }
    let (_, partition) = client.read(12, "t", Uuid::nil(), 19).await;
    assert!(partition.records.unwrap().len() > 900_000);
    drop(silent);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_is_closed() {
    let node = Node::with(KafkaOptions { max_connections: 2, ..KafkaOptions::default() }).await;
    let (mut first, mut second) = (node.client().await, node.client().await);
    assert_served(&mut first).await;
    assert_served(&mut second).await;
    let mut third = Client::connect(node.address()).await;
    assert_eq!(third.frame().await, None);
    assert_served(&mut first).await;
    node.stop().await;
}
