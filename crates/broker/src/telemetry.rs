//! What the broker counts. Handles are looked up once, so that counting costs one atomic addition.

use std::collections::BTreeMap;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use parking_lot::Mutex;

use crate::shard_log::RefusalReason;

/// The broker's metrics. Labels have few values: never a topic or a client.
pub(crate) struct BrokerMetrics {
    pub(crate) bytes_in: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) produce_requests: Counter,
    pub(crate) produce_errors: Counter,
    pub(crate) fetch_requests: Counter,
    pub(crate) fetch_waits: Counter,
    pub(crate) appends_per_write: Histogram,
    pub(crate) queued_bytes: Gauge,
    pub(crate) partitions: Gauge,
    pub(crate) leaders: Gauge,
    pub(crate) under_replicated: Gauge,
    pub(crate) log_bytes: Gauge,
    pub(crate) retention_deleted: Counter,
    pub(crate) refused_shard_appends: RefusedShardAppends,
    pub(crate) possible_losses: Counter,
    pub(crate) lost_records: Counter,
    pub(crate) under_minimum: Gauge,
    pub(crate) at_minimum: Gauge,
    pub(crate) offline_replicas: Gauge,
    pub(crate) reassigning: Gauge,
    pub(crate) max_lag: Gauge,
    pub(crate) replication_bytes_in: Counter,
    pub(crate) replication_bytes_out: Counter,
    pub(crate) isr_shrinks: Counter,
    pub(crate) isr_expands: Counter,
    pub(crate) cleanings: Counter,
    pub(crate) compacted_bytes: Counter,
    pub(crate) cleaned_bytes: Counter,
    pub(crate) cleaned_records: Counter,
    pub(crate) cleaning_seconds: Histogram,
    pub(crate) cleaner_map_utilization: Gauge,
    pub(crate) cleaner_dirty_ratio: Gauge,
    pub(crate) compaction_delay: Gauge,
    uncleanable: Mutex<BTreeMap<&'static str, Gauge>>,
}

