//! Reading, and sleeping until there is something to read.

use std::sync::Arc;
use std::time::Duration;

use levada_types::{ErrorCode, Isolation, LeaderEpoch, TopicIdPartition};
use tokio::task::JoinHandle;

use super::world::{BROKER, FOR_EVER, OTHER, World, batch, fetch, led_by, tp, values_in};
use crate::api::{Fetch, FetchedPartition, ReadFrom};

/// Starts a fetch and returns once it sleeps on all its partitions.
async fn asleep(world: &World, request: Fetch) -> JoinHandle<Vec<FetchedPartition>> {
    let ids: Vec<TopicIdPartition> = request.partitions.iter().map(|asked| asked.partition).collect();
    let broker = Arc::clone(&world.broker);
    let fetching = tokio::spawn(async move { broker.fetch(&request).await });
    for id in ids {
        let partition = world.broker.partitions.get(&id).unwrap();
        while partition.waiters().len() == 0 {
            assert!(!fetching.is_finished(), "it answered at once");
            tokio::task::yield_now().await;
        }
    }
    fetching
}

#[tokio::test]
async fn a_fetch_at_the_end_wakes_when_something_is_produced() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["old"]).await;
    let fetching = asleep(&world, Fetch { max_wait: FOR_EVER, ..fetch(&[(id, 1)]) }).await;
    world.put(id, &["new"]).await;
    let fetched = fetching.await.unwrap();
    assert_eq!(values_in(fetched[0].records.as_ref().unwrap()), ["new"]);
    assert_eq!(fetched[0].high_watermark, 2);
    assert_eq!(world.broker.partitions.get(&id).unwrap().waiters().len(), 0, "it left the wait list");
}

#[tokio::test]
async fn min_bytes_are_counted_over_all_partitions() {
    let mut world = World::new();
    let topic = world.create("orders", 2);
    let (one, two) = (tp(topic, 0), tp(topic, 1));
    let size = batch(&["12345"]).len() as u32;
    let request = Fetch { max_wait: FOR_EVER, min_bytes: 2 * size, ..fetch(&[(one, 0), (two, 0)]) };
    let fetching = asleep(&world, request).await;
    world.put(one, &["12345"]).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!fetching.is_finished(), "half of the bytes are there");
    world.put(two, &["abcde"]).await;
    let fetched = fetching.await.unwrap();
    let values: Vec<_> = fetched.iter().flat_map(|answer| values_in(answer.records.as_ref().unwrap())).collect();
    assert_eq!(values, ["12345", "abcde"]);
}

#[tokio::test]
async fn a_fetch_answers_with_what_there_is_when_its_time_has_passed() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    let request = Fetch { max_wait: Duration::from_millis(1), min_bytes: 1 << 20, ..fetch(&[(id, 0)]) };
    let fetched = world.broker.fetch(&request).await;
    assert_eq!(values_in(fetched[0].records.as_ref().unwrap()), ["a"]);
}

#[tokio::test]
async fn the_first_batch_is_whole_whatever_the_limits_and_the_rest_keeps_them() {
    let mut world = World::new();
    let topic = world.create("orders", 3);
    let places = [tp(topic, 0), tp(topic, 1), tp(topic, 2)];
    for place in places {
        world.put(place, &["a value"]).await;
        world.put(place, &["another"]).await;
    }
    let size = batch(&["a value"]).len() as u32;

    let mut request = fetch(&places.map(|place| (place, 0)));
    request.max_bytes = 10;
    request.partitions.iter_mut().for_each(|asked| asked.max_bytes = 10);
    let found = |answers: &[FetchedPartition]| -> Vec<u32> {
        answers.iter().map(|answer| answer.records.as_ref().map_or(0, |records| records.len() as u32)).collect()
    };
    assert_eq!(found(&world.broker.fetch(&request).await), [size, 0, 0]);

    request.max_bytes = 3 * size;
    request.partitions.iter_mut().for_each(|asked| asked.max_bytes = 2 * size);
    assert_eq!(found(&world.broker.fetch(&request).await), [2 * size, size, 0]);

    // The order of the request is the order of priority.
    request.partitions.rotate_left(1);
    request.max_bytes = size;
    let answers = world.broker.fetch(&request).await;
    assert_eq!(found(&answers), [size, 0, 0]);
    assert_eq!(answers[0].partition, places[1]);
    assert_eq!(answers[2].high_watermark, 2, "a partition without room still tells where it stands");
}

#[tokio::test]
async fn a_fetch_does_not_wait_for_bytes_that_would_not_fit() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    let size = batch(&["12345"]).len() as u32;
    world.put(id, &["12345"]).await;
    world.put(id, &["67890"]).await;
    // The second batch is there, but only one and a half fit.
    let limit = size + size / 2;
    let request = Fetch { max_wait: FOR_EVER, min_bytes: limit, max_bytes: limit, ..fetch(&[(id, 0)]) };
    let fetched = world.broker.fetch(&request).await;
    assert_eq!(values_in(fetched[0].records.as_ref().unwrap()), ["12345"]);
}

#[tokio::test]
async fn an_offset_outside_the_log_is_told_with_its_bounds() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    let request = Fetch { max_wait: FOR_EVER, ..fetch(&[(id, 5)]) };
    let fetched = world.broker.fetch(&request).await.pop().unwrap();
    assert_eq!(fetched.error, ErrorCode::OffsetOutOfRange);
    assert_eq!((fetched.log_start_offset, fetched.high_watermark), (0, 1));
    assert_eq!(world.get(id, 1).await.error, ErrorCode::None, "the end itself is where a consumer waits");
}

