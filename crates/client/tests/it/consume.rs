//! Consuming through the client.

use levada_client::{ClientError, ConsumedRecord, Consumer, NewTopic, OffsetReset, ProducerRecord, StartAt};
use levada_types::ErrorCode;

use crate::node::Node;

const BASE_TIME: i64 = 1_700_000_000_000;

/// A topic with one partition and ten records, one per second.
async fn ten_records() -> Node {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("t").partitions(1)).await.unwrap();
    produce(&node, 0..10).await;
    node
}

async fn produce(node: &Node, numbers: std::ops::Range<i64>) {
    let producer = node.client().producer().batch_size(100).build().await.unwrap();
    let mut deliveries = Vec::new();
    for n in numbers {
        let record = ProducerRecord::to("t").partition(0).value(n.to_string()).timestamp_ms(BASE_TIME + 1_000 * n);
        deliveries.push(producer.send(record).await.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

async fn rest(mut consumer: Consumer) -> Result<Vec<i64>, ClientError> {
    let mut offsets = Vec::new();
    while let Some(record) = consumer.next().await? {
        offsets.push(record.offset);
    }
    Ok(offsets)
}

async fn next(consumer: &mut Consumer) -> ConsumedRecord {
    consumer.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn every_way_to_start_finds_its_place() {
    let node = ten_records().await;
    for (start, first) in [
        (StartAt::Earliest, 0),
        (StartAt::Offset(7), 7),
        (StartAt::Timestamp(BASE_TIME + 2_500), 3),
        (StartAt::Latest, 10),
        (StartAt::Timestamp(BASE_TIME + 60_000), 10),
    ] {
        let consumer = node.client().consumer().partition("t", 0, start).stop_at_end(true).build().await.unwrap();
        assert_eq!(rest(consumer).await.unwrap(), (first..10).collect::<Vec<_>>(), "{start:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn at_the_end_it_waits_for_more() {
    let node = ten_records().await;
    let mut consumer = node.client().consumer().topic("t", StartAt::Offset(9)).build().await.unwrap();
    assert_eq!(next(&mut consumer).await.offset, 9);
    produce(&node, 10..12).await;
    assert_eq!([next(&mut consumer).await.offset, next(&mut consumer).await.offset], [10, 11]);
    node.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_broker_is_not_noticed() {
    let node = ten_records().await;
    let mut consumer = node.client().consumer().topic("t", StartAt::Earliest).build().await.unwrap();
    for n in 0..10 {
        assert_eq!(next(&mut consumer).await.offset, n);
    }
    let node = node.stop().await.start().await;
    produce(&node, 10..15).await;
    for n in 10..15 {
        assert_eq!(next(&mut consumer).await.offset, n);
    }
    node.stop().await;
}

#[tokio::test]
async fn many_partitions_come_on_one_stream_each_in_order() {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("many").partitions(7)).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..700 {
        deliveries.push(producer.send(ProducerRecord::to("many").partition(n % 7).value(n.to_string())).await.unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    // Less room than the records take, so that the stream has to wait for the consumer.
    let consumer = client.consumer().topic("many", StartAt::Earliest).fetch_max_bytes(500).prefetch_bytes(1_000);
    let mut consumer = consumer.stop_at_end(true).build().await.unwrap();
    let mut positions = [0; 7];
    while let Some(record) = consumer.next().await.unwrap() {
        let position = &mut positions[record.partition as usize];
        assert_eq!(record.offset, *position);
        let value = (*position * 7 + i64::from(record.partition)).to_string();
        assert_eq!(record.value.unwrap(), value);
        *position += 1;
    }
    assert_eq!(positions, [100; 7]);
    node.stop().await;
}

#[tokio::test]
async fn an_offset_that_does_not_exist_is_reset_or_told() {
    let node = ten_records().await;
    node.client().admin().delete_records("t", &[(0, Some(4))]).await.unwrap();
    let consumer = |reset| {
        let builder = node.client().consumer().partition("t", 0, StartAt::Offset(2));
        builder.auto_offset_reset(reset).stop_at_end(true).build()
    };
    let earliest = consumer(OffsetReset::Earliest).await.unwrap();
    assert_eq!(rest(earliest).await.unwrap(), (4..10).collect::<Vec<_>>());
    let latest = consumer(OffsetReset::Latest).await.unwrap();
    assert_eq!(rest(latest).await.unwrap(), [0; 0]);
    let told = rest(consumer(OffsetReset::Fail).await.unwrap()).await.unwrap_err();
    assert_eq!(told.code(), ErrorCode::OffsetOutOfRange);
    node.stop().await;
}

#[tokio::test]
async fn a_start_beyond_the_end_is_told_and_a_start_at_the_end_is_none() {
    let node = ten_records().await;
    let consumer = |offset| {
        let builder = node.client().consumer().partition("t", 0, StartAt::Offset(offset));
        builder.auto_offset_reset(OffsetReset::Fail).stop_at_end(true).build()
    };
    assert_eq!(rest(consumer(10).await.unwrap()).await.unwrap(), [0; 0]);
    let told = rest(consumer(11).await.unwrap()).await.unwrap_err();
    assert_eq!(told.code(), ErrorCode::OffsetOutOfRange);
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_consumed() {
    let node = ten_records().await;
    let client = node.client();
    let refused = client.consumer().topic("u", StartAt::Earliest).build().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownTopicOrPartition);
    let refused = client.consumer().partition("t", 5, StartAt::Earliest).build().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownTopicOrPartition);
    let twice = client.consumer().partition("t", 0, StartAt::Earliest).topic("t", StartAt::Latest).build().await;
    assert_eq!(twice.unwrap_err().code(), ErrorCode::InvalidConfig);
    let mut consumer = client.consumer().topic("t", StartAt::Latest).build().await.unwrap();
    client.admin().delete_topic("t").await.unwrap();
    assert_eq!(consumer.next().await.unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
    node.stop().await;
}