impl BrokerMetrics {
    /// Registers everything with the recorder of the process, if it has one.
    pub(crate) fn new() -> Self {
        describe_counter!("levada_broker_bytes_in_total", "Bytes of record batches appended for producers");
        describe_counter!("levada_broker_messages_in_total", "Records appended for producers");
        describe_counter!("levada_broker_bytes_out_total", "Bytes of record batches handed to consumers");
        describe_counter!("levada_broker_produce_requests_total", "Produce requests");
        describe_counter!("levada_broker_produce_errors_total", "Partitions of produce requests that were refused");
        describe_counter!("levada_broker_fetch_requests_total", "Fetch requests");
        describe_counter!("levada_broker_fetch_waits_total", "Fetch requests that slept until there were enough bytes");
        describe_histogram!(
            "levada_broker_appends_per_write",
            "Produce requests that one write to a log took together"
        );
        describe_gauge!("levada_broker_queued_bytes", "Bytes of produce requests that wait for the log threads");
        describe_gauge!("levada_broker_partitions", "Partition replicas hosted");
        describe_gauge!("levada_broker_leader_partitions", "Partitions led");
        describe_gauge!(
            "levada_broker_under_replicated_partitions",
            "Partitions led whose in-sync set is not complete"
        );
        describe_gauge!("levada_broker_log_bytes", "Bytes of all segments");
        describe_counter!(
            "levada_broker_retention_deleted_segments_total",
            "Segments deleted because their retention passed"
        );
        describe_counter!(
            "levada_broker_refused_shard_appends_total",
            "Appends of coordinators to their shards' partitions of which nothing was taken, by reason"
        );
        describe_counter!(
            "levada_broker_possible_losses_total",
            "Elections of this broker after which acknowledged records may be missing"
        );
        describe_gauge!(
            "levada_broker_under_min_isr_partitions",
            "Partitions led whose in-sync set is smaller than min.insync.replicas: acks=all is refused"
        );
        describe_gauge!(
            "levada_broker_at_min_isr_partitions",
            "Partitions led whose in-sync set is as large as min.insync.replicas, and no larger"
        );
        describe_gauge!("levada_broker_offline_replicas", "Replicas hosted in a data directory that has failed");
        describe_gauge!("levada_broker_reassigning_partitions", "Partitions led whose replicas are being moved");
        describe_gauge!(
            "levada_broker_follower_max_lag_records",
            "Records that the furthest behind of the followers here lacks of what its leader says is committed"
        );
        describe_counter!("levada_broker_replication_bytes_in_total", "Bytes of records that came from leaders");
        describe_counter!("levada_broker_replication_bytes_out_total", "Bytes of records sent to followers");
        describe_counter!(
            "levada_broker_lost_records_total",
            "Records below the high watermark that was noted last which logs lacked when they were opened"
        );
        describe_counter!(
            "levada_broker_isr_shrinks_total",
            "Changes of a led partition's in-sync set that took a replica out of it"
        );
        describe_counter!(
            "levada_broker_isr_expands_total",
            "Changes of a led partition's in-sync set that brought a replica into it"
        );
        describe_counter!("levada_broker_cleanings_total", "Logs compacted");
        describe_counter!("levada_broker_compacted_bytes_total", "Bytes of segments that compaction has gone through");
        describe_counter!("levada_broker_cleaned_bytes_total", "Bytes of segments that compaction has freed");
        describe_counter!("levada_broker_cleaned_records_total", "Records that compaction has removed");
        describe_histogram!("levada_broker_cleaning_seconds", "How long the compaction of a log took");
        describe_gauge!(
            "levada_broker_cleaner_map_utilization",
            "How much of its memory for keys the last compaction needed, from 0 to 1"
        );
        describe_gauge!(
            "levada_broker_cleaner_max_dirty_ratio",
            "The greatest part of a compacted log that is new, of what could be compacted by now, from 0 to 1"
        );
        describe_gauge!(
            "levada_broker_max_compaction_delay_seconds",
            "For how long the record that waits longest has been uncompacted beyond its topic's max.compaction.lag.ms"
        );
        describe_gauge!("levada_broker_uncleanable_partitions", "Replicas hosted that cannot be compacted, by reason");
        describe_gauge!("levada_broker_directory_state", "1 for the state that a data directory is in");
        Self {
            bytes_in: counter!("levada_broker_bytes_in_total"),
            messages_in: counter!("levada_broker_messages_in_total"),
            bytes_out: counter!("levada_broker_bytes_out_total"),
            produce_requests: counter!("levada_broker_produce_requests_total"),
            produce_errors: counter!("levada_broker_produce_errors_total"),
            fetch_requests: counter!("levada_broker_fetch_requests_total"),
            fetch_waits: counter!("levada_broker_fetch_waits_total"),
            appends_per_write: histogram!("levada_broker_appends_per_write"),
            queued_bytes: gauge!("levada_broker_queued_bytes"),
            partitions: gauge!("levada_broker_partitions"),
            leaders: gauge!("levada_broker_leader_partitions"),
            under_replicated: gauge!("levada_broker_under_replicated_partitions"),
            log_bytes: gauge!("levada_broker_log_bytes"),
            retention_deleted: counter!("levada_broker_retention_deleted_segments_total"),
            refused_shard_appends: RefusedShardAppends::new(),
            possible_losses: counter!("levada_broker_possible_losses_total"),
            lost_records: counter!("levada_broker_lost_records_total"),
            under_minimum: gauge!("levada_broker_under_min_isr_partitions"),
            at_minimum: gauge!("levada_broker_at_min_isr_partitions"),
            offline_replicas: gauge!("levada_broker_offline_replicas"),
            reassigning: gauge!("levada_broker_reassigning_partitions"),
            max_lag: gauge!("levada_broker_follower_max_lag_records"),
            replication_bytes_in: counter!("levada_broker_replication_bytes_in_total"),
            replication_bytes_out: counter!("levada_broker_replication_bytes_out_total"),
            isr_shrinks: counter!("levada_broker_isr_shrinks_total"),
            isr_expands: counter!("levada_broker_isr_expands_total"),
            cleanings: counter!("levada_broker_cleanings_total"),
            compacted_bytes: counter!("levada_broker_compacted_bytes_total"),
            cleaned_bytes: counter!("levada_broker_cleaned_bytes_total"),
            cleaned_records: counter!("levada_broker_cleaned_records_total"),
            cleaning_seconds: histogram!("levada_broker_cleaning_seconds"),
            cleaner_map_utilization: gauge!("levada_broker_cleaner_map_utilization"),
            cleaner_dirty_ratio: gauge!("levada_broker_cleaner_max_dirty_ratio"),
            compaction_delay: gauge!("levada_broker_max_compaction_delay_seconds"),
            uncleanable: Mutex::default(),
        }
    }

    /// Says of how many replicas each of these is the reason why they cannot be compacted; of those told before that do not
    /// occur any more, none.
    pub(crate) fn set_uncleanable(&self, reasons: impl Iterator<Item = &'static str>) {
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
        let mut gauges = self.uncleanable.lock();
        for reason in counts.keys() {
            gauges.entry(reason).or_insert_with(|| gauge!("levada_broker_uncleanable_partitions", "reason" => *reason));
        }
        for (reason, gauge) in &*gauges {
            gauge.set(f64::from(counts.get(reason).copied().unwrap_or(0)));
        }
    }
}

/// Appends of coordinators that were refused, by reason.
pub(crate) struct RefusedShardAppends {
    session: Counter,
    offset: Counter,
    not_taken: Counter,
}

impl RefusedShardAppends {
    fn new() -> Self {
        let refused = |reason: &'static str| counter!("levada_broker_refused_shard_appends_total", "reason" => reason);
        Self { session: refused("session"), offset: refused("offset"), not_taken: refused("not_taken") }
    }

    pub(crate) fn count(&self, reason: RefusalReason) {
        let counter = match reason {
            RefusalReason::Session => &self.session,
            RefusalReason::Offset => &self.offset,
            RefusalReason::NotTaken => &self.not_taken,
        };
        counter.increment(1);
    }
}
