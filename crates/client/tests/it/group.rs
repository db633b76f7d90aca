//! A member of a group and its broker: what is said in which order, and what happens when streams break.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use levada_client::{
    Client, ClientOptions, ConsumedRecord, GroupConsumer, Membership, OffsetReset, RebalanceListener, StartAt,
};
use levada_proto::status::status_of;
use levada_proto::v1;
use levada_proto::v1::subscribe_request::Kind as Said;
use levada_proto::v1::subscribe_response::Kind as Told;
use levada_types::{ErrorCode, TopicName, TopicPartition};
use parking_lot::Mutex;

use crate::fake_broker::{FakeBroker, FakeStream};

/// What the listener was told, in order.
type Diary = Arc<Mutex<Vec<String>>>;

/// Writes everything down, and commits what is revoked.
struct Writer {
    diary: Diary,
    commits: bool,
}

impl Writer {
    fn write(&self, what: &str, partitions: &[TopicPartition]) {
        let numbers: Vec<String> = partitions.iter().map(|at| at.partition.to_string()).collect();
        self.diary.lock().push(format!("{what} {}", numbers.join(",")));
    }
}

impl RebalanceListener for Writer {
    fn on_assigned<'a>(&'a mut self, partitions: &'a [TopicPartition], _: &'a Membership) -> BoxFuture<'a, ()> {
        self.write("assigned", partitions);
        Box::pin(async {})
    }

    fn on_revoked<'a>(&'a mut self, partitions: &'a [TopicPartition], member: &'a Membership) -> BoxFuture<'a, ()> {
        self.write("revoked", partitions);
        Box::pin(async move {
            if self.commits {
                let outcome = member.commit().await.map_err(|error| error.code());
                self.diary.lock().push(format!("committed {outcome:?}"));
            }
        })
    }

    fn on_lost<'a>(&'a mut self, partitions: &'a [TopicPartition], _: &'a Membership) -> BoxFuture<'a, ()> {
        self.write("lost", partitions);
        Box::pin(async {})
    }
}

/// A client of these brokers that does not wait long before it tries again.
fn client(brokers: &[&FakeBroker]) -> Client {
    let quick = Duration::from_millis(1);
    let addresses = brokers.iter().map(|broker| broker.address.clone());
    Client::new(ClientOptions { retry_backoff: quick, retry_backoff_max: quick, ..ClientOptions::new(addresses) })
        .unwrap()
}

/// A member `m` that owns these partitions, and the broker's side of its stream.
async fn member(brokers: &mut [&mut FakeBroker], commits: bool, numbers: &[i32]) -> (GroupConsumer, FakeStream, Diary) {
    let diary = Diary::default();
    let client = client(&brokers.iter().map(|broker| &**broker).collect::<Vec<_>>());
    let listener = Writer { diary: diary.clone(), commits };
    let builder = client.subscribe("g").topics(["t"]).listener(listener).max_poll_records(100).manual_commit();
    let building = tokio::spawn(builder.build());
    let (stream, join) = brokers[0].accept().await;
    assert_eq!((join.member_id.as_str(), join.held.len()), ("", 0));
    stream.joined("m", 1).await;
    stream.assigned(numbers).await;
    (building.await.unwrap().unwrap(), stream, diary)
}

