//! Consumers that read from the replica in their rack (KIP-392).

use std::time::Duration;

use levada_broker::api::{Acks, DeleteRecords, Fetch, FetchPartition, FetchedPartition, ReadFrom};
use levada_types::{BrokerId, ErrorCode, Isolation, LeaderEpoch, Offset, TopicIdPartition};

use super::LIMIT;
use super::cluster::{Cluster, values_in};

const RACK_AWARE: (&str, &str) = ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector");

fn from(partition: TopicIdPartition, offset: Offset) -> FetchPartition {
    FetchPartition { partition, offset, max_bytes: 1 << 20, current_leader_epoch: None, last_fetched_epoch: None }
}

/// What a consumer in this rack gets from this broker.
async fn ask(
    cluster: &Cluster,
    broker: i32,
    rack: &str,
    asked: FetchPartition,
    max_wait: Duration,
) -> FetchedPartition {
    let request = Fetch {
        max_wait,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation: Isolation::ReadUncommitted,
        read_from: ReadFrom::Nearest { rack: rack.to_owned() },
        partitions: vec![asked],
    };
    cluster.broker(broker).fetch(&request).await.remove(0)
}

fn values(fetched: &FetchedPartition) -> Vec<String> {
    values_in(&fetched.records.as_ref().map(|records| records.to_bytes().unwrap()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_is_sent_to_the_in_sync_replica_in_its_rack_and_served_there() {
    let mut cluster = Cluster::start(3, &[RACK_AWARE]).await;
    let id = cluster.create("orders", &[1, 2, 3], &[]).await;
    for value in ["a", "b", "c"] {
        cluster.put(1, id, Acks::All, value).await.unwrap();
    }
    // It is named at once, and without records.
    let told = ask(&cluster, 1, "rack-2", from(id, 0), LIMIT).await;
    assert_eq!((told.error, told.preferred_read_replica), (ErrorCode::None, Some(BrokerId(2))));
    assert_eq!((told.high_watermark, told.records.is_none()), (3, true));
    // The leader serves its own rack, and those where nobody else stands.
    for rack in ["rack-1", "nowhere", ""] {
        let served = ask(&cluster, 1, rack, from(id, 0), LIMIT).await;
        assert_eq!((served.preferred_read_replica, values(&served).len()), (None, 3), "{rack}");
    }
    // What nobody has, nobody is named for.
    assert_eq!(ask(&cluster, 1, "rack-2", from(id, 9), LIMIT).await.error, ErrorCode::OffsetOutOfRange);

    // The follower learns of what is committed with the next frame; whoever asks earlier is not refused, but waits.
    let mut read = Vec::new();
    while read.len() < 3 {
        let served = ask(&cluster, 2, "rack-2", from(id, read.len() as i64), LIMIT).await;
        assert_eq!((served.error, served.preferred_read_replica), (ErrorCode::None, None));
        read.extend(values(&served));
    }
    assert_eq!(read, ["a", "b", "c"]);
    let at_end = ask(&cluster, 2, "rack-2", from(id, 3), Duration::ZERO).await;
    assert_eq!((at_end.error, at_end.high_watermark), (ErrorCode::None, 3));
    let ahead = ask(&cluster, 2, "rack-2", from(id, 4), Duration::ZERO).await;
    assert_eq!((ahead.error, ahead.high_watermark), (ErrorCode::OffsetNotAvailable, -1));
    // A reader that takes from leaders alone is sent away.
    assert_eq!(cluster.fetch(2, id, Duration::ZERO).await.error, ErrorCode::NotLeaderOrFollower);

    // Followers fence leader epochs too (KIP-320).
    let believed = |epoch| FetchPartition { current_leader_epoch: Some(LeaderEpoch(epoch)), ..from(id, 0) };
    let epoch = cluster.broker(2).image().partition(id.topic_id, 0).unwrap().leader_epoch.0;
    let with = |epoch| ask(&cluster, 2, "rack-2", believed(epoch), Duration::ZERO);
    assert_eq!(with(epoch).await.error, ErrorCode::None);
    assert_eq!(with(epoch + 1).await.error, ErrorCode::UnknownLeaderEpoch);
    let fenced = with(epoch - 1).await;
    assert_eq!(fenced.error, ErrorCode::FencedLeaderEpoch);
    assert_eq!(fenced.leader.and_then(|hint| hint.leader), Some(BrokerId(1)));

    // What is deleted is so everywhere, and nobody is sent anywhere for it.
    let delete = DeleteRecords { partition: id, before: Some(2) };
    assert_eq!(cluster.broker(1).delete_records(vec![delete], LIMIT).await, [Ok(2)]);
    for broker in [1, 2] {
        let below = ask(&cluster, broker, "rack-2", from(id, 1), Duration::ZERO).await;
        assert_eq!((below.error, below.log_start_offset), (ErrorCode::OffsetOutOfRange, 2), "{broker}");
    }

    // A replica that is not in sync is not named.
    cluster.stop_broker(2).await;
    cluster.in_sync(id, &[1, 3]).await;
    let served = ask(&cluster, 1, "rack-2", from(id, 2), LIMIT).await;
    assert_eq!((served.preferred_read_replica, values(&served)), (None, vec!["c".to_owned()]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_selector_everybody_reads_from_the_leader() {
    let cluster = Cluster::start(2, &[]).await;
    let id = cluster.create("orders", &[1, 2], &[]).await;
    cluster.put(1, id, Acks::All, "a").await.unwrap();
    let served = ask(&cluster, 1, "rack-2", from(id, 0), LIMIT).await;
    assert_eq!((served.preferred_read_replica, values(&served)), (None, vec!["a".to_owned()]));
    cluster.stop().await;
}
