//! Partitions with several replicas.

use std::sync::Arc;

use levada_broker::api::{Acks, DeleteRecords, ListOffset, OffsetSpec, Produce, ProducePartition};
use levada_log::sim::SimDisk;
use levada_types::{ErrorCode, Isolation, Offset, TopicIdPartition};

use super::cluster::{Cluster, values_in};
use super::{LIMIT, batch_of};

const ALL: [i32; 3] = [1, 2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_by_all_is_in_every_log() {
    let cluster = Cluster::start(3, &[]).await;
    let id = cluster.create("orders", &ALL, &[("min.insync.replicas", "2")]).await;
    for value in ["a", "b", "c"] {
        cluster.put(1, id, Acks::All, value).await.unwrap();
    }
    let leaders = cluster.segment(1, "orders");
    assert_eq!(values_in(&leaders), ["a", "b", "c"]);
    assert_eq!(cluster.segment(2, "orders"), leaders);
    assert_eq!(cluster.segment(3, "orders"), leaders);
    assert_eq!(cluster.values(1, id).await, ["a", "b", "c"]);
    cluster.in_sync(id, &ALL).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_replica_leads_when_the_leader_stops_and_it_comes_back_into_sync() {
    let mut cluster = Cluster::start(3, &[]).await;
    let id = cluster.create("orders", &ALL, &[("min.insync.replicas", "2")]).await;
    cluster.put(1, id, Acks::All, "a").await.unwrap();
    cluster.stop_broker(1).await;
    cluster.in_sync(id, &[2, 3]).await;
    assert_ne!(cluster.leader(id), 1);
    assert_eq!(cluster.put_somehow(id, "b").await, 1);

    cluster.start_broker(1).await;
    cluster.in_sync(id, &ALL).await;
    assert_eq!(cluster.put_somehow(id, "c").await, 2);
    let leaders = cluster.segment(cluster.leader(id), "orders");
    assert_eq!(values_in(&leaders), ["a", "b", "c"]);
    for broker in ALL {
        assert_eq!(cluster.segment(broker, "orders"), leaders);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_minimum_acks_all_is_refused_and_reading_goes_on() {
    let mut cluster = Cluster::start(3, &[]).await;
    let id = cluster.create("orders", &ALL, &[("min.insync.replicas", "2")]).await;
    cluster.put(1, id, Acks::All, "a").await.unwrap();
    cluster.stop_broker(3).await;
    cluster.in_sync(id, &[1, 2]).await;
    assert_eq!(cluster.put_somehow(id, "b").await, 1);
    cluster.stop_broker(2).await;
    cluster.in_sync(id, &[1]).await;
    let refused = cluster.put(1, id, Acks::All, "refused").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotEnoughReplicas);
    assert_eq!(cluster.values(1, id).await, ["a", "b"]);
    // One that waits for nobody is taken, and is not shown before enough replicas have it.
    assert_eq!(cluster.put(1, id, Acks::Leader, "c").await.unwrap(), 2);
    assert_eq!(cluster.values(1, id).await, ["a", "b"]);

    cluster.start_broker(2).await;
    cluster.in_sync(id, &[1, 2]).await;
    assert_eq!(cluster.put_somehow(id, "d").await, 3);
    assert_eq!(cluster.values(cluster.leader(id), id).await, ["a", "b", "c", "d"]);
    assert_eq!(cluster.segment(2, "orders"), cluster.segment(1, "orders"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_falls_behind_leaves_the_set_and_comes_back_when_it_has_caught_up() {
    let mut cluster = Cluster::start(2, &[("replica.lag.time.max.ms", "400")]).await;
    let disk = SimDisk::new();
    cluster.start_broker_on(3, Arc::new(disk.clone())).await;
    let id = cluster.create("orders", &ALL, &[("min.insync.replicas", "2")]).await;
    cluster.put(1, id, Acks::All, "a").await.unwrap();

    // It can take nothing more, so that this is answered only when the set has shrunk.
    disk.set_capacity(1);
    assert_eq!(cluster.put_somehow(id, "b").await, 1);
    cluster.in_sync(id, &[1, 2]).await;
    assert_eq!(cluster.segment(2, "orders"), cluster.segment(1, "orders"));

    disk.set_capacity(u64::MAX);
    cluster.in_sync(id, &ALL).await;
    assert_eq!(cluster.put_somehow(id, "c").await, 2);
    assert_eq!(cluster.values(1, id).await, ["a", "b", "c"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_deleted_at_every_replica_before_the_answer() {
    let mut cluster = Cluster::start(3, &[]).await;
    let id = cluster.create("orders", &ALL, &[]).await;
    for value in ["a", "b", "c"] {
        cluster.put(1, id, Acks::All, value).await.unwrap();
    }
    let deleted = cluster.broker(1).delete_records(vec![DeleteRecords { partition: id, before: Some(2) }], LIMIT).await;
    assert_eq!(deleted, [Ok(2)]);
    // Whoever leads next has done it already.
    cluster.stop_broker(1).await;
    cluster.in_sync(id, &[2, 3]).await;
    assert_eq!(earliest(&cluster, id).await, 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_replica_of_a_log_that_starts_within_a_batch_gets_in_sync_and_starts_there_too() {
    let mut cluster = Cluster::start(2, &[]).await;
    let id = cluster.create("orders", &[1], &[]).await;
    let partitions = vec![ProducePartition { partition: id, records: batch_of(&["a", "b", "c"]) }];
    let produced = cluster.broker(1).produce(Produce { acks: Acks::All, timeout: LIMIT, partitions }).await;
    assert_eq!(produced[0].as_ref().unwrap().base_offset, 0);
    let deleted = cluster.broker(1).delete_records(vec![DeleteRecords { partition: id, before: Some(1) }], LIMIT).await;
    assert_eq!(deleted, [Ok(1)]);
    cluster.reassign(id, &[1, 2]).await;
    cluster.in_sync(id, &[1, 2]).await;
    assert_eq!(cluster.put(1, id, Acks::All, "d").await, Ok(3));
    assert_eq!(cluster.segment(2, "orders"), cluster.segment(1, "orders"));
    cluster.stop_broker(1).await;
    cluster.in_sync(id, &[2]).await;
    assert_eq!(earliest(&cluster, id).await, 1);
    cluster.stop().await;
}

/// Where the log starts, as its leader says.
async fn earliest(cluster: &Cluster, partition: TopicIdPartition) -> Offset {
    let asked = ListOffset { partition, spec: OffsetSpec::Earliest, current_leader_epoch: None };
    let leader = cluster.broker(cluster.leader(partition));
    leader.list_offsets(vec![asked], Isolation::ReadUncommitted).await.remove(0).unwrap().offset
}
