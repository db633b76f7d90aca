//! Records in and out: order, sessions, waiting, `sendfile`, errors.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::{DeleteTopicsRequest, ProduceRequest, TopicName};
use levada_kafka::KafkaOptions;
use uuid::Uuid;

use crate::client::{Client, batch, fetch, produce, topic_name, unstamped};
use crate::node::Node;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_every_size_leave_by_sendfile_and_without() {
    for fetch_sendfile_enable in [true, false] {
        let node = Node::with(KafkaOptions { fetch_sendfile_enable, ..KafkaOptions::default() }).await;
        let mut client = node.client().await;
        let id = client.create("t", 3).await;
        // Small bodies are joined to what stands around them, the large one takes several steps.
        let mut sent: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 3];
        for (partition, count, size) in [(0, 3, 100), (1, 40, 100_000), (2, 1, 20_000)] {
            for i in 0..count {
                let records = batch(&vec![i; size]);
                sent[partition].extend(unstamped(records.clone()));
                let partition = i32::try_from(partition).unwrap();
                assert_eq!(client.append("t", partition, records).await.error_code, 0);
            }
        }
        let request = fetch(16, "t", id, &[(0, 0), (1, 0), (2, 0)]);
        // Twice on one connection: what follows a body is where it should be.
        for _ in 0..2 {
            let response = client.call(16, &request).await;
            let received: Vec<Vec<Vec<u8>>> = response.responses[0]
                .partitions
                .iter()
                .map(|partition| unstamped(partition.records.clone().unwrap()))
                .collect();
            assert!(received == sent, "sendfile {fetch_sendfile_enable}");
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_appended_and_answered_in_order() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.create("t", 1).await;
    let mut numbers = Vec::new();
    for i in 0..50u8 {
        // Every fifth one wants no answer.
        let acks = if i % 5 == 4 { 0 } else { -1 };
        let number = client.send(9, &produce("t", 0, acks, batch(&[i]))).await;
        numbers.push((i64::from(i), acks, number));
    }
    for (offset, acks, number) in numbers {
        if acks != 0 {
            let response = client.receive::<ProduceRequest>(9, number).await;
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, offset));
        }
    }
    let (_, partition) = client.read(12, "t", Uuid::nil(), 0).await;
    let expected: Vec<Vec<u8>> = (0..50u8).flat_map(|i| unstamped(batch(&[i]))).collect();
    assert_eq!(unstamped(partition.records.unwrap()), expected);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_tells_only_what_changed() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let id = client.create("t", 2).await;
    let first = client.call(13, &fetch(13, "t", id, &[(0, 0), (1, 0)]).with_session_epoch(0)).await;
    assert_eq!(first.responses[0].partitions.len(), 2);
    let session = first.session_id;
    assert!(session > 0);
    let next = |epoch| fetch(13, "t", id, &[]).with_topics(vec![]).with_session_id(session).with_session_epoch(epoch);

    let nothing = client.call(13, &next(1)).await;
    assert_eq!((nothing.session_id, nothing.responses.len()), (session, 0));
    client.append("t", 1, batch(b"news")).await;
    let news = client.call(13, &next(2)).await;
    assert_eq!((news.responses[0].partitions.len(), news.responses[0].partitions[0].partition_index), (1, 1));
    assert_eq!(client.call(13, &next(2)).await.error_code, 71, "an epoch twice");

    let forgotten = ForgottenTopic::default().with_topic_id(id).with_partitions(vec![1]);
    let without = client.call(13, &next(3).with_forgotten_topics_data(vec![forgotten])).await;
    assert!(without.responses.is_empty(), "the records are still there, but are not asked for");
    assert_eq!(client.call(13, &next(4).with_session_id(session ^ 1)).await.error_code, 70, "another session");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_created_again_is_another_topic() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let old = client.create("t", 1).await;
    client.append("t", 0, batch(b"old")).await;
    let by_id = client.call(13, &fetch(13, "t", old, &[(0, 0)]).with_session_epoch(0)).await;
    let by_name = client.call(12, &fetch(12, "t", old, &[(0, 0)]).with_session_epoch(0)).await;

    let deletion = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]).with_timeout_ms(60_000);
    assert_eq!(client.call(5, &deletion).await.responses[0].error_code, 0);
    let new = client.create("t", 1).await;
    assert_ne!(new, old);
    client.append("t", 0, batch(b"new")).await;

    let again = |version, session| {
        fetch(version, "t", old, &[]).with_topics(vec![]).with_session_id(session).with_session_epoch(1)
    };
    let gone = client.call(13, &again(13, by_id.session_id)).await;
    assert_eq!(gone.responses[0].partitions[0].error_code, 100, "UNKNOWN_TOPIC_ID");
    let told = client.call(12, &again(12, by_name.session_id)).await;
    let records = told.responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(unstamped(records), unstamped(batch(b"new")));

    let mut stale = produce("", 0, 1, batch(b"late"));
    stale.topic_data[0].topic_id = old;
    stale.topic_data[0].name = TopicName::default();
    let refused = client.call(13, &stale).await;
    assert_eq!(refused.responses[0].partition_responses[0].error_code, 100);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_waits_for_records_and_holds_later_answers() {
    let node = Node::start().await;
    let (mut reader, mut writer) = (node.client().await, node.client().await);
    let id = writer.create("t", 1).await;
    // Its limit is longer than the test may take, so only the records can end it.
    let request = fetch(12, "t", id, &[(0, 0)]).with_min_bytes(1).with_max_wait_ms(600_000);
    let waiting = reader.send(12, &request).await;
    let behind = reader.send(9, &produce("t", 0, 0, Bytes::new()).with_topic_data(vec![]).with_acks(1)).await;
    assert_eq!(writer.append("t", 0, batch(b"wake up")).await.error_code, 0);
    let response = reader.receive::<kafka_protocol::messages::FetchRequest>(12, waiting).await;
    assert_eq!(unstamped(response.responses[0].partitions[0].records.clone().unwrap()), unstamped(batch(b"wake up")));
    reader.receive::<ProduceRequest>(9, behind).await;
    node.stop().await;
}

