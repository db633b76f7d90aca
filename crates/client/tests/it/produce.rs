//! Producing through the client.

use std::time::Duration;

use bytes::Bytes;
use levada_client::{Acks, ClientError, Compression, NewTopic, ProducerRecord, StartAt};
use levada_records::BatchBuilder;
use levada_types::{ErrorCode, key_partition};

use crate::node::Node;

#[tokio::test]
async fn every_compression_comes_back_byte_for_byte() {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("t").partitions(1)).await.unwrap();
    let values: Vec<Bytes> =
        (0..200u32).map(|n| Bytes::from(format!("value {n} ").repeat(n as usize % 50 + 1))).collect();
    let mut expected = Vec::new();
    for compression in Compression::ALL {
        let producer = client.producer().compression(compression, None).batch_size(2_000).build().await.unwrap();
        let mut deliveries = Vec::new();
        for value in &values {
            let record = ProducerRecord::to("t")
                .key(compression.name().to_owned())
                .value(value.clone())
                .header("h", None)
                .timestamp_ms(1_700_000_000_000);
            deliveries.push(producer.send(record).await.unwrap());
        }
        producer.flush().await;
        for (delivery, value) in deliveries.into_iter().zip(&values) {
            let offset = delivery.await.unwrap().offset.unwrap();
            assert_eq!(offset, expected.len() as i64, "offsets follow the order of the calls");
            expected.push((compression.name(), value.clone()));
        }
    }
    let mut consumer = client.consumer().topic("t", StartAt::Earliest).stop_at_end(true).build().await.unwrap();
    let mut seen = 0;
    while let Some(record) = consumer.next().await.unwrap() {
        let (name, value) = &expected[seen];
        assert_eq!(record.offset, seen as i64);
        assert_eq!(record.key.as_deref(), Some(name.as_bytes()));
        assert_eq!(record.value.as_ref(), Some(value));
        assert_eq!((record.headers[0].key.as_ref(), record.headers[0].value.as_ref()), (&b"h"[..], None));
        seen += 1;
    }
    assert_eq!(seen, expected.len());
    node.stop().await;
}

#[tokio::test]
async fn keys_go_to_their_partitions_and_the_first_record_creates_its_topic() {
    let node = Node::start().await;
    let client = node.client();
    let producer = client.producer().build().await.unwrap();
    for n in 0..20 {
        let key = format!("key {n}");
        let delivery = producer.send(ProducerRecord::to("made-on-demand").key(key.clone()).value("v")).await.unwrap();
        assert_eq!(delivery.await.unwrap().partition, key_partition(key.as_bytes(), 2));
    }
    let strict = client.producer().auto_create_topics(false).build().await.unwrap();
    let refused = strict.send(ProducerRecord::to("unknown").value("v")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownTopicOrPartition);
    let refused = producer.send(ProducerRecord::to("made-on-demand").partition(2).value("v")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownTopicOrPartition);
    let refused = producer.send(ProducerRecord::to("a b").value("v")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidTopicException);
    node.stop().await;
}

#[tokio::test]
async fn a_record_that_the_topic_refuses_fails_alone() {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("t").partitions(1).config("max.message.bytes", "1000")).await.unwrap();
    let producer = client.producer().batch_size(1).max_in_flight(5).build().await.unwrap();
    let mut deliveries = Vec::new();
    for size in [10, 5_000, 10, 10, 5_000, 10] {
        deliveries.push(producer.send(ProducerRecord::to("t").value(vec![b'x'; size])).await.unwrap());
    }
    let mut outcomes = Vec::new();
    for delivery in deliveries {
        outcomes.push(delivery.await.map(|metadata| metadata.offset).map_err(|error| error.code()));
    }
    let refused = Err(ErrorCode::MessageTooLarge);
    assert_eq!(outcomes, [Ok(Some(0)), refused, Ok(Some(1)), Ok(Some(2)), refused, Ok(Some(3))]);
    node.stop().await;
}

#[tokio::test]
async fn a_producer_outlives_a_restart_without_losing_or_doubling_anything() {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("t").partitions(1)).await.unwrap();
    let producer = client.producer().batch_size(200).linger(Duration::ZERO).build().await.unwrap();
    let send = async |n: u32| producer.send(ProducerRecord::to("t").value(n.to_string())).await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..500 {
        deliveries.push(send(n).await);
    }
    let stopped = node.stop().await;
    for n in 500..700 {
        deliveries.push(send(n).await);
    }
    let node = stopped.start().await;
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    let mut consumer = client.consumer().topic("t", StartAt::Earliest).stop_at_end(true).build().await.unwrap();
    let mut values = Vec::new();
    while let Some(record) = consumer.next().await.unwrap() {
        values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
    }
    assert_eq!(values, (0..700).map(|n: u32| n.to_string()).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test]
async fn a_closed_producer_has_sent_everything_and_takes_nothing_more() {
    let node = Node::start().await;
    let client = node.client();
    let producer = client.producer().linger(Duration::from_secs(3_600)).build().await.unwrap();
    let clone = producer.clone();
    let delivery = producer.send(ProducerRecord::to("t").partition(0).value("v")).await.unwrap();
    producer.close().await;
    assert_eq!(delivery.await.unwrap().offset, Some(0));
    let refused = clone.send(ProducerRecord::to("t").value("v")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Closed), "{refused}");

    let dropped = client.producer().linger(Duration::from_secs(3_600)).build().await.unwrap();
    let lost = dropped.send(ProducerRecord::to("t").value("v")).await.unwrap();
    drop(dropped);
    assert!(matches!(lost.await, Err(ClientError::Closed)));
    node.stop().await;
}

#[tokio::test]
async fn without_idempotence_and_with_every_acks() {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("t").partitions(1)).await.unwrap();
    for (acks, offset) in [(Acks::All, Some(0)), (Acks::Leader, Some(1)), (Acks::None, None), (Acks::All, Some(3))] {
        let producer = client.producer().idempotence(false).acks(acks).build().await.unwrap();
        let delivery = producer.send(ProducerRecord::to("t").value("v")).await.unwrap();
        assert_eq!(delivery.await.unwrap().offset, offset, "{acks:?}");
    }
    let refused = client.producer().acks(Acks::Leader).build().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidConfig);
    node.stop().await;
}

#[tokio::test]
async fn raw_batches_are_stored_as_they_are() {
    let node = Node::start().await;
    let client = node.client();
    client.admin().create_topic(NewTopic::new("t").partitions(1)).await.unwrap();
    let mut raw = client.raw_producer("t", 0).acks(Acks::Leader).max_in_flight(3).open().await.unwrap();
    let batch = |value: &str| {
        let mut builder = BatchBuilder::new();
        builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]).unwrap();
        builder.build(Compression::Lz4, None).unwrap()
    };
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(raw.send(batch(&n.to_string())).await.unwrap());
    }
    for (n, delivery) in (0..10).zip(deliveries) {
        assert_eq!(delivery.await.unwrap().base_offset, Some(n));
    }
    let two = raw.send(Bytes::from([batch("a"), batch("b")].concat())).await.unwrap();
    assert_eq!(two.await.unwrap().base_offset, Some(10));
    let mut damaged = batch("c").to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let refused = raw.send(Bytes::from(damaged)).await.unwrap();
    assert_eq!(refused.await.unwrap_err().code(), ErrorCode::CorruptMessage);
    assert_eq!(raw.send(batch("d")).await.unwrap().await.unwrap().base_offset, Some(12));
    node.stop().await;
}
