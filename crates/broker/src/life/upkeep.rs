//! What is done for all logs of a broker from time to time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_log::{DirectoryInfo, DirectoryState};
use levada_types::{Offset, TopicPartition};
use metrics::gauge;

use crate::Broker;
use crate::clock::now_ms;
use crate::partition::{Health, Partition};
use crate::threads::Job;

/// Partitions that are sent to their log threads at once, before a pause that lets appends through.
const PARTITIONS_PER_BURST: usize = 256;

/// That pause.
const BURST_PAUSE: Duration = Duration::from_millis(5);

/// The duties of maintenance, and what they remember from one time to the next.
pub(super) struct Upkeep {
    broker: Arc<Broker>,
    /// What the last checkpoint wrote: while it stands, writing it again would only wear the disk.
    written: HashMap<TopicPartition, Standing>,
}

/// What a checkpoint tells of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    high_watermark: Offset,
    log_start: Offset,
    recovery_point: Offset,
}

impl Upkeep {
    pub(super) fn new(broker: Arc<Broker>) -> Self {
        Self { broker, written: HashMap::new() }
    }

    /// Fsyncs segments that were closed, and logs whose `flush.ms` has passed.
    pub(super) fn flush(&mut self) {
        let now_ms = now_ms();
        for partition in self.broker.partitions.all() {
            let reader = partition.reader();
            if reader.has_unflushed_closed_segments()
                && let Err(error) = reader.flush_closed_segments()
            {
                tracing::error!(partition = %partition.name(), %error, "closed segments could not be flushed");
            }
            if partition.flushes_by_time() && reader.recovery_point() < reader.log_end_offset() {
                partition.post(Job::FlushIfDue { now_ms });
            }
        }
    }

    /// Removes files whose deletion was delayed.
    pub(super) fn purge(&mut self) {
        let removed = self.broker.store.purge(now_ms());
        if removed > 0 {
            tracing::debug!(removed, "files of deleted segments and logs removed");
        }
    }

    /// Writes the recovery points, log starts and high watermarks, if any has moved.
    pub(super) fn checkpoint(&mut self) {
        let standing = |partition: &Arc<Partition>| {
            let reader = partition.reader();
            Standing {
                high_watermark: partition.high_watermark(),
                log_start: reader.log_start_offset(),
                recovery_point: reader.recovery_point(),
            }
        };
        let partitions = self.broker.partitions.all();
        let unchanged = partitions.len() == self.written.len()
            && partitions.iter().all(|partition| self.written.get(partition.name()) == Some(&standing(partition)));
        if unchanged {
            return;
        }
        let now: HashMap<_, _> = partitions.iter().map(|p| (p.name().clone(), standing(p))).collect();
        let high_watermarks = now.iter().map(|(name, standing)| (name.clone(), standing.high_watermark)).collect();
        match self.broker.store.checkpoint(&high_watermarks) {
            Ok(()) => self.written = now,
            Err(error) => tracing::error!(%error, "checkpoints could not be written; trying again"),
        }
    }

    /// Has every log roll and delete what is due.
    pub(super) fn retain(&mut self) {
        let now_ms = now_ms();
        for burst in self.broker.partitions.all().chunks(PARTITIONS_PER_BURST) {
            for partition in burst {
                partition.post(Job::Maintain { now_ms });
            }
            std::thread::sleep(BURST_PAUSE);
        }
    }

    /// Asks full directories whether they have space again, and gives up the replicas of failed ones.
    pub(super) fn look_after_directories(&mut self) {
        self.broker.store.probe(now_ms());
        let directories = self.broker.store.directories();
        for directory in &directories {
            tell_state(directory);
        }
        let failed: Vec<_> =
            directories.iter().filter(|d| d.state == DirectoryState::Offline).filter_map(|d| d.id).collect();
        if failed.is_empty() {
            return;
        }
        for partition in self.broker.partitions.all() {
            if failed.contains(&partition.directory()) && partition.health() == Health::Good {
                tracing::error!(partition = %partition.name(), "offline: its data directory failed");
                partition.turn(Health::Failed);
            }
        }
    }

    /// Sets the gauges that are sums over all partitions.
    pub(super) fn gauge(&mut self) {
        let partitions = self.broker.partitions.all();
        let led: Vec<_> = partitions.iter().map(|p| p.role()).filter(|role| role.leads).collect();
        let under_replicated = led.iter().filter(|role| role.in_sync < role.replicas).count();
        let bytes: u64 = partitions.iter().map(|p| p.reader().size_bytes()).sum();
        let metrics = &self.broker.metrics;
        metrics.partitions.set(partitions.len() as f64);
        metrics.leaders.set(led.len() as f64);
        metrics.under_replicated.set(under_replicated as f64);
        metrics.log_bytes.set(bytes as f64);
        metrics.queued_bytes.set(self.broker.in_flight.queued() as f64);
    }
}

fn tell_state(directory: &DirectoryInfo) {
    let path = directory.path.display().to_string();
    for (state, name) in
        [(DirectoryState::Online, "online"), (DirectoryState::Full, "full"), (DirectoryState::Offline, "offline")]
    {
        let set = if directory.state == state { 1.0 } else { 0.0 };
        gauge!("levada_broker_directory_state", "directory" => path.clone(), "state" => name).set(set);
    }
    gauge!("levada_broker_directory_usable_bytes", "directory" => path).set(directory.usable_bytes as f64);
}
