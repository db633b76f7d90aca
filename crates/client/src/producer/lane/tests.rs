//! What a lane does, with a clock that only the test moves.

use futures::FutureExt as _;
use levada_records::{Compression, RecordBatch};
use proptest::prelude::*;

use super::*;

const PAUSE: Duration = Duration::from_millis(100);

struct World {
    lane: Lane,
    now: Instant,
}

fn identity(producer_id: i64) -> Identity {
    Identity { producer_id, producer_epoch: 0 }
}

fn options() -> LaneOptions {
    LaneOptions {
        batch_size: 10_000,
        linger: Duration::from_millis(5),
        compression: (Compression::None, None),
        max_in_flight: 2,
        delivery_timeout: Duration::from_secs(10),
    }
}

fn broker_error(code: ErrorCode) -> ClientError {
    ClientError::Broker { code, message: String::new(), leader: None, partition: None }
}

fn lost() -> ClientError {
    ClientError::Unreachable { address: "a:1".to_owned(), reason: "reset".to_owned() }
}

impl World {
    fn new(options: LaneOptions, identity: Option<Identity>) -> Self {
        let destination = Destination { topic: "t".into(), topic_id: TopicId::ZERO, partition: 3 };
        Self { lane: Lane::new(destination, options, identity), now: Instant::now() }
    }

    fn idempotent() -> Self {
        Self::new(options(), Some(identity(7)))
    }

    fn append(&mut self, value: &[u8]) -> Delivery {
        let entry = Entry { timestamp_ms: 1, key: None, value: Some(value), headers: &[], size: value.len() + 21 };
        self.lane.append(self.now, entry, None).expect("it can be built").0
    }

    /// One batch of one record, sealed and ready.
    fn ready(&mut self, value: &[u8]) -> Delivery {
        let delivery = self.append(value);
        self.lane.seal().expect("it can be built");
        delivery
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.lane.advance(self.now);
    }

    /// What is sent now: (producer id, base sequence, record count) of the next batch.
    fn send(&mut self) -> Option<(i64, i32, i32)> {
        let bytes = self.lane.next(self.now)?;
        let (batch, rest) = RecordBatch::parse(&bytes).expect("it is a batch");
        assert!(rest.is_empty());
        batch.verify_crc().expect("the checksum is right");
        let header = batch.header();
        Some((header.producer_id, header.base_sequence, header.records_count))
    }

    fn answer(&mut self, answer: Result<i64, ErrorCode>) -> Next {
        let answer = answer.map_err(broker_error);
        let answer = answer.map(|base| Appended { base_offset: Some(base), log_append_time_ms: None });
        self.lane.answered(self.now, PAUSE, answer)
    }
}

fn outcome(delivery: &Delivery) -> Option<Result<Option<i64>, ErrorCode>> {
    let outcome = delivery.clone().now_or_never()?;
    Some(outcome.map(|metadata| metadata.offset).map_err(|error| error.code()))
}

#[test]
fn records_wait_for_company_as_long_as_they_may_linger() {
    let mut world = World::idempotent();
    let first = world.append(b"a");
    let second = world.append(b"b");
    assert_eq!(world.send(), None);
    assert_eq!(world.lane.next_event(), Some(world.now + options().linger));
    world.wait(options().linger);
    assert_eq!(world.send(), Some((7, 0, 2)));
    assert_eq!(outcome(&second), None);
    world.answer(Ok(100));
    assert_eq!(outcome(&first), Some(Ok(Some(100))));
    assert_eq!(outcome(&second), Some(Ok(Some(101))));
    assert!(world.lane.is_idle());
    assert_eq!(world.lane.next_event(), None);
}

#[test]
fn a_full_batch_and_a_flushed_one_do_not_linger() {
    let mut world = World::idempotent();
    drop(world.append(&[0; 6_000]));
    drop(world.append(&[0; 6_000]));
    assert_eq!(world.send(), Some((7, 0, 1)), "the second record did not fit");
    assert_eq!(world.send(), None);
    assert_eq!(world.lane.flush().len(), 2);
    assert_eq!(world.send(), Some((7, 1, 1)));
}

#[test]
fn a_record_larger_than_a_batch_goes_alone() {
    let mut world = World::idempotent();
    drop(world.append(b"small"));
    drop(world.append(&[0; 20_000]));
    assert_eq!(world.send(), Some((7, 0, 1)));
    assert_eq!(world.send(), Some((7, 1, 1)));
}

#[test]
fn no_more_batches_are_in_flight_than_allowed() {
    let mut world = World::idempotent();
    (0..3).for_each(|_| drop(world.ready(b"x")));
    assert!(world.send().is_some() && world.send().is_some());
    assert_eq!(world.send(), None);
    world.answer(Ok(0));
    assert_eq!(world.send(), Some((7, 2, 1)));
}

