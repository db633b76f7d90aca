//! Bounds on the bytes of catching up (KIP-73) and of moving replicas between directories (KIP-113).

use std::time::Duration;

use levada_metadata::Image;
use levada_metadata::config::Resolver;
use levada_types::{BrokerId, PartitionIndex, TimestampMs};
use metrics::{Counter, counter, describe_counter};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Broker;
use crate::clock::uptime_ms;

/// What a throttle saves up while nobody needs it: this long at its rate. Kafka's quota windows last as long.
const SAVED_MS: i64 = 1_000;

/// The rate of a throttle that bounds nothing; Kafka's default.
const UNLIMITED: i64 = i64::MAX;

/// A bound on bytes per second. What has been spent too much is waited for, so that whoever asks may spend a whole batch.
pub(crate) struct Throttle {
    bucket: Mutex<Bucket>,
    /// Woken when the rate changes.
    changed: Notify,
    spent: Counter,
}

struct Bucket {
    /// Bytes per second.
    rate: i64,
    /// Bytes that may be spent; below zero, those that were spent too much.
    level: i64,
    /// As of when.
    at_ms: TimestampMs,
}

impl Throttle {
    fn new(spent: Counter) -> Self {
        let bucket = Mutex::new(Bucket { rate: UNLIMITED, level: 0, at_ms: 0 });
        Self { bucket, changed: Notify::new(), spent }
    }

    /// From now on these bytes per second. What was spent too much under another rate is forgiven.
    fn set_rate(&self, rate: i64, now_ms: TimestampMs) {
        let mut bucket = self.bucket.lock();
        if bucket.rate != rate {
            *bucket = Bucket { rate, level: 0, at_ms: now_ms };
            drop(bucket);
            self.changed.notify_waiters();
        }
    }

    /// Resolves once something may be spent.
    pub(crate) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            let pause = self.pause(uptime_ms());
            if pause.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = changed => {}
            }
        }
    }

    /// How long until something may be spent.
    pub(crate) fn pause(&self, now_ms: TimestampMs) -> Duration {
        let mut bucket = self.bucket.lock();
        bucket.fill(now_ms);
        let owed = bucket.level.min(0).unsigned_abs();
        // Rounded up, so that who waits so long need not wait again.
        Duration::from_millis(owed.saturating_mul(1_000).div_ceil(bucket.rate.max(1).unsigned_abs()))
    }

    /// These bytes were spent.
    pub(crate) fn spend(&self, bytes: usize, now_ms: TimestampMs) {
        self.spent.increment(bytes as u64);
        let mut bucket = self.bucket.lock();
        bucket.fill(now_ms);
        bucket.spend(bytes);
    }

    /// Spends these bytes if something may be spent; says whether it was so. Of several who have waited, one is first.
    pub(crate) fn try_spend(&self, bytes: usize, now_ms: TimestampMs) -> bool {
        let mut bucket = self.bucket.lock();
        bucket.fill(now_ms);
        if bucket.level < 0 {
            return false;
        }
        bucket.spend(bytes);
        drop(bucket);
        self.spent.increment(bytes as u64);
        true
    }
}