#[tokio::test]
async fn who_believes_in_another_leader_epoch_is_told_at_once() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.assign(id, led_by(Some(BROKER), 3, &[BROKER]));
    let mut request = Fetch { max_wait: FOR_EVER, ..fetch(&[(id, 0)]) };
    for (believed, expected) in [(2, ErrorCode::FencedLeaderEpoch), (4, ErrorCode::UnknownLeaderEpoch)] {
        request.partitions[0].current_leader_epoch = Some(LeaderEpoch(believed));
        let fetched = world.broker.fetch(&request).await.pop().unwrap();
        assert_eq!(fetched.error, expected);
        assert_eq!(fetched.leader.map(|hint| hint.epoch), Some(LeaderEpoch(3)));
    }
}

#[tokio::test]
async fn a_client_whose_log_parts_from_ours_is_told_where() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a", "b"]).await;
    world.assign(id, led_by(Some(BROKER), 3, &[BROKER]));
    world.put(id, &["c", "d"]).await;
    let mut request = Fetch { max_wait: FOR_EVER, ..fetch(&[(id, 3)]) };
    // It has three records of epoch 0, of which there are only two here.
    request.partitions[0].last_fetched_epoch = Some(LeaderEpoch(0));
    let fetched = world.broker.fetch(&request).await.pop().unwrap();
    let diverging = fetched.diverging.unwrap();
    assert_eq!((diverging.epoch, diverging.end_offset), (LeaderEpoch(0), 2));
    assert!(fetched.records.is_none());
    // And one that agrees reads on.
    request.partitions[0].offset = 2;
    let fetched = world.broker.fetch(&request).await.pop().unwrap();
    assert_eq!(fetched.diverging, None);
    assert_eq!(values_in(fetched.records.as_ref().unwrap()), ["c", "d"]);
}

/// A fetch of a consumer that has read up to `offset`, in leader epoch 3 up to records of `epoch`, and may read here from a
/// follower.
fn from_follower(id: TopicIdPartition, offset: i64, epoch: i32) -> Fetch {
    let mut request = fetch(&[(id, offset)]);
    request.read_from = ReadFrom::Nearest { rack: String::new() };
    request.partitions[0].current_leader_epoch = Some(LeaderEpoch(3));
    request.partitions[0].last_fetched_epoch = Some(LeaderEpoch(epoch));
    request
}

#[tokio::test]
async fn a_reader_that_is_ahead_of_a_follower_waits_for_it_and_is_not_sent_elsewhere_in_the_log() {
    let mut world = World::new();
    let topic = world.create("orders", 2);
    let (id, empty) = (tp(topic, 0), tp(topic, 1));
    world.put(id, &["a", "b"]).await;
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    world.put(id, &["not committed"]).await;
    // The leader has gone on in another epoch, and nothing of that has come here yet.
    world.assign(id, led_by(Some(OTHER), 3, &[BROKER, OTHER]));
    world.assign(empty, led_by(Some(OTHER), 3, &[BROKER, OTHER]));
    let read = async |id, offset, epoch| {
        let fetched = world.broker.fetch(&from_follower(id, offset, epoch)).await.pop().unwrap();
        (fetched.error, fetched.diverging.is_some())
    };
    assert_eq!(read(id, 5, 3).await, (ErrorCode::OffsetNotAvailable, false), "further than the log here");
    assert_eq!(read(id, 3, 3).await, (ErrorCode::OffsetNotAvailable, false), "as far as it, and that will be cut");
    assert_eq!(read(empty, 5, 2).await, (ErrorCode::OffsetNotAvailable, false), "there is nothing here yet");
    // What is committed stays as it is.
    assert_eq!(read(id, 2, 0).await, (ErrorCode::None, false));
    assert_eq!(read(id, 2, 3).await, (ErrorCode::None, true));
    // It waits for what may come, as long as it wants to.
    for id in [id, empty] {
        let fetching = asleep(&world, Fetch { max_wait: FOR_EVER, ..from_follower(id, 5, 3) }).await;
        fetching.abort();
    }
}

#[tokio::test]
async fn a_sleeping_fetch_is_told_when_its_partition_goes() {
    let mut world = World::new();
    let moved = tp(world.create("moved", 1), 0);
    let deleted = tp(world.create("deleted", 1), 0);
    let of_moved = asleep(&world, Fetch { max_wait: FOR_EVER, ..fetch(&[(moved, 0)]) }).await;
    let of_deleted = asleep(&world, Fetch { max_wait: FOR_EVER, ..fetch(&[(deleted, 0)]) }).await;
    world.assign(moved, led_by(Some(OTHER), 1, &[BROKER, OTHER]));
    assert_eq!(of_moved.await.unwrap()[0].error, ErrorCode::NotLeaderOrFollower);
    world.delete(deleted.topic_id);
    assert_eq!(of_deleted.await.unwrap()[0].error, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(world.get(deleted, 0).await.error, ErrorCode::UnknownTopicId);
}

#[tokio::test]
async fn an_error_in_one_partition_does_not_wait_for_the_others() {
    let mut world = World::new();
    let topic = world.create("orders", 1);
    let request = Fetch { max_wait: FOR_EVER, ..fetch(&[(tp(topic, 0), 0), (tp(topic, 9), 0)]) };
    let answers = world.broker.fetch(&request).await;
    let codes: Vec<_> = answers.iter().map(|answer| answer.error).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
}

#[tokio::test]
async fn both_isolations_see_the_same_while_there_are_no_transactions() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    world.put(id, &["a"]).await;
    let request = Fetch { isolation: Isolation::ReadCommitted, ..fetch(&[(id, 0)]) };
    let fetched = world.broker.fetch(&request).await.pop().unwrap();
    assert_eq!(values_in(fetched.records.as_ref().unwrap()), ["a"]);
    assert!(fetched.aborted.is_empty());
}