#[test]
fn what_failed_goes_again_in_its_order_and_with_its_numbers() {
    let mut world = World::idempotent();
    let deliveries: Vec<_> = [b"a", b"b", b"c"].into_iter().map(|value| world.ready(value)).collect();
    assert_eq!((world.send(), world.send()), (Some((7, 0, 1)), Some((7, 1, 1))));
    assert_eq!(world.answer(Err(ErrorCode::NotLeaderOrFollower)), Next::RefreshMetadata);
    assert_eq!(world.send(), None, "one is still in flight");
    world.answer(Err(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(world.send(), None, "the pause is not over");
    assert_eq!(world.lane.next_event(), Some(world.now + PAUSE));
    world.wait(PAUSE);
    assert_eq!((world.send(), world.send()), (Some((7, 0, 1)), Some((7, 1, 1))));
    world.answer(Ok(10));
    world.answer(Ok(11));
    assert_eq!(world.send(), Some((7, 2, 1)));
    world.answer(Ok(12));
    let offsets: Vec<_> = deliveries.iter().map(outcome).collect();
    assert_eq!(offsets, [Some(Ok(Some(10))), Some(Ok(Some(11))), Some(Ok(Some(12)))]);
}

#[test]
fn after_a_broken_stream_everything_in_flight_goes_again() {
    let mut world = World::idempotent();
    (0..2).for_each(|_| drop(world.ready(b"x")));
    assert!(world.send().is_some() && world.send().is_some());
    world.lane.broken(world.now, PAUSE, &lost());
    assert!(!world.lane.has_in_flight());
    world.wait(PAUSE);
    assert_eq!((world.send(), world.send()), (Some((7, 0, 1)), Some((7, 1, 1))));
}

#[test]
fn a_batch_that_fails_for_good_makes_the_rest_start_under_a_new_identity() {
    let mut world = World::idempotent();
    let deliveries: Vec<_> = [b"a", b"b", b"c"].into_iter().map(|value| world.ready(value)).collect();
    assert!(world.send().is_some() && world.send().is_some());
    world.answer(Err(ErrorCode::MessageTooLarge));
    assert!(!world.lane.needs_identity(), "one is still in flight");
    world.answer(Err(ErrorCode::OutOfOrderSequenceNumber));
    assert!(world.lane.needs_identity());
    world.wait(PAUSE);
    assert_eq!(world.send(), None);
    world.lane.renew(identity(8));
    assert_eq!((world.send(), world.send()), (Some((8, 0, 1)), Some((8, 1, 1))));
    world.answer(Ok(0));
    world.answer(Ok(1));
    let offsets: Vec<_> = deliveries.iter().map(outcome).collect();
    assert_eq!(offsets, [Some(Err(ErrorCode::MessageTooLarge)), Some(Ok(Some(0))), Some(Ok(Some(1)))]);
    drop(world.append(b"d"));
    world.wait(options().linger);
    assert_eq!(world.send(), Some((8, 2, 1)));
}

#[test]
fn what_may_be_there_already_never_gets_another_number() {
    let mut world = World::idempotent();
    let deliveries: Vec<_> = [b"a", b"b", b"c"].into_iter().map(|value| world.ready(value)).collect();
    assert!(world.send().is_some() && world.send().is_some());
    world.lane.broken(world.now, PAUSE, &lost());
    world.wait(PAUSE);
    assert!(world.send().is_some());
    world.answer(Err(ErrorCode::InvalidRecord));
    assert!(world.lane.needs_identity());
    world.lane.renew(identity(8));
    assert_eq!(world.send(), Some((8, 0, 1)), "the third record, which was never sent");
    world.answer(Ok(5));
    let offsets: Vec<_> = deliveries.iter().map(outcome).collect();
    let refused = Some(Err(ErrorCode::InvalidRecord));
    assert_eq!(offsets, [refused, refused, Some(Ok(Some(5)))]);
}

#[test]
fn what_waits_too_long_is_given_up_but_never_under_way() {
    let mut world = World::idempotent();
    let (sent, waiting) = (world.ready(b"a"), world.ready(b"b"));
    assert!(world.send().is_some());
    world.wait(options().delivery_timeout);
    assert_eq!((outcome(&sent), outcome(&waiting)), (None, None));
    assert_eq!(world.lane.next_event(), None, "the answer is waited for");
    world.answer(Ok(0));
    world.wait(Duration::ZERO);
    assert_eq!(outcome(&sent), Some(Ok(Some(0))));
    assert_eq!(outcome(&waiting), Some(Err(ErrorCode::RequestTimedOut)));
}

#[test]
fn a_retry_ends_with_the_delivery_timeout() {
    let mut world = World::new(LaneOptions { max_in_flight: 1, ..options() }, None);
    let delivery = world.ready(b"a");
    assert!(world.send().is_some());
    world.now += options().delivery_timeout;
    world.answer(Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(outcome(&delivery), Some(Err(ErrorCode::NotEnoughReplicas)));
    assert!(world.lane.is_idle());
}

#[test]
fn a_repeated_batch_whose_offset_is_forgotten_counts_as_produced() {
    let mut world = World::idempotent();
    let delivery = world.ready(b"a");
    assert!(world.send().is_some());
    world.answer(Err(ErrorCode::DuplicateSequenceNumber));
    assert_eq!(outcome(&delivery), Some(Ok(None)));
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    assert_eq!(sequence_after(0, 5), 5);
}

/// A broker that remembers one producer's last sequence and everything that it appended.
#[derive(Default)]
struct Model {
    producer: Option<(i64, i32)>,
    log: Vec<Bytes>,
}

impl Model {
    /// Appends a batch, recognises a repeated one, or refuses it.
    fn append(&mut self, batch: &Bytes, seen: &mut Vec<(i64, i32, i64)>) -> Result<i64, ErrorCode> {
        let header = *RecordBatch::parse(batch).expect("it is a batch").0.header();
        let (id, sequence) = (header.producer_id, header.base_sequence);
        if let Some(known) = seen.iter().find(|known| (known.0, known.1) == (id, sequence)) {
            return Ok(known.2);
        }
        let expected = self.producer.filter(|(last, _)| *last == id).map_or(0, |(_, next)| next);
        if sequence != expected {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        let offset = self.log.len() as i64;
        self.producer = Some((id, sequence + header.records_count));
        seen.push((id, sequence, offset));
        self.log.push(batch.clone());
        Ok(offset)
    }
}

proptest! {
    /// Whatever is lost on the way, there or back, a record is in the log once if it was acknowledged, at most once if it
    /// was not, and the log has the order of the calls.
    #[test]
    fn nothing_is_lost_duplicated_or_reordered(fates in proptest::collection::vec(0u8..5, 1..60)) {
        let mut world = World::new(LaneOptions { max_in_flight: 3, ..options() }, Some(identity(7)));
        let (mut model, mut seen, mut next_id) = (Model::default(), Vec::new(), 8);
        let mut deliveries: Vec<Delivery> = Vec::new();
        let mut fates = fates.into_iter();
        let mut running = true;
        while running || !world.lane.is_idle() {
            let fate = fates.next();
            running = fate.is_some();
            if running {
                let value = (deliveries.len() as u32).to_be_bytes();
                let delivery = world.ready(&value);
                deliveries.push(delivery);
            }
            world.wait(PAUSE);
            if world.lane.needs_identity() {
                world.lane.renew(identity(next_id));
                next_id += 1;
            }
            let mut sent = VecDeque::new();
            while let Some(bytes) = world.lane.next(world.now) {
                sent.push_back(bytes);
            }
            let fate = fate.unwrap_or(0);
            while let Some(batch) = sent.pop_front() {
                match fate {
                    // The stream breaks before the batch arrives, or after it was appended.
                    1 | 2 => {
                        if fate == 2 {
                            let _ = model.append(&batch, &mut seen);
                        }
                        world.lane.broken(world.now, PAUSE, &lost());
                        break;
                    }
                    // The first one is refused, for a while or for good; what follows meets the gap.
                    3 | 4 if !world.lane.draining => {
                        let code = if fate == 3 { ErrorCode::NotEnoughReplicas } else { ErrorCode::InvalidTimestamp };
                        world.answer(Err(code));
                    }
                    _ => {
                        let answer = model.append(&batch, &mut seen);
                        world.answer(answer);
                    }
                }
            }
        }
        let mut logged = Vec::new();
        for batch in &model.log {
            let mut buffer = levada_records::RecordBuffer::new();
            let (batch, _) = RecordBatch::parse(batch).expect("it is a batch");
            for record in batch.records(&mut buffer).expect("it is not compressed") {
                let value = record.expect("it is a record").value.expect("it has a value");
                logged.push(u32::from_be_bytes(value.try_into().expect("it has four bytes")));
            }
        }
        let acknowledged: Vec<u32> = (0u32..)
            .zip(&deliveries)
            .filter(|(_, delivery)| matches!(outcome(delivery), Some(Ok(_))))
            .map(|(index, _)| index)
            .collect();
        prop_assert!(logged.is_sorted_by(|a, b| a < b), "{:?}", logged);
        prop_assert!(acknowledged.iter().all(|index| logged.contains(index)), "{:?} {:?}", acknowledged, logged);
        prop_assert!(deliveries.iter().all(|delivery| outcome(delivery).is_some()));
    }
}
