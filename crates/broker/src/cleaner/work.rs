//! Which log is cleaned next, and which ones cannot be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use levada_log::{CleanError, LogConfig};
use levada_types::{TimestampMs, TopicId, TopicIdPartition};
use parking_lot::Mutex;

use crate::Broker;
use crate::clock::{now_ms, uptime_ms};
use crate::partition::{Health, Partition};

/// How long a log is left alone that could not be cleaned. Most of what keeps one from it needs an operator.
const RETRY_MS: i64 = 600_000;

/// As [`RETRY_MS`], where room on the disk was all that was missing.
const RETRY_FOR_SPACE_MS: i64 = 60_000;

/// What the cleaning threads of a broker share.
#[derive(Default)]
pub(super) struct Work(Mutex<Ledger>);

#[derive(Default)]
struct Ledger {
    /// Logs that are being cleaned.
    under_way: HashSet<TopicIdPartition>,
    /// Logs that are left alone for a while.
    set_aside: HashMap<TopicIdPartition, SetAside>,
}

struct SetAside {
    until_ms: TimestampMs,
    /// Why it cannot be cleaned; `None` if it only was not to be just then.
    why: Option<(&'static str, String)>,
}

/// A log that is to be cleaned next. Nobody else gets it before this is dropped.
pub(super) struct Task {
    pub(super) partition: Arc<Partition>,
    pub(super) config: LogConfig,
    work: Arc<Work>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.work.0.lock().under_way.remove(&self.partition.id());
    }
}

impl Work {
    /// The dirtiest log whose topic asks for a cleaning; one that has a record for longer than its topic allows goes first.
    pub(super) fn next(self: &Arc<Self>, broker: &Broker) -> Option<Task> {
        let (now_ms, uptime_ms) = (now_ms(), uptime_ms());
        let mut configs: HashMap<TopicId, LogConfig> = HashMap::new();
        let (mut most, mut longest_ms) = (0f64, 0);
        let mut best: Option<((bool, f64), Arc<Partition>, LogConfig)> = None;
        let mut partitions = broker.partitions.all();
        partitions.retain(|partition| partition.is_compacted() && partition.health() == Health::Good);
        self.forget_others(broker, &partitions);
        for partition in partitions {
            let id = partition.id();
            let config = configs.entry(id.topic_id).or_insert_with(|| broker.log_config_of(id.topic_id));
            let stable_end = partition.last_stable_offset();
            // A log whose age cannot be told is looked at in earnest, which says what is wrong with it.
            let (is_due, merit) = match partition.reader().cleanable(config, stable_end, now_ms) {
                Ok(found) => {
                    longest_ms = longest_ms.max(found.overdue_since_ms.map_or(0, |since| now_ms.saturating_sub(since)));
                    (found.is_due(), (found.overdue_since_ms.is_some(), found.dirty_ratio()))
                }
                Err(_) => (true, (false, 1.0)),
            };
            most = most.max(merit.1);
            let is_better = best.as_ref().is_none_or(|(known, ..)| merit > *known);
            if is_due && is_better && self.is_free(id, uptime_ms) {
                best = Some((merit, partition, config.clone()));
            }
        }
        broker.metrics.cleaner_dirty_ratio.set(most);
        broker.metrics.compaction_delay.set(longest_ms as f64 / 1e3);
        let (_, partition, config) = best?;
        let is_first = self.0.lock().under_way.insert(partition.id());
        is_first.then(|| Task { partition, config, work: Arc::clone(self) })
    }

    fn is_free(&self, id: TopicIdPartition, uptime_ms: TimestampMs) -> bool {
        let ledger = self.0.lock();
        let is_set_aside = ledger.set_aside.get(&id).is_some_and(|aside| uptime_ms < aside.until_ms);
        !is_set_aside && !ledger.under_way.contains(&id)
    }

    /// Forgets logs that are not here any more.
    fn forget_others(&self, broker: &Broker, partitions: &[Arc<Partition>]) {
        let mut ledger = self.0.lock();
        let before = ledger.set_aside.len();
        if before > 0 {
            let here: HashSet<_> = partitions.iter().map(|partition| partition.id()).collect();
            ledger.set_aside.retain(|id, _| here.contains(id));
        }
        let has_forgotten = ledger.set_aside.len() < before;
        drop(ledger);
        if has_forgotten {
            self.tell(broker);
        }
    }

    /// It was cleaned.
    pub(super) fn settle(&self, broker: &Broker, id: TopicIdPartition) {
        self.0.lock().set_aside.remove(&id);
        self.tell(broker);
    }

    /// It was not to be cleaned just then, and is left alone for so long.
    pub(super) fn postpone(&self, id: TopicIdPartition, for_ms: i64) {
        let mut ledger = self.0.lock();
        let aside = ledger.set_aside.entry(id).or_insert(SetAside { until_ms: 0, why: None });
        aside.until_ms = uptime_ms().saturating_add(for_ms);
    }

    /// It cannot be cleaned. The reason is told once.
    pub(super) fn set_aside(&self, broker: &Broker, partition: &Partition, error: &CleanError) {
        let retry_ms = if matches!(error, CleanError::NoSpace { .. }) { RETRY_FOR_SPACE_MS } else { RETRY_MS };
        self.note(broker, partition, error.reason(), &error.to_string(), retry_ms);
    }

    /// A defect was met.
    pub(super) fn defect(&self, broker: &Broker, partition: &Partition) {
        self.note(broker, partition, "defect", "a defect was met", RETRY_MS);
    }

    fn note(&self, broker: &Broker, partition: &Partition, reason: &'static str, text: &str, retry_ms: i64) {
        let until_ms = uptime_ms().saturating_add(retry_ms);
        let why = Some((reason, text.to_owned()));
        let before = self.0.lock().set_aside.insert(partition.id(), SetAside { until_ms, why: why.clone() });
        if before.is_none_or(|before| before.why != why) {
            tracing::error!(
                partition = %partition.name(),
                reason = text,
                retry_after_ms = retry_ms,
                "a log cannot be compacted and grows; the others are"
            );
        }
        self.tell(broker);
    }

    /// Sets the gauges of logs that cannot be cleaned.
    fn tell(&self, broker: &Broker) {
        let ledger = self.0.lock();
        let reasons = ledger.set_aside.values().filter_map(|aside| aside.why.as_ref().map(|(reason, _)| *reason));
        broker.metrics.set_uncleanable(reasons);
    }
}
