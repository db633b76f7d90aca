//! What a run is to do, whatever the protocol.

use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use super::workload::Workload;

/// A topic to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopicPlan<'a> {
    pub(super) name: &'a str,
    pub(super) partitions: i32,
    /// `None`: what the cluster has as its default.
    pub(super) replication_factor: Option<i16>,
    /// Settings by name.
    pub(super) settings: &'a [(&'a str, &'a str)],
}

/// A run that produces.
#[derive(Debug, Clone)]
pub(super) struct ProducePlan {
    /// The server's address, as `host:port`.
    pub(super) address: String,
    pub(super) topic: String,
    pub(super) workload: Workload,
    /// Batches for each partition; the run ends earlier when `time_limit` passes.
    pub(super) batches_per_partition: u64,
    pub(super) time_limit: Option<Duration>,
    /// 0, 1 or -1 (all).
    pub(super) acks: i16,
    /// Requests of one connection that wait for their answers at most.
    pub(super) in_flight: usize,
    /// Connections to each broker.
    pub(super) connections: usize,
    /// Batches per second over everything; `None`: as many as go.
    pub(super) batch_rate: Option<f64>,
}

impl ProducePlan {
    /// Whether the time of a run that began at `start` is over.
    pub(super) fn is_over(&self, start: Instant) -> bool {
        self.time_limit.is_some_and(|limit| start.elapsed() >= limit)
    }
}

/// A run that consumes.
#[derive(Debug, Clone)]
pub(super) struct ConsumePlan {
    /// The server's address, as `host:port`.
    pub(super) address: String,
    pub(super) topic: String,
    /// Records to read from each partition, from its first one on; `None`: up to the end that it has now.
    pub(super) records_per_partition: Option<i64>,
    /// Bytes of one response at most.
    pub(super) max_bytes: i32,
    /// Connections to each broker.
    pub(super) connections: usize,
    /// Compare each record with what a verifying producer sends.
    pub(super) verify: Option<Workload>,
}

/// When the requests of one lane are due.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    interval: Option<Duration>,
    sent: u32,
}

impl Pace {
    /// `lanes` lanes share the rate of `plan`.
    pub(super) fn new(plan: &ProducePlan, lanes: usize, start: Instant) -> Self {
        let interval = plan.batch_rate.map(|rate| Duration::from_secs_f64(lanes as f64 / rate));
        Self { start, interval, sent: 0 }
    }

    /// When the next request is due; now, if as many go as can. Latency counts from there, so that a server that stalls is
    /// charged for the requests that could not be sent meanwhile.
    fn next_due(&mut self) -> Instant {
        let Some(interval) = self.interval else { return Instant::now() };
        let due = self.start + interval.saturating_mul(self.sent);
        self.sent += 1;
        due
    }

    /// Waits until the next request is due and returns when that was.
    pub(super) fn wait(&mut self) -> Instant {
        let due = self.next_due();
        sleep_until(due);
        due
    }

    /// As [`Self::wait`], within a task. A thread sleeps for it: the runtime's timer counts in whole milliseconds, which is
    /// more than what is measured.
    pub(super) async fn waited(&mut self) -> Instant {
        let due = self.next_due();
        if self.interval.is_some() {
            // It fails only when the runtime stops, and then nobody measures.
            drop(spawn_blocking(move || sleep_until(due)).await);
        }
        due
    }
}

fn sleep_until(due: Instant) {
    if let Some(early) = due.checked_duration_since(Instant::now()) {
        std::thread::sleep(early);
    }
}

/// Deals partitions out to the connections of one broker.
pub(super) fn deal<T: Clone>(partitions: &[T], connections: usize) -> Vec<Vec<T>> {
    let lanes = connections.clamp(1, partitions.len().max(1));
    (0..lanes).map(|lane| partitions.iter().skip(lane).step_by(lanes).cloned().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_dealt_once_and_no_lane_is_empty() {
        assert_eq!(deal(&[0, 1, 2, 3, 4], 2), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(deal(&[0, 1], 5), [vec![0], vec![1]]);
        assert_eq!(deal(&[0, 1], 0), [vec![0, 1]]);
    }
}
