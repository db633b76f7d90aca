//! A compacted topic with three replicas, each compacted by its own broker, while brokers are killed, come back behind what
//! the others have compacted, begin anew with nothing, and lead in turn.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use levada_end_to_end::{Admin, Outcome, Reader, Recorder, RecorderOptions, Seen, fail};
use levada_harness::{Sandbox, SandboxOptions};

use crate::{metrics::metric_at, patience::wait_until, replicas::wait_until_in_sync};

const TOPIC: &str = "accounts";
const BROKERS: [u32; 3] = [1, 2, 3];

/// Keys that are written again and again, one after the other.
const KEYS: u64 = 20;

/// Bytes of a value: a round of all keys is a third of the least segment, a mebibyte.
const VALUE_BYTES: usize = 16_000;

/// Enough for several closed segments.
const ROUNDS: u64 = 15;

/// How many of those records at least are removed once the closed segments are compacted.
const REMOVED: u64 = ROUNDS * KEYS / 2;

/// How long the producer is given at a time.
const POLL: Duration = Duration::from_millis(10);

/// Records that are sent before a kill and not awaited, so that the leader has some that nobody else has.
const IN_FLIGHT: u64 = 100;

fn key_of(number: u64) -> String {
    format!("account {}", number % KEYS)
}

fn value_of(number: u64) -> String {
    format!("{:-<VALUE_BYTES$}", format!("record {number} "))
}

/// The producer is idempotent and there is one partition, so that the number of a record is its offset.
fn check(seen: &Seen) -> Outcome<u64> {
    let number = u64::try_from(seen.offset)?;
    if seen.number == Some(number) && seen.key == key_of(number) && seen.value == value_of(number).as_bytes() {
        return Ok(number);
    }
    fail(format!("at {} stands record {:?} of {}", seen.offset, seen.number, seen.key))
}

struct World {
    sandbox: Sandbox,
    recorder: Recorder,
}