fn offsets(records: &[ConsumedRecord]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[tokio::test]
async fn options_travel_with_the_join() {
    let mut broker = FakeBroker::start().await;
    let builder = client(&[&broker])
        .subscribe("g")
        .topics(["a", "b"])
        .pattern("c.*")
        .instance_id("i")
        .rack_id("r")
        .assignor("range")
        .auto_offset_reset(OffsetReset::Earliest)
        .max_poll_records(20)
        .max_poll_interval(Duration::from_secs(9))
        .auto_commit_interval(Duration::from_secs(3));
    let building = tokio::spawn(builder.build());
    let (stream, join) = broker.accept().await;
    let expected = v1::JoinSubscription {
        group_id: "g".to_owned(),
        topics: vec!["a".to_owned(), "b".to_owned()],
        topic_pattern: "c.*".to_owned(),
        instance_id: "i".to_owned(),
        rack_id: "r".to_owned(),
        assignor: "range".to_owned(),
        client_id: "levada-client".to_owned(),
        auto_offset_reset: v1::OffsetPosition::Earliest.into(),
        auto_commit_interval_ms: 3_000,
        max_unprocessed_records: 200,
        max_poll_interval_ms: 9_000,
        max_response_bytes: 1 << 20,
        ..v1::JoinSubscription::default()
    };
    assert_eq!(join, expected);
    stream.joined("m", 1).await;
    let consumer = building.await.unwrap().unwrap();
    assert_eq!(consumer.membership().member_id().as_deref(), Some("m"));
}

#[tokio::test]
async fn a_revocation_is_acknowledged_after_the_callback_which_may_commit() {
    let mut broker = FakeBroker::start().await;
    let (mut consumer, mut stream, diary) = member(&mut [&mut broker], true, &[0, 1]).await;
    stream.records(0, 0..3).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [0, 1, 2]);
    stream.revoke(1, &[0]).await;
    let polling = tokio::spawn(async move { (consumer.poll().await.unwrap(), consumer) });
    let (processed, said) = stream.hear_behind_processed().await;
    assert_eq!(processed.into_iter().collect::<Vec<_>>(), [(0, 3)]);
    let Said::Commit(commit) = said else { panic!("the callback commits first, not {said:?}") };
    assert_eq!(commit.offsets.iter().map(|o| (o.partition, o.offset)).collect::<Vec<_>>(), [(0, 3)]);
    assert_eq!(*diary.lock(), ["assigned 0,1", "revoked 0"], "the callback waits for its commit");
    let result = v1::CommittedOffset { topic: "t".to_owned(), partition: 0, error: None };
    let committed = v1::SubscriptionCommitted { request_id: commit.request_id, results: vec![result] };
    stream.tell(Told::Committed(committed)).await;
    let said = stream.hear().await;
    assert!(matches!(said, Said::RevocationDone(v1::RevocationDone { number: 1 })), "{said:?}");
    assert_eq!(diary.lock().last().map(String::as_str), Some("committed Ok(())"));

    stream.records(1, 5..6).await;
    let (records, consumer) = polling.await.unwrap();
    assert_eq!(offsets(&records), [5]);
    assert_eq!(consumer.assignment().iter().map(|at| at.partition).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_broken_stream_goes_on_at_another_broker_without_the_program_noticing() {
    let (mut first, mut second) = (FakeBroker::start().await, FakeBroker::start().await);
    let (mut consumer, stream, diary) = member(&mut [&mut first, &mut second], false, &[0]).await;
    stream.records(0, 0..4).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [0, 1, 2, 3]);
    drop(stream);
    let (stream, join) = second.accept().await;
    assert_eq!((join.member_id.as_str(), join.member_epoch, join.stream_number), ("m", 7, 1));
    let held: Vec<_> = join.held.iter().map(|h| (h.partition, h.next_offset, h.processed_offset)).collect();
    assert_eq!(held, [(0, Some(4), None)]);
    stream.joined("m", 2).await;
    stream.assigned(&[0]).await;
    // It begins where the group has committed.
    stream.records(0, 0..6).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [4, 5]);

    // And another time: a broker that goes says so.
    stream.fail(status_of(ErrorCode::LeaderNotAvailable, "shutting down")).await;
    let (stream, join) = first.accept().await;
    assert_eq!((join.member_id.as_str(), join.stream_number), ("m", 2));
    let held: Vec<_> = join.held.iter().map(|h| (h.partition, h.next_offset, h.processed_offset)).collect();
    assert_eq!(held, [(0, Some(6), Some(4))]);
    stream.joined("m", 3).await;
    stream.assigned(&[0]).await;
    stream.records(0, 6..7).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [6]);
    assert_eq!(*diary.lock(), ["assigned 0"]);
}

#[tokio::test]
async fn a_fenced_member_tells_what_it_has_lost_and_joins_anew() {
    let mut broker = FakeBroker::start().await;
    let (mut consumer, stream, diary) = member(&mut [&mut broker], false, &[0, 1]).await;
    stream.records(0, 0..2).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [0, 1]);
    stream.fail(status_of(ErrorCode::FencedMemberEpoch, "")).await;
    let (stream, join) = broker.accept().await;
    assert_eq!((join.member_id.as_str(), join.held.len()), ("", 0));
    stream.joined("another", 1).await;
    stream.assigned(&[1]).await;
    stream.records(1, 3..4).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [3]);
    assert_eq!(*diary.lock(), ["assigned 0,1", "lost 0,1", "assigned 1"]);
}

