//! What other roles are told for the sake of readers.

use std::sync::Arc;

use levada_peers::MAX_PLACES_PER_REQUEST;
use levada_proto::internal as pb;
use levada_proto::internal::lags_server::Lags as _;
use levada_proto::internal::reader_place::Place;
use levada_proto::internal::reads_server::Reads as _;
use levada_records::{BatchBuilder, Compression};
use levada_service::shutdown::CancellationToken;
use levada_types::{ErrorCode, TopicIdPartition};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request};

use super::world::{FOR_EVER, OTHER, World, led_by, tp};
use crate::api::DeleteRecords;
use crate::readers::{lags, reads};

/// Appends one batch with these timestamps.
async fn put_at(world: &World, id: TopicIdPartition, timestamps: &[i64]) {
    let mut builder = BatchBuilder::new();
    for timestamp in timestamps {
        builder.append(*timestamp, None, Some(b"v"), &[]).unwrap();
    }
    world.produce(id, builder.build(Compression::None, None).unwrap()).await.unwrap();
}

fn topic_id(id: TopicIdPartition) -> bytes::Bytes {
    id.topic_id.0.as_bytes().to_vec().into()
}

async fn ask(world: &World, places: Vec<pb::ReaderPlace>) -> Vec<pb::ReaderLag> {
    let request = Request::new(pb::DescribeLagsRequest { metadata_offset: 0, places });
    lags(Arc::clone(&world.broker)).describe_lags(request).await.unwrap().into_inner().lags
}

fn place(id: TopicIdPartition, place: Option<Place>) -> pb::ReaderPlace {
    pb::ReaderPlace { topic_id: topic_id(id), partition: id.partition, place }
}

#[tokio::test]
async fn a_reader_is_behind_by_what_lies_after_its_place() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    put_at(&world, id, &[100, 110]).await;
    put_at(&world, id, &[200]).await;
    let told = ask(
        &world,
        vec![
            place(id, None),
            place(id, Some(Place::Offset(1))),
            place(id, Some(Place::Offset(2))),
            place(id, Some(Place::Offset(3))),
            place(id, Some(Place::AtTimeMs(105))),
            place(id, Some(Place::AtTimeMs(201))),
        ],
    )
    .await;
    assert!(told.iter().all(|lag| (lag.error, lag.log_start_offset, lag.high_watermark) == (0, 0, 3)), "{told:?}");
    let times: Vec<_> = told.iter().map(|lag| lag.next_timestamp_ms).collect();
    assert_eq!(times, [None, Some(100), Some(200), None, None, None], "that of the batch that comes next");
    let found: Vec<_> = told.iter().map(|lag| lag.offset_at_time).collect();
    assert_eq!(found, [None, None, None, None, Some(1), None]);
}

#[tokio::test]
async fn time_is_that_of_the_record_that_can_still_be_read_and_of_the_log_where_the_topic_says_so() {
    let mut world = World::new();
    let (id, stamped) = (tp(world.create("orders", 1), 0), tp(world.create("stamped", 1), 0));
    put_at(&world, id, &[100]).await;
    put_at(&world, id, &[200]).await;
    put_at(&world, id, &[-1]).await;
    let request = vec![DeleteRecords { partition: id, before: Some(1) }];
    assert!(world.broker.delete_records(request, FOR_EVER).await.remove(0).is_ok());
    let told = ask(&world, vec![place(id, Some(Place::Offset(0))), place(id, Some(Place::Offset(2)))]).await;
    let told: Vec<_> = told.iter().map(|lag| (lag.log_start_offset, lag.next_timestamp_ms)).collect();
    assert_eq!(told, [(1, Some(200)), (1, None)], "the first is gone, the last has none");

    world.configure(stamped.topic_id, "message.timestamp.type", "LogAppendTime");
    put_at(&world, stamped, &[100, 110]).await;
    let told = ask(&world, vec![place(stamped, Some(Place::Offset(1)))]).await.remove(0);
    assert!(told.next_timestamp_ms.is_some_and(|time| time > 110), "{told:?}");
}

#[tokio::test]
async fn only_the_leader_tells_and_one_place_costs_no_other() {
    let mut world = World::new();
    let topic = world.create("orders", 2);
    world.assign(tp(topic, 1), led_by(Some(OTHER), 1, &[OTHER]));
    let unknown = tp(topic, 7);
    let told = ask(&world, vec![place(tp(topic, 1), None), place(unknown, None), place(tp(topic, 0), None)]).await;
    let codes: Vec<_> = told.iter().map(|lag| lag.error).collect();
    let code = |code: ErrorCode| i32::from(code.code());
    assert_eq!(codes, [code(ErrorCode::NotLeaderOrFollower), code(ErrorCode::UnknownTopicOrPartition), 0]);
    let nameless = pb::ReaderPlace { topic_id: b"?".to_vec().into(), partition: 0, place: None };
    let too_many = vec![place(tp(topic, 0), None); MAX_PLACES_PER_REQUEST + 1];
    for places in [vec![nameless], too_many] {
        let request = Request::new(pb::DescribeLagsRequest { metadata_offset: 0, places });
        let refused = lags(Arc::clone(&world.broker)).describe_lags(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn another_broker_reads_what_is_there_and_is_told_what_cannot_be_read() {
    let mut world = World::new();
    let topic = world.create("orders", 3);
    let stop = CancellationToken::new();
    put_at(&world, tp(topic, 0), &[1]).await;
    let read = |partition, offset| pb::ReadPartition { topic_id: topic_id(tp(topic, 0)), partition, offset };
    let request =
        pb::ReadRequest { max_wait_ms: 60_000, max_bytes: 1_000, partitions: vec![read(2, 0), read(0, 0), read(1, 9)] };
    let service = reads(Arc::clone(&world.broker), stop.clone());
    let mut answers = Box::pin(service.read(Request::new(request)).await.unwrap().into_inner());
    let found = answers.next().await.unwrap().unwrap().found;
    assert!(answers.next().await.is_none());
    let seen: Vec<_> = found.iter().map(|found| (found.index, found.error, found.batches.is_empty())).collect();
    let out_of_range = ErrorCode::OffsetOutOfRange.code().into();
    assert_eq!(seen, [(1, 0, false), (2, out_of_range, true)], "there is nothing to tell of the first");

    let waiting = pb::ReadRequest { max_wait_ms: 60_000, max_bytes: 1_000, partitions: vec![read(2, 0)] };
    let mut answers = Box::pin(service.read(Request::new(waiting)).await.unwrap().into_inner());
    stop.cancel();
    assert_eq!(answers.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
}
