//! Topics that come and go, restarts, disks that fail.

use std::sync::Arc;

use levada_log::RecoveryProgress;
use levada_metadata::Image;
use levada_peers::MetadataWatch;
use levada_types::{BrokerEpoch, ErrorCode, TopicIdPartition};

use super::world::{BROKER, OTHER, World, batch, code, held_by, one, registered, tp};
use crate::api::Acks;
use crate::life::{Reconciler, catch_up};

#[tokio::test]
async fn a_clean_restart_keeps_everything() {
    let mut world = World::new();
    let topic = world.create("orders", 3);
    for index in 0..3 {
        world.put(tp(topic, index), &["a", "b"]).await;
    }
    let world = world.restart();
    for index in 0..3 {
        let fetched = world.get(tp(topic, index), 0).await;
        assert_eq!((fetched.error, fetched.high_watermark), (ErrorCode::None, 2));
        assert_eq!(world.values(tp(topic, index), 0).await, ["a", "b"]);
        assert_eq!(world.put(tp(topic, index), &["c"]).await, 2);
    }
}

#[tokio::test]
async fn requests_that_wait_when_the_broker_stops_are_all_answered_and_what_was_acknowledged_stays() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    let before: Vec<_> = (0..100).map(|_| world.broker.produce(one(id, batch(&["in time"]), Acks::Leader))).collect();
    world.stop();
    let late = world.broker.produce(one(id, batch(&["late"]), Acks::Leader)).await;
    assert_eq!(code(&late[0]), ErrorCode::NotLeaderOrFollower);
    for answer in futures::future::join_all(before).await {
        assert_eq!(code(&answer[0]), ErrorCode::None);
    }
    let world = world.again(|| ());
    assert_eq!(world.get(id, 0).await.high_watermark, 100);
}

#[tokio::test]
async fn a_topic_created_again_under_its_name_is_another_topic() {
    let mut world = World::new();
    let first = tp(world.create("orders", 1), 0);
    world.put(first, &["old"]).await;
    world.delete(first.topic_id);
    let second = tp(world.create("orders", 1), 0);
    assert_eq!(world.put(second, &["new"]).await, 0);
    assert_eq!(world.values(second, 0).await, ["new"]);
    assert_eq!(code(&world.produce(first, batch(&["late"])).await), ErrorCode::UnknownTopicId);
    let world = world.restart();
    assert_eq!(world.values(second, 0).await, ["new"]);
}

#[tokio::test]
async fn a_replica_that_moved_away_is_no_longer_hosted() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    world.assign(id, held_by(&[OTHER], Some(OTHER), 1, &[OTHER]));
    assert_eq!(world.broker.partitions.len(), 0);
    assert_eq!(world.get(id, 0).await.error, ErrorCode::NotLeaderOrFollower);
    // If it comes back, it comes back empty.
    world.assign(id, held_by(&[BROKER], Some(BROKER), 2, &[BROKER]));
    assert_eq!(world.get(id, 0).await.high_watermark, 0);
}

#[tokio::test]
async fn logs_that_a_current_image_does_not_know_are_set_aside() {
    let mut world = World::new();
    let kept = tp(world.create("kept", 1), 0);
    let stray = tp(world.create("stray", 1), 0);
    world.put(stray, &["a"]).await;
    // The topic goes while the broker is away.
    let world = world.restart_without(stray.topic_id);
    world.broker.mark_strays(&world.broker.image());
    let found: Vec<_> = world.broker.store.partitions().into_iter().filter_map(|found| found.topic_id).collect();
    assert_eq!(found, [kept.topic_id]);
}

#[tokio::test]
async fn nothing_is_a_stray_before_the_metadata_holds_this_brokers_registration() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    let world = world.restart_unaware();
    let broker = Arc::clone(&world.broker);
    assert_eq!(broker.partitions.len(), 0, "it has heard of nothing yet");

    // The first image that arrives is from before the topic.
    let source = MetadataWatch::holding(Image::new());
    let mut reconciler = Reconciler::new(Arc::clone(&broker), source.clone(), Arc::new(RecoveryProgress::default()));
    broker.epoch.send_replace(Some(BrokerEpoch(5)));
    let catching_up = {
        let (broker, source) = (Arc::clone(&broker), source.clone());
        tokio::spawn(async move { catch_up(&mut reconciler, &broker, &source, BrokerEpoch(5)).await })
    };
    let old = world.image_with(&[registered(BROKER, 4)], 1, false);
    source.publish(&old);
    broker.metadata.wait_for(old.offset(), super::world::FOR_EVER).await.unwrap();
    assert!(!catching_up.is_finished());
    assert_eq!(broker.store.partitions().len(), 1, "the log is still there");

    source.publish(&world.image_with(&[registered(BROKER, 5)], 2, true));
    catching_up.await.unwrap().unwrap();
    assert_eq!(world.values(id, 0).await, ["a"]);
}

#[tokio::test]
async fn an_image_that_a_defect_kept_the_broker_from_acting_upon_is_not_shown() {
    let mut world = World::new();
    world.create("orders", 1);
    let (broker, source) = (Arc::clone(&world.broker), MetadataWatch::holding(Image::new()));
    let before = broker.image().offset();
    let mut reconciler = Reconciler::new(Arc::clone(&broker), source, Arc::new(RecoveryProgress::default()));
    let next = world.image_with(&[registered(BROKER, 1)], before.0 + 1, true);
    let met = reconciler.advance_by(Arc::new(next), |_, _, _, _| panic!("a defect")).await;
    assert!(met.unwrap_err().is_panic());
    assert_eq!(broker.image().offset(), before);
}

#[tokio::test]
async fn many_partitions_are_created_in_one_step() {
    let mut world = World::new();
    let topic = world.create("wide", 500);
    assert_eq!(world.broker.partitions.len(), 500);
    let ids: Vec<TopicIdPartition> = (0..500).map(|index| tp(topic, index)).collect();
    for id in &ids {
        world.put(*id, &["a"]).await;
    }
    assert_eq!(world.values(ids[499], 0).await, ["a"]);
    world.delete(topic);
    assert_eq!(world.broker.partitions.len(), 0);
}