#[tokio::test]
async fn a_program_that_was_away_too_long_joins_anew_with_its_next_poll() {
    let mut broker = FakeBroker::start().await;
    let (mut consumer, stream, diary) = member(&mut [&mut broker], false, &[0]).await;
    stream.records(0, 0..2).await;
    consumer.poll().await.unwrap();
    stream.tell(Told::Left(v1::SubscriptionLeft { error: None })).await;
    stream.fail(status_of(ErrorCode::RequestTimedOut, "max.poll.interval.ms has passed")).await;
    let (polled, accepted) = tokio::join!(consumer.poll(), async {
        let (stream, join) = broker.accept().await;
        assert_eq!(join.member_id, "");
        stream.joined("another", 1).await;
        stream.assigned(&[0]).await;
        stream.records(0, 0..1).await;
        stream
    });
    assert_eq!(offsets(&polled.unwrap()), [0]);
    assert_eq!(*diary.lock(), ["assigned 0", "lost 0", "assigned 0"]);
    drop(accepted);
}

#[tokio::test]
async fn what_will_not_get_better_ends_the_consumer() {
    let mut broker = FakeBroker::start().await;
    let building = tokio::spawn(client(&[&broker]).subscribe("g").pattern("(").build());
    let (stream, _) = broker.accept().await;
    stream.fail(status_of(ErrorCode::InvalidRegularExpression, "")).await;
    assert_eq!(building.await.unwrap().unwrap_err().code(), ErrorCode::InvalidRegularExpression);

    let (mut consumer, stream, diary) = member(&mut [&mut broker], false, &[0]).await;
    stream.records(0, 0..1).await;
    consumer.poll().await.unwrap();
    stream.fail(status_of(ErrorCode::FencedInstanceId, "")).await;
    assert_eq!(consumer.poll().await.unwrap_err().code(), ErrorCode::FencedInstanceId);
    assert_eq!(*diary.lock(), ["assigned 0", "lost 0"]);
    let refused = consumer.commit_offsets(&[levada_client::OffsetToCommit::new(at(0), 1)]).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::FencedInstanceId);
}

#[tokio::test]
async fn a_poll_that_is_dropped_loses_no_record_and_no_news() {
    let mut broker = FakeBroker::start().await;
    let (mut consumer, stream, diary) = member(&mut [&mut broker], false, &[0]).await;
    // Its first step tells of the assignment, then it waits.
    loop {
        assert!(futures::poll!(std::pin::pin!(consumer.poll())).is_pending());
        if !diary.lock().is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    stream.records(0, 0..2).await;
    assert_eq!(offsets(&consumer.poll().await.unwrap()), [0, 1]);
    assert_eq!(*diary.lock(), ["assigned 0"]);
}

#[tokio::test]
async fn closing_gives_everything_up_and_leaves() {
    let mut broker = FakeBroker::start().await;
    let (mut consumer, mut stream, diary) = member(&mut [&mut broker], false, &[0]).await;
    stream.records(0, 0..2).await;
    consumer.poll().await.unwrap();
    let member = consumer.membership().clone();
    let closing = tokio::spawn(consumer.close());
    let (processed, said) = stream.hear_behind_processed().await;
    assert_eq!(processed.into_iter().collect::<Vec<_>>(), [(0, 2)]);
    assert!(matches!(said, Said::Leave(_)), "{said:?}");
    stream.tell(Told::Left(v1::SubscriptionLeft { error: None })).await;
    closing.await.unwrap().unwrap();
    assert_eq!(*diary.lock(), ["assigned 0", "revoked 0"]);
    assert!(member.seek(&at(0), StartAt::Earliest).await.is_err());
}

#[tokio::test]
async fn whoever_gives_up_what_it_got_leaves_it_to_others() {
    let mut broker = FakeBroker::start().await;
    let (mut consumer, mut stream, _) = member(&mut [&mut broker], false, &[0]).await;
    stream.records(0, 0..2).await;
    let records = consumer.poll().await.unwrap();
    consumer.membership().processed(&records[0]).unwrap();
    let leaving = tokio::spawn(consumer.abandon());
    let (processed, said) = stream.hear_behind_processed().await;
    assert_eq!(processed.into_iter().collect::<Vec<_>>(), [(0, 1)]);
    assert!(matches!(said, Said::Leave(_)), "{said:?}");
    stream.tell(Told::Left(v1::SubscriptionLeft { error: None })).await;
    leaving.await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_to_join_is_told_with_the_reason() {
    // As long as it takes a busy machine to be refused once.
    let limit = Duration::from_secs(5);
    let options = ClientOptions { request_timeout: limit, ..ClientOptions::new(["127.0.0.1:1"]) };
    let error = Client::new(options).unwrap().subscribe("g").topics(["t"]).build().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NetworkException, "{error}");
    let broker = FakeBroker::start().await;
    let unasked = client(&[&broker]);
    for refused in [unasked.subscribe(""), unasked.subscribe("g"), unasked.subscribe("g").topics(["a b"])] {
        assert!(refused.build().await.is_err());
    }
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new("t").unwrap(), partition }
}
