//! What is done for all logs of a broker from time to time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_types::{Offset, TopicIdPartition, TopicPartition};

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
    cleaned_to: Offset,
}

impl Upkeep {
    pub(super) fn new(broker: Arc<Broker>) -> Self {
        Self { broker, written: HashMap::new() }
    }

    /// The replicas that can be used: there is nothing to do for those in a failed directory.
    fn usable(&self) -> Vec<Arc<Partition>> {
        let mut partitions = self.broker.partitions.all();
        partitions.retain(|partition| partition.health() == Health::Good);
        partitions
    }

    /// Fsyncs segments that were closed, and logs whose `flush.ms` has passed.
    pub(super) fn flush(&mut self) {
        let now_ms = now_ms();
        for partition in self.usable() {
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
                cleaned_to: reader.cleaned_to(),
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
        for burst in self.usable().chunks(PARTITIONS_PER_BURST) {
            for partition in burst {
                partition.post(Job::Maintain { now_ms });
            }
            std::thread::sleep(BURST_PAUSE);
        }
    }

    /// Sets the gauges that are sums over all partitions.
    pub(super) fn gauge(&mut self) {
        let partitions = self.broker.partitions.all();
        let led: Vec<_> = partitions.iter().map(|p| p.role()).filter(|role| role.leads).collect();
        let under_replicated = led.iter().filter(|role| role.in_sync < role.replicas).count();
        let under_minimum = led.iter().filter(|role| role.in_sync < role.min_in_sync).count();
        let at_minimum = led.iter().filter(|role| role.in_sync == role.min_in_sync).count();
        let offline = partitions.iter().filter(|p| matches!(p.health(), Health::Closed | Health::Failed)).count();
        let image = self.broker.image();
        let leads = |id: &TopicIdPartition| {
            let partition = image.partition(id.topic_id, id.partition);
            partition.is_some_and(|partition| partition.leader == Some(self.broker.id()))
        };
        let reassigning = image.reassigning().filter(leads).count();
        let max_lag = partitions.iter().map(|partition| partition.lag()).max().unwrap_or(0);
        let bytes: u64 = partitions.iter().map(|p| p.reader().size_bytes()).sum();
        let metrics = &self.broker.metrics;
        metrics.partitions.set(partitions.len() as f64);
        metrics.leaders.set(led.len() as f64);
        metrics.under_replicated.set(under_replicated as f64);
        metrics.under_minimum.set(under_minimum as f64);
        metrics.at_minimum.set(at_minimum as f64);
        metrics.offline_replicas.set(offline as f64);
        metrics.reassigning.set(reassigning as f64);
        metrics.max_lag.set(max_lag as f64);
        metrics.log_bytes.set(bytes as f64);
        metrics.queued_bytes.set(self.broker.in_flight.queued() as f64);
    }
}