/// What comes of a Produce request in version 9.
async fn outcome(client: &mut Client, request: &ProduceRequest) -> i16 {
    client.call(9, request).await.responses[0].partition_responses[0].error_code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_those_that_clients_expect() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let id = client.create("t", 1).await;
    assert_eq!(outcome(&mut client, &produce("absent", 0, 1, batch(b"x"))).await, 3);
    assert_eq!(outcome(&mut client, &produce("t", 7, 1, batch(b"x"))).await, 3);
    assert_eq!(outcome(&mut client, &produce("t", 0, 2, batch(b"x"))).await, 21, "INVALID_REQUIRED_ACKS");
    let mut corrupt = batch(b"x").to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    assert_eq!(outcome(&mut client, &produce("t", 0, 1, corrupt.into())).await, 2, "CORRUPT_MESSAGE");
    let mut old = batch(b"x").to_vec();
    old[16] = 1;
    assert_eq!(outcome(&mut client, &produce("t", 0, 1, old.into())).await, 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT");
    let transactional = produce("t", 0, 1, batch(b"x"))
        .with_transactional_id(Some(kafka_protocol::messages::TransactionalId("tx".to_owned().into())));
    assert_eq!(outcome(&mut client, &transactional).await, 48, "INVALID_TXN_STATE");

    let (_, beyond) = client.read(12, "t", id, 5).await;
    assert_eq!((beyond.error_code, beyond.records), (1, Some(Bytes::new())), "OFFSET_OUT_OF_RANGE");
    let mut fenced = fetch(12, "t", id, &[(0, 0)]);
    fenced.topics[0].partitions[0].current_leader_epoch = 5;
    let answer = client.call(12, &fenced).await;
    assert_eq!(answer.responses[0].partitions[0].error_code, 75, "UNKNOWN_LEADER_EPOCH");
    let (_, nothing) = client.read(12, "t", id, 0).await;
    assert_eq!((nothing.error_code, nothing.high_watermark), (0, 0), "nothing wrong was appended");
    node.stop().await;
}