impl Bucket {
    fn spend(&mut self, bytes: usize) {
        if self.rate != UNLIMITED {
            self.level = self.level.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    fn fill(&mut self, now_ms: TimestampMs) {
        if self.rate == UNLIMITED {
            self.level = 0;
            return;
        }
        let of = |ms: i64| i64::try_from(i128::from(self.rate) * i128::from(ms) / 1_000).unwrap_or(i64::MAX);
        let earned = of(now_ms.saturating_sub(self.at_ms).max(0));
        // A slow rate earns nothing in one millisecond; then the time is kept.
        if earned > 0 {
            self.level = self.level.saturating_add(earned).min(of(SAVED_MS));
            self.at_ms = now_ms;
        }
    }
}

/// The throttles of a broker.
pub(crate) struct Throttles {
    /// What is sent to replicas that catch up (`leader.replication.throttled.rate`).
    pub(crate) leader: Throttle,
    /// What is asked for by replicas that catch up (`follower.replication.throttled.rate`).
    pub(crate) follower: Throttle,
    /// What is copied from directory to directory (`replica.alter.log.dirs.io.max.bytes.per.second`).
    pub(crate) moves: Throttle,
    /// What compaction reads and writes (`log.cleaner.io.max.bytes.per.second`).
    pub(crate) cleaner: Throttle,
}

impl Default for Throttles {
    fn default() -> Self {
        describe_counter!(
            "levada_broker_throttled_bytes_total",
            "Bytes that count against a throttle: of catching up, as leader and as follower, of moves between directories, and of compaction"
        );
        let throttle = |name| Throttle::new(counter!("levada_broker_throttled_bytes_total", "throttle" => name));
        Self {
            leader: throttle("leader"),
            follower: throttle("follower"),
            moves: throttle("moves"),
            cleaner: throttle("cleaner"),
        }
    }
}

impl Broker {
    /// Takes the rates that `image` says.
    pub(crate) fn set_throttles(&self, image: &Image, now_ms: TimestampMs) {
        let resolver = Resolver::new(image.state(), Some(self.id()), &self.options.statics);
        let throttles = &self.replication.throttles;
        for (name, throttle) in [
            ("leader.replication.throttled.rate", &throttles.leader),
            ("follower.replication.throttled.rate", &throttles.follower),
            ("replica.alter.log.dirs.io.max.bytes.per.second", &throttles.moves),
        ] {
            let rate = resolver.broker_long(name).filter(|rate| *rate >= 0);
            throttle.set_rate(rate.unwrap_or(UNLIMITED), now_ms);
        }
        let rate = resolver.broker_text("log.cleaner.io.max.bytes.per.second");
        let rate = rate.and_then(|text| text.trim().parse::<f64>().ok()).filter(|rate| *rate >= 0.0);
        // The conversion stops at the greatest whole number, which is no bound.
        throttles.cleaner.set_rate(rate.map_or(UNLIMITED, |rate| (rate.ceil() as i64).max(1)), now_ms);
    }
}

/// Whether a topic's list of throttled replicas, `partition:broker` pairs or `*`, names this one.
pub(crate) fn is_listed(list: &str, partition: PartitionIndex, broker: BrokerId) -> bool {
    list.split(',').map(str::trim).any(|entry| {
        entry == "*"
            || entry
                .split_once(':')
                .is_some_and(|(p, b)| p.trim().parse() == Ok(partition) && b.trim().parse() == Ok(broker.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_rate(rate: i64) -> Throttle {
        let throttle = Throttle::new(Counter::noop());
        throttle.set_rate(rate, 1_000);
        throttle
    }

    #[test]
    fn what_was_spent_too_much_is_waited_for() {
        let throttle = of_rate(1_000);
        assert_eq!(throttle.pause(1_000), Duration::ZERO);
        throttle.spend(500, 1_000);
        assert_eq!(throttle.pause(1_000), Duration::from_millis(500));
        assert_eq!(throttle.pause(1_400), Duration::from_millis(100));
        assert_eq!(throttle.pause(1_500), Duration::ZERO);
    }

    #[test]
    fn of_two_who_have_waited_one_is_first() {
        let throttle = of_rate(1_000);
        assert!(throttle.try_spend(500, 1_000));
        assert!(!throttle.try_spend(1, 1_000));
        assert_eq!(throttle.pause(1_000), Duration::from_millis(500), "what was refused costs nothing");
        assert!(throttle.try_spend(1, 1_500));
    }

    #[test]
    fn no_more_is_saved_up_than_a_second_is_worth() {
        let throttle = of_rate(1_000);
        throttle.spend(3_000, 1_000_000);
        assert_eq!(throttle.pause(1_000_000), Duration::from_secs(2));
    }

    #[test]
    fn a_rate_of_one_byte_comes_to_its_byte() {
        let throttle = of_rate(1);
        throttle.spend(1, 1_000);
        assert!((1..1_000).all(|ms| !throttle.pause(1_000 + ms).is_zero()));
        assert_eq!(throttle.pause(2_000), Duration::ZERO);
    }

    #[test]
    fn without_a_rate_nothing_is_waited_for() {
        let throttle = of_rate(UNLIMITED);
        throttle.spend(usize::MAX, 1_000);
        assert_eq!(throttle.pause(1_000), Duration::ZERO);
        // Neither under the next one.
        throttle.set_rate(10, 1_000);
        assert_eq!(throttle.pause(1_000), Duration::ZERO);
    }

    #[test]
    fn lists_name_partitions_and_brokers() {
        let listed = |list| is_listed(list, 2, BrokerId(5));
        assert!(listed("*") && listed("2:5") && listed("0:1, 2:5"));
        assert!(!listed("") && !listed("2:4,1:5") && !listed("5:2") && !listed("12:5"));
    }
}
