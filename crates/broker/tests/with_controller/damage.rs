//! Logs that are found shorter than they were, or with bytes that nobody wrote.

use std::fs;

use levada_broker::api::Acks;
use levada_types::{BrokerId, TopicIdPartition};

use super::cluster::Cluster;

const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// Two brokers that both hold everything have stopped; then something happens to the files of the first, which is the first
/// one back.
async fn first_back_after(damage: impl FnOnce(&Cluster)) -> (Cluster, TopicIdPartition) {
    let mut cluster = Cluster::start(3, &[]).await;
    let id = cluster.create("orders", &[1, 2], &[("min.insync.replicas", "2")]).await;
    for value in ["a", "b", "c"] {
        cluster.put(1, id, Acks::All, value).await.unwrap();
    }
    cluster.stop_broker(1).await;
    cluster.in_sync(id, &[2]).await;
    cluster.stop_broker(2).await;
    cluster.everywhere(|image| image.partition(id.topic_id, 0).unwrap().leader.is_none()).await;
    damage(&cluster);
    cluster.start_broker(1).await;
    (cluster, id)
}

/// The one that has lost something does not lead, and gets it from the other.
async fn waits_for_the_other((mut cluster, id): (Cluster, TopicIdPartition)) {
    let leader = cluster.broker(1).image().partition(id.topic_id, 0).unwrap().leader;
    assert_eq!(leader, None, "the other one has everything");
    cluster.start_broker(2).await;
    cluster.in_sync(id, &[1, 2]).await;
    assert_eq!(cluster.values(cluster.leader(id), id).await, ["a", "b", "c"]);
    assert_eq!(cluster.segment(1, "orders"), cluster.segment(2, "orders"));
    let losses = cluster.any().image().partition(id.topic_id, 0).unwrap().possible_losses;
    assert_eq!(losses, 0);
    // From now on it is complete again, also after the next kill.
    let registered = cluster.any().image().broker(BrokerId(1)).unwrap().boot_id.clone();
    assert!(registered.is_some(), "which boot it is, is known");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_below_what_was_committed_is_not_complete() {
    let found = first_back_after(|cluster| {
        let path = cluster.log_dir(1).join("orders-0/00000000000000000000.log");
        let batch = cluster.segment_len(1, "orders") / 3;
        fs::File::options().write(true).open(path).unwrap().set_len(2 * batch as u64).unwrap();
    });
    waits_for_the_other(found.await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_bytes_that_nobody_wrote_is_not_complete() {
    let found = first_back_after(|cluster| {
        // As after a kill: nothing says how far the log was committed, and it is recovered.
        for file in [CLEAN_SHUTDOWN, HIGH_WATERMARKS] {
            fs::remove_file(cluster.log_dir(1).join(file)).unwrap();
        }
        let path = cluster.log_dir(1).join("orders-0/00000000000000000000.log");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.iter_mut().rev().nth(2).unwrap() ^= 0x5a;
        fs::write(path, bytes).unwrap();
    });
    waits_for_the_other(found.await).await;
}
