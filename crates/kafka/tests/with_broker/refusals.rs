//! Requests that are understood and refused: with the error that Kafka gives, and no more refused than that.

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest,
};
use kafka_protocol::protocol::StrBytes;
use levada_records::{BatchBuilder, Compression};
use uuid::Uuid;

use crate::client::{Client, batch, produce, topic_name};
use crate::node::Node;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// What comes of creating a topic of one partition.
async fn create(client: &mut Client, name: &str, configs: &[(&str, &str)]) -> i16 {
    let config = |&(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)));
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(1)
        .with_replication_factor(-1)
        .with_configs(configs.iter().map(config).collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
    client.call(7, &request).await.topics.remove(0).error_code
}

async fn append(client: &mut Client, version: i16, records: Bytes) -> PartitionProduceResponse {
    let mut response = client.call(version, &produce("t", 0, 1, records)).await;
    response.responses.remove(0).partition_responses.remove(0)
}

/// A batch whose records have these keys.
fn keyed(keys: &[Option<&[u8]>], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for key in keys {
        builder.append(1_000, *key, Some(b"value"), &[]).unwrap();
    }
    builder.build(compression, None).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_a_partition_that_is_named_twice_are_not_told() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.create("t", 3).await;
    client.create("u", 1).await;
    let asked = |index, timestamp| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_current_leader_epoch(-1)
            .with_timestamp(timestamp)
    };
    let topic = |name, partitions| ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions(partitions);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![
        topic("t", vec![asked(0, -1), asked(1, -1), asked(0, -2)]),
        topic("u", vec![asked(0, -1)]),
        // A topic may be named in two places.
        topic("t", vec![asked(2, -1), asked(2, -1)]),
    ]);
    for version in [1, 7, 10] {
        let response = client.call(version, &request).await;
        let codes: Vec<Vec<(i16, i64)>> = response
            .topics
            .iter()
            .map(|topic| topic.partitions.iter().map(|found| (found.error_code, found.offset)).collect())
            .collect();
        let (refused, found) = ((42, -1), (0, 0));
        assert_eq!(codes, [vec![refused, found, refused], vec![found], vec![refused, refused]], "{version}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_that_is_to_blame_is_named() {
    let node = Node::start().await;
    let mut client = node.client().await;
    assert_eq!(create(&mut client, "t", &[("cleanup.policy", "compact")]).await, 0);
    let records = keyed(&[Some(b"a"), None, Some(b"b")], Compression::None);
    for version in [3, 7, 8, 12] {
        let refused = append(&mut client, version, records.clone()).await;
        assert_eq!((refused.error_code, refused.base_offset), (87, -1), "{version}");
        let told: Vec<(i32, bool)> = refused
            .record_errors
            .iter()
            .map(|error| {
                let message = error.batch_index_error_message.as_deref().unwrap_or_default();
                (error.batch_index, message.contains("has no key"))
            })
            .collect();
        assert_eq!(told, if version >= 8 { vec![(1, true)] } else { vec![] }, "{version}");
        assert_eq!(refused.error_message.is_some(), version >= 8, "{version}");
    }
    // What is wrong with the batch as a whole blames no record.
    let mut corrupt = records.to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let refused = append(&mut client, 12, corrupt.into()).await;
    assert_eq!((refused.error_code, refused.record_errors.len()), (2, 0));
    assert!(refused.error_message.unwrap().contains("checksum"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_that_do_not_know_zstd_neither_send_nor_get_it() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let records = || keyed(&[Some(b"a")], Compression::Zstd);
    client.create("t", 1).await;
    for (version, code) in [(3, 76), (6, 76), (7, 0), (12, 0)] {
        assert_eq!(append(&mut client, version, records()).await.error_code, code, "Produce {version}");
    }
    assert_eq!(append(&mut client, 3, keyed(&[Some(b"a")], Compression::Lz4)).await.error_code, 0);

    assert_eq!(create(&mut client, "zstd", &[("compression.type", "zstd")]).await, 0);
    client.append("zstd", 0, batch(b"x")).await;
    for (version, code) in [(4, 76), (9, 76), (10, 0), (12, 0)] {
        let (_, partition) = client.read(version, "zstd", Uuid::nil(), 0).await;
        assert_eq!(partition.error_code, code, "Fetch {version}");
        assert_eq!(partition.records.is_some_and(|records| !records.is_empty()), code == 0, "Fetch {version}");
        let (_, other) = client.read(version, "t", Uuid::nil(), 0).await;
        assert_eq!(other.error_code, 0, "a topic that says nothing of zstd");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_deleted_by_name_or_by_id_and_not_by_both() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let id = client.create("t", 1).await;
    let gone = client.create("gone", 1).await;
    let state = |name: Option<&str>, id| DeleteTopicState::default().with_name(name.map(topic_name)).with_topic_id(id);
    let topics = vec![state(Some("t"), id), state(None, Uuid::nil()), state(None, gone)];
    let request = DeleteTopicsRequest::default().with_topics(topics).with_timeout_ms(60_000);
    let mut results: Vec<(Option<String>, i16)> = client
        .call(6, &request)
        .await
        .responses
        .into_iter()
        .map(|result| (result.name.map(|name| name.0.to_string()), result.error_code))
        .collect();
    results.sort();
    assert_eq!(results, [(None, 42), (Some("gone".to_owned()), 0), (Some("t".to_owned()), 42)]);
    assert_eq!(client.append("t", 0, batch(b"still there")).await.error_code, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_may_create_internal_topics_but_that_of_the_metadata() {
    let node = Node::start().await;
    let mut client = node.client().await;
    assert_eq!(create(&mut client, "__cluster_metadata", &[]).await, 29, "TOPIC_AUTHORIZATION_FAILED");
    assert_eq!(create(&mut client, "__consumer_offsets", &[]).await, 0);
    let names = ["__cluster_metadata", "__consumer_offsets"];
    let asked = names.map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name)))).to_vec();
    let request = MetadataRequest::default().with_topics(Some(asked)).with_allow_auto_topic_creation(false);
    let told = client.call(9, &request).await;
    let told: Vec<(i16, bool)> = told.topics.iter().map(|topic| (topic.error_code, topic.is_internal)).collect();
    assert_eq!(told, [(3, false), (0, true)]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused() {
    let node = Node::start().await;
    let mut client = node.client().await;
    for (name, code) in [(None, 0), (Some(""), 42), (Some("tx"), 15)] {
        let request = InitProducerIdRequest::default().with_transactional_id(name.map(|name| text(name).into()));
        assert_eq!(client.call(4, &request).await.error_code, code, "{name:?}");
    }
    for (kind, code) in [(1, 0), (2, 114), (0, 115), (3, 115)] {
        let request = DescribeClusterRequest::default().with_endpoint_type(kind);
        assert_eq!(client.call(1, &request).await.error_code, code, "endpoint type {kind}");
    }
    node.stop().await;
}
