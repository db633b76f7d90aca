//! Topics, settings and the cluster.

use levada_client::{ConfigChange, ConfigResource, ConfigSource, NewTopic, OffsetTarget, ProducerRecord};
use levada_types::{BrokerId, ErrorCode};

use crate::node::Node;

#[tokio::test]
async fn a_topic_lives_from_its_creation_to_its_deletion() {
    let node = Node::start().await;
    let admin = node.client().admin();
    let created = admin.create_topic(NewTopic::new("orders").partitions(3).config("retention.ms", "-1")).await.unwrap();
    assert_eq!((created.partition_count, created.replication_factor), (3, 1));
    let again = admin.create_topic(NewTopic::new("orders")).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::TopicAlreadyExists);
    assert!(!again.retriable());

    let described = admin.describe_topic("orders").await.unwrap();
    assert_eq!(described.id, created.id);
    assert_eq!(described.partitions.len(), 3);
    assert!(described.partitions.iter().all(|partition| partition.leader == Some(BrokerId(1))));
    admin.add_partitions("orders", 5).await.unwrap();
    assert_eq!(admin.describe_topic("orders").await.unwrap().partitions.len(), 5);
    let fewer = admin.add_partitions("orders", 2).await.unwrap_err();
    assert_eq!(fewer.code(), ErrorCode::InvalidPartitions);

    let listed = admin.list_topics(false).await.unwrap();
    assert_eq!(
        listed.iter().map(|topic| (topic.name.as_str(), topic.partition_count)).collect::<Vec<_>>(),
        [("orders", 5)]
    );
    assert_eq!(admin.delete_topic("orders").await.unwrap(), created.id);
    assert_eq!(admin.describe_topic("orders").await.unwrap_err().code(), ErrorCode::UnknownTopicOrPartition);
    let recreated = admin.create_topic(NewTopic::new("orders")).await.unwrap();
    assert_ne!(recreated.id, created.id, "another topic has the name now");
    node.stop().await;
}

#[tokio::test]
async fn nothing_is_created_where_only_checking_was_asked_for() {
    let node = Node::start().await;
    let admin = node.client().admin();
    admin.create_topic(NewTopic::new("t").validate_only(true)).await.unwrap();
    assert!(admin.list_topics(true).await.unwrap().is_empty());
    let refused = admin.create_topic(NewTopic::new("t").config("no.such.setting", "1")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidConfig);
    let refused = admin.create_topic(NewTopic::new("a b")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidTopicException);
    node.stop().await;
}

#[tokio::test]
async fn settings_tell_where_they_come_from() {
    let node = Node::start().await;
    let admin = node.client().admin();
    admin.create_topic(NewTopic::new("t")).await.unwrap();
    let topic = ConfigResource::Topic("t".to_owned());
    let retention = async || admin.describe_configs(&topic, &["retention.ms"]).await.unwrap().remove(0);
    assert_eq!(retention().await.source, ConfigSource::Default);
    admin.alter_configs(&topic, &[ConfigChange::set("retention.ms", "1000")], true).await.unwrap();
    assert_eq!(retention().await.source, ConfigSource::Default, "that was only a check");
    admin.alter_configs(&topic, &[ConfigChange::set("retention.ms", "1000")], false).await.unwrap();
    let changed = retention().await;
    assert_eq!((changed.value.as_deref(), changed.source), (Some("1000"), ConfigSource::Topic));
    admin.alter_configs(&topic, &[ConfigChange::delete("retention.ms")], false).await.unwrap();
    assert_eq!(retention().await.source, ConfigSource::Default);
    let refused = admin.alter_configs(&topic, &[ConfigChange::set("retention.ms", "soon")], false).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidConfig);
    let all = admin.describe_configs(&ConfigResource::Broker(BrokerId(1)), &[]).await.unwrap();
    assert!(all.len() > 50 && all.is_sorted_by_key(|entry| entry.name.clone()));
    node.stop().await;
}

#[tokio::test]
async fn the_cluster_knows_its_broker_and_where_it_is_reached() {
    let node = Node::start().await;
    let cluster = node.client().admin().describe_cluster().await.unwrap();
    assert_eq!(cluster.cluster_id.len(), 22);
    assert_eq!(cluster.brokers.len(), 1);
    assert_eq!((cluster.brokers[0].id, cluster.brokers[0].grpc_address.as_str()), (BrokerId(1), node.address.as_str()));
    assert!(!cluster.brokers[0].fenced);
    node.stop().await;
}

#[tokio::test]
async fn offsets_are_found_by_place_and_by_time_and_heads_are_deleted() {
    let node = Node::start().await;
    let (client, admin) = (node.client(), node.client().admin());
    admin.create_topic(NewTopic::new("t").partitions(1)).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    let base = 1_700_000_000_000;
    for second in 0..5 {
        let record = ProducerRecord::to("t").value(vec![b'x'; 10]).timestamp_ms(base + 1_000 * second);
        producer.send(record).await.unwrap().await.unwrap();
    }
    let find = async |target| admin.list_offsets("t", &[0], target).await.unwrap()[0].offset;
    assert_eq!(find(OffsetTarget::Earliest).await, 0);
    assert_eq!(find(OffsetTarget::Latest).await, 5);
    assert_eq!(find(OffsetTarget::MaxTimestamp).await, 4);
    assert_eq!(find(OffsetTarget::Timestamp(base + 1_500)).await, 2);
    assert_eq!(find(OffsetTarget::Timestamp(base + 10_000)).await, -1);

    assert_eq!(admin.delete_records("t", &[(0, Some(3))]).await.unwrap(), [(0, 3)]);
    assert_eq!(find(OffsetTarget::Earliest).await, 3);
    let beyond = admin.delete_records("t", &[(0, Some(9))]).await.unwrap_err();
    assert_eq!(beyond.code(), ErrorCode::OffsetOutOfRange);
    assert_eq!(admin.delete_records("t", &[(0, None)]).await.unwrap(), [(0, 5)]);
    node.stop().await;
}
