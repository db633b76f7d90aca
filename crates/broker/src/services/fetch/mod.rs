//! Fetch: reads what is there, or sleeps until there is enough.

mod nearest;
mod pass;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use self::nearest::ReplicaSelector;
use self::pass::{Bounds, Pass, Reading, Target};
use crate::Broker;
use crate::api::{Fetch, FetchedPartition, ReadFrom};
use crate::partition::Waiter;

/// The longest that a fetch sleeps, whatever it asks for. Kafka's protocol can ask for 24 days; nobody needs a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl Broker {
    /// See [`Broker::fetch`].
    pub(crate) async fn read(&self, request: &Fetch) -> Vec<FetchedPartition> {
        self.metrics.fetch_requests.increment(1);
        let deadline = Instant::now() + request.max_wait.min(LONGEST_WAIT);
        let mut reading = self.reading(request).await;
        let mut pass = reading.pass().await;
        let mut slept = false;
        while !pass.is_enough(&reading) && Instant::now() < deadline {
            if !std::mem::replace(&mut slept, true) {
                self.metrics.fetch_waits.increment(1);
            }
            if sleep(&reading, &pass, deadline).await == Woken::TooLate {
                // Nothing has changed but the time.
                break;
            }
            pass = reading.pass().await;
        }
        let answers = pass.into_answers(&reading);
        let bytes: usize =
            answers.iter().filter_map(|answer| answer.records.as_ref()).map(levada_log::Slice::len).sum();
        self.metrics.bytes_out.increment(bytes as u64);
        answers
    }

    async fn reading(&self, request: &Fetch) -> Reading {
        let max_bytes = request.max_bytes.min(self.options.fetch_max_bytes);
        let targets: Vec<Target> =
            request.partitions.iter().map(|asked| (asked.clone(), self.locate(&asked.partition))).collect();
        Reading::new(Bounds {
            better: self.better_replicas(&request.read_from, &targets).await,
            targets,
            isolation: request.isolation,
            from_followers: request.read_from != ReadFrom::Leader,
            max_bytes,
            min_bytes: request.min_bytes.min(max_bytes),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    /// There may be enough now.
    ToLook,
    /// The request's time has passed, and nothing was gained.
    TooLate,
}

/// Sleeps until the partitions have gained what `pass` lacks, or something else has happened to one of them.
async fn sleep(reading: &Reading, pass: &Pass, deadline: Instant) -> Woken {
    let waiter = Waiter::new(pass.lacking(reading));
    let asleep = Asleep::enter(reading, &waiter);
    // What happened between the pass and the entry into the wait lists told nobody.
    if pass.is_outdated(reading) {
        return Woken::ToLook;
    }
    let woken = tokio::time::timeout_at(deadline, waiter.woken()).await;
    drop(asleep);
    // Less than was asked for is better than nothing.
    if woken.is_ok() || waiter.has_gained() { Woken::ToLook } else { Woken::TooLate }
}

/// Stands in the wait lists of all partitions, until it is dropped.
struct Asleep<'a> {
    reading: &'a Reading,
    waiter: &'a Arc<Waiter>,
}

impl<'a> Asleep<'a> {
    fn enter(reading: &'a Reading, waiter: &'a Arc<Waiter>) -> Self {
        for partition in reading.partitions() {
            partition.waiters().enter(waiter);
        }
        Self { reading, waiter }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        for partition in self.reading.partitions() {
            partition.waiters().leave(self.waiter);
        }
    }
}
