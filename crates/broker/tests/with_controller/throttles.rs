//! Catching up within a rate (KIP-73).

use levada_broker::api::Acks;
use levada_metadata::{AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, Response};
use levada_types::{BrokerId, TopicIdPartition};

use super::LIMIT;
use super::cluster::Cluster;

async fn set(cluster: &Cluster, setting: &str, change: ConfigChange) {
    let changes = vec![(setting.to_owned(), change)];
    let resources = vec![ConfigAlteration { target: ConfigTarget::DefaultBroker, changes }];
    let command = Command::AlterConfigs { resources, mode: AlterConfigsMode::Incremental, validate_only: false };
    let answer = cluster.any().submit(command, LIMIT).await.unwrap();
    let Response::AlterConfigs(items) = answer else { panic!("another answer: {answer:?}") };
    items[0].result.as_ref().unwrap();
}

/// More than one frame holds, so that the second one has to wait.
async fn fill(cluster: &Cluster, id: TopicIdPartition) {
    let value = "x".repeat(400_000);
    for _ in 0..8 {
        cluster.put(1, id, Acks::All, &value).await.unwrap();
    }
}

async fn is_held_and_let_go(rate: &str, list: &str) {
    let cluster = Cluster::start(2, &[]).await;
    let listed = cluster.create("listed", &[1], &[(list, "*")]).await;
    let other = cluster.create("other", &[1], &[]).await;
    fill(&cluster, listed).await;
    fill(&cluster, other).await;
    set(&cluster, rate, ConfigChange::Set("1".to_owned())).await;
    cluster.reassign(listed, &[1, 2]).await;
    cluster.everywhere(|image| image.partition(listed.topic_id, 0).unwrap().has_replica(BrokerId(2))).await;
    let (whole, name) = (cluster.segment(1, "listed").len(), "listed");
    let begun = async {
        while cluster.segment_len(2, name) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, begun).await.unwrap();
    // Others go on beside it.
    cluster.reassign(other, &[1, 2]).await;
    cluster.in_sync(other, &[1, 2]).await;
    assert!(cluster.segment_len(2, name) < whole);
    set(&cluster, rate, ConfigChange::Delete).await;
    cluster.in_sync(listed, &[1, 2]).await;
    // In sync, it is not throttled, whatever the lists say.
    set(&cluster, rate, ConfigChange::Set("1".to_owned())).await;
    fill(&cluster, listed).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_sends_to_listed_replicas_that_catch_up_within_its_rate() {
    is_held_and_let_go("leader.replication.throttled.rate", "leader.replication.throttled.replicas").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_takes_of_listed_replicas_that_catch_up_within_its_rate() {
    is_held_and_let_go("follower.replication.throttled.rate", "follower.replication.throttled.replicas").await;
}