impl World {
    fn start() -> Outcome<Self> {
        let options = SandboxOptions::new(1, 3).set_brokers("log.cleaner.backoff.ms", "50");
        let mut sandbox = Sandbox::start(&options)?;
        let settings = [
            ("cleanup.policy", "compact"),
            ("segment.bytes", "1048576"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("min.insync.replicas", "2"),
        ];
        Admin::connect(sandbox.broker(1)?.kafka()?)?.create_replicated_topic(TOPIC, (1, 3), &settings)?;
        wait_until_in_sync(&mut sandbox, 1, TOPIC, &BROKERS)?;
        let options = RecorderOptions { idempotent: true, ..RecorderOptions::default() };
        let recorder = Recorder::connect(sandbox.broker(2)?.kafka()?, &options)?;
        Ok(Self { sandbox, recorder })
    }

    fn send(&mut self, count: u64) -> Outcome {
        for _ in 0..count {
            let number = self.recorder.sent();
            self.recorder.send(TOPIC, Some(0), &key_of(number), value_of(number).as_bytes())?;
        }
        Ok(())
    }

    /// Waits until everything that was sent is acknowledged.
    fn settle(&mut self) -> Outcome {
        let sent = usize::try_from(self.recorder.sent())?;
        wait_until("everything is acknowledged", || {
            self.recorder.poll(POLL);
            Ok(self.recorder.acknowledged() + self.recorder.failed() == sent)
        })?;
        if self.recorder.failed() == 0 { Ok(()) } else { fail(format!("{} records failed", self.recorder.failed())) }
    }

    /// Writes every key again and again, and waits until each of these brokers has compacted what of it is closed.
    fn write(&mut self, brokers: &[u32]) -> Outcome {
        let before: Vec<_> = brokers.iter().map(|broker| self.removed(*broker)).collect::<Outcome<_>>()?;
        self.send(ROUNDS * KEYS)?;
        self.settle()?;
        for (broker, before) in brokers.iter().zip(before) {
            wait_until(&format!("broker {broker} has compacted"), || Ok(self.removed(*broker)? >= before + REMOVED))?;
        }
        Ok(())
    }

    /// How many records a broker has removed since it started.
    fn removed(&mut self, broker: u32) -> Outcome<u64> {
        metric_at(self.sandbox.broker(broker)?.http, "levada_broker_cleaned_records_total")
    }

    fn kafka(&mut self, broker: u32) -> Outcome<SocketAddr> {
        Ok(self.sandbox.broker(broker)?.kafka()?)
    }

    fn start_again(&mut self, broker: u32) -> Outcome<u32> {
        self.sandbox.broker(broker)?.start_again()?;
        Ok(wait_until_in_sync(&mut self.sandbox, broker % 3 + 1, TOPIC, &BROKERS)?[0])
    }

    /// Has a broker lead alone, and checks what a consumer finds there: the last record of each key, and few others.
    fn check_alone(&mut self, broker: u32) -> Outcome {
        let others: Vec<u32> = BROKERS.into_iter().filter(|other| *other != broker).collect();
        for other in &others {
            self.sandbox.broker(*other)?.terminate()?;
        }
        wait_until_in_sync(&mut self.sandbox, broker, TOPIC, &[broker])?;
        let reader = Reader::connect(self.kafka(broker)?, TOPIC)?;
        let sent = self.recorder.sent();
        let end = reader.ranges()?.get(&0).map_or(0, |range| range.end);
        assert_eq!(u64::try_from(end)?, sent, "broker {broker}");
        let mut last = BTreeMap::new();
        let mut count = 0;
        reader.read_left(0, 0, end - 1, |seen| {
            last.insert(seen.key.clone(), check(&seen)?);
            count += 1;
            Ok(())
        })?;
        let expected: BTreeMap<_, _> = (sent - KEYS..sent).map(|number| (key_of(number), number)).collect();
        assert_eq!(last, expected, "broker {broker}");
        assert!(count < ROUNDS * KEYS, "{count} of {sent} records are left at broker {broker}");
        for other in others {
            self.sandbox.broker(other)?.start_again()?;
        }
        wait_until_in_sync(&mut self.sandbox, broker, TOPIC, &BROKERS)?;
        Ok(())
    }
}

/// Reads from offset 0 again and again, up to what is acknowledged at the time, while segments are put in the place of
/// others; gives how often.
fn read_again_and_again(kafka: SocketAddr, end: &AtomicU64, is_over: &AtomicBool) -> Outcome<u64> {
    // One for all of it, since it goes on with any broker that it knows.
    let reader = Reader::connect(kafka, TOPIC)?;
    let mut times = 0;
    while !is_over.load(Ordering::Relaxed) {
        let last = i64::try_from(end.load(Ordering::Relaxed))? - 1;
        if last < 0 {
            thread::yield_now();
            continue;
        }
        let mut due = 0;
        reader.read_left(0, 0, last, |seen| {
            let number = check(&seen)?;
            if number < due {
                return fail(format!("offset {number} came where {due} was due"));
            }
            due = number + 1;
            Ok(())
        })?;
        times += 1;
    }
    Ok(times)
}

#[test]
fn replicas_that_are_compacted_by_themselves_serve_the_same_whoever_leads() -> Outcome {
    let mut world = World::start()?;
    let (end, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let kafka = world.kafka(1)?;
    thread::scope(|scope| {
        let reading = scope.spawn(|| read_again_and_again(kafka, &end, &is_over));
        let outcome = live_through(&mut world, &end);
        is_over.store(true, Ordering::Relaxed);
        let times = reading.join().map_err(|_| "the reader met a defect")??;
        assert!(times > 0);
        outcome
    })?;
    for broker in BROKERS {
        world.check_alone(broker)?;
    }
    Ok(())
}

fn live_through(world: &mut World, end: &AtomicU64) -> Outcome {
    let mut leader = wait_until_in_sync(&mut world.sandbox, 1, TOPIC, &BROKERS)?[0];
    world.write(&BROKERS)?;
    end.store(world.recorder.sent(), Ordering::Relaxed);

    // A follower comes back to a leader whose log has gaps where the follower goes on.
    let away = leader % 3 + 1;
    let others: Vec<u32> = BROKERS.into_iter().filter(|broker| *broker != away).collect();
    world.sandbox.broker(away)?.kill()?;
    wait_until_in_sync(&mut world.sandbox, leader, TOPIC, &others)?;
    world.write(&others)?;
    end.store(world.recorder.sent(), Ordering::Relaxed);
    leader = world.start_again(away)?;
    world.write(&BROKERS)?;

    // One that has lost everything copies what is left.
    let emptied = leader % 3 + 1;
    world.sandbox.broker(emptied)?.kill()?;
    fs::remove_dir_all(world.sandbox.broker(emptied)?.directory().join(format!("logs/{TOPIC}-0")))?;
    leader = world.start_again(emptied)?;

    // A leader dies with records that nobody else has, and cuts them off when it comes back to what was compacted since.
    let others: Vec<u32> = BROKERS.into_iter().filter(|broker| *broker != leader).collect();
    world.send(IN_FLIGHT)?;
    world.sandbox.broker(leader)?.kill()?;
    world.write(&others)?;
    end.store(world.recorder.sent(), Ordering::Relaxed);
    world.start_again(leader)?;
    world.write(&BROKERS)
}
