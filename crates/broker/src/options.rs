//! What an operator may say about a broker process, under Kafka's names.

use levada_log::DEFAULT_MAX_OPEN_FILES;
use levada_metadata::config::{BROKER_CONFIGS, StaticConfigs};
use levada_service::options::{CommaList, OptionsError, OptionsLoader};
use levada_types::BrokerId;
use serde::{Deserialize, Serialize};

use crate::services::ReplicaSelector;

/// The options of the broker role, beside the settings of `metadata::config` that may stand in the same file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokerOptions {
    /// The broker's number, unique in the cluster; -1 is "not given" and refused.
    #[serde(rename = "node.id")]
    pub node_id: i32,
    /// The data directories.
    #[serde(rename = "log.dirs")]
    pub log_dirs: CommaList,
    /// The failure domain that the broker stands in.
    #[serde(rename = "broker.rack")]
    pub rack: Option<String>,
    /// Which boot of the machine this is; by default the kernel's boot id. Whoever drops unflushed bytes on purpose
    /// changes it.
    #[serde(rename = "boot.id")]
    pub boot_id: Option<String>,
    /// Threads that append to the logs. Each partition belongs to one of them. Kafka's `num.io.threads` handle requests
    /// too; these only write, so the default is one for each core up to 4.
    #[serde(rename = "num.io.threads")]
    pub io_threads: usize,
    /// Files kept open over all logs.
    #[serde(rename = "log.max.open.files")]
    pub max_open_files: usize,
    /// Threads per data directory that check logs at the start.
    #[serde(rename = "num.recovery.threads.per.data.dir")]
    pub recovery_threads: usize,
    /// Bytes of produce requests that may wait for the log threads before faces stop reading further ones. -1, Kafka's
    /// default, means [`DEFAULT_QUEUED_BYTES`] here: nothing grows without a bound.
    #[serde(rename = "queued.max.request.bytes")]
    pub queued_max_request_bytes: i64,
    /// The most bytes that one fetch returns, whatever the client asks for.
    #[serde(rename = "fetch.max.bytes")]
    pub fetch_max_bytes: u32,
    /// How long a request to the controller may take.
    #[serde(rename = "request.timeout.ms")]
    pub request_timeout_ms: u64,
    /// How often logs are checked for segments whose retention has passed, in milliseconds.
    #[serde(rename = "log.retention.check.interval.ms")]
    pub retention_check_interval_ms: u64,
    /// How often recovery points are written to their checkpoint, in milliseconds.
    #[serde(rename = "log.flush.offset.checkpoint.interval.ms")]
    pub recovery_checkpoint_interval_ms: u64,
    /// How often log start offsets are written to their checkpoint, in milliseconds.
    #[serde(rename = "log.flush.start.offset.checkpoint.interval.ms")]
    pub start_offset_checkpoint_interval_ms: u64,
    /// How often high watermarks are written to their checkpoint, in milliseconds.
    #[serde(rename = "replica.high.watermark.checkpoint.interval.ms")]
    pub high_watermark_checkpoint_interval_ms: u64,
    /// How often logs are checked for `flush.ms`, in milliseconds. Kafka never does by default
    /// (`log.flush.scheduler.interval.ms` is 2^63-1) and so ignores a topic's `flush.ms`; here the topic's word counts.
    #[serde(rename = "log.flush.scheduler.interval.ms")]
    pub flush_check_interval_ms: u64,
    /// How often a full data directory is asked whether it has space again, in milliseconds.
    #[serde(rename = "log.dir.full.probe.interval.ms")]
    pub full_probe_interval_ms: u64,
    /// How long a shutdown may take to drain before what is left is given up, in milliseconds.
    #[serde(rename = "shutdown.drain.timeout.ms")]
    pub drain_timeout_ms: u64,
    /// The settings of `metadata::config` that the process was given: the static layer under what is set while it runs.
    #[serde(skip)]
    pub statics: StaticConfigs,
}

/// The most log threads that are started by default.
const DEFAULT_IO_THREADS_MAX: usize = 4;

/// What `queued.max.request.bytes` is, if it is not set, for the Kafka face's requests and for what waits for the log
/// threads: two of the largest requests (`socket.request.max.bytes`, 100 MiB) and some room, and little beside the page
/// cache.
pub const DEFAULT_QUEUED_BYTES: usize = 256 << 20;

/// The setting that names [`ReplicaSelector`]s.
const SELECTOR_SETTING: &str = "replica.selector.class";

/// Kafka's default of `replica.fetch.max.bytes`: some tail streams' worth of round trips, and little enough to have many
/// replicas catching up at once.
const DEFAULT_REPLICA_FETCH_MAX_BYTES: u32 = 1 << 20;

/// Kafka's default of `replica.lag.time.max.ms`.
const DEFAULT_REPLICA_LAG_TIME_MAX_MS: i64 = 30_000;

impl BrokerOptions {
    /// Takes the options of the role, and every broker setting, from what the process was given.
    ///
    /// # Errors
    /// [`OptionsError`] names the option that is wrong or missing.
    pub fn load(loader: &mut OptionsLoader) -> Result<Self, OptionsError> {
        let mut options: Self = loader.take()?;
        let given = loader.take_settings(BROKER_CONFIGS.iter().map(|def| def.name));
        options.statics =
            StaticConfigs::new(given).map_err(|error| OptionsError::invalid(error.name(), error.to_string()))?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), OptionsError> {
        if self.node_id < 0 {
            return Err(OptionsError::invalid("node.id", "give this broker a number of its own, 0 or greater"));
        }
        if self.log_dirs.is_empty() {
            return Err(OptionsError::invalid("log.dirs", "name at least one data directory"));
        }
        if let Some(class) = self.statics.get(SELECTOR_SETTING).filter(|class| ReplicaSelector::named(class).is_none())
        {
            let reason =
                format!("{class} is not known here; there is org.apache.kafka.common.replica.RackAwareReplicaSelector");
            return Err(OptionsError::invalid(SELECTOR_SETTING, reason));
        }
        Ok(())
    }

    /// The broker's number.
    #[must_use]
    pub fn broker_id(&self) -> BrokerId {
        BrokerId(self.node_id)
    }

    /// How long a follower may stay behind and be in sync (`replica.lag.time.max.ms`, as the process was given it).
    pub(crate) fn replica_lag_time_max_ms(&self) -> i64 {
        let given = self.statics.get("replica.lag.time.max.ms").and_then(|text| text.trim().parse().ok());
        given.unwrap_or(DEFAULT_REPLICA_LAG_TIME_MAX_MS)
    }

    /// How the replica that a consumer reads from is chosen.
    pub(crate) fn replica_selector(&self) -> ReplicaSelector {
        let given = self.statics.get(SELECTOR_SETTING).and_then(ReplicaSelector::named);
        given.unwrap_or(ReplicaSelector::Leader)
    }

    /// Bytes of records that a leader may send of one replica before they are acknowledged (`replica.fetch.max.bytes`).
    pub(crate) fn replica_fetch_max_bytes(&self) -> u32 {
        let given = self.statics.get("replica.fetch.max.bytes").and_then(|text| text.trim().parse().ok());
        // A follower that grants nothing would never get anything.
        given.unwrap_or(DEFAULT_REPLICA_FETCH_MAX_BYTES).max(1)
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        usize::try_from(self.queued_max_request_bytes).unwrap_or(DEFAULT_QUEUED_BYTES)
    }
}

impl Default for BrokerOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            node_id: -1,
            log_dirs: CommaList::default(),
            rack: None,
            boot_id: None,
            io_threads: cores.min(DEFAULT_IO_THREADS_MAX),
            max_open_files: DEFAULT_MAX_OPEN_FILES,
            recovery_threads: 2,
            queued_max_request_bytes: -1,
            fetch_max_bytes: 57_671_680,
            request_timeout_ms: 30_000,
            retention_check_interval_ms: 300_000,
            recovery_checkpoint_interval_ms: 60_000,
            start_offset_checkpoint_interval_ms: 60_000,
            high_watermark_checkpoint_interval_ms: 5_000,
            flush_check_interval_ms: 1_000,
            full_probe_interval_ms: 2_000,
            drain_timeout_ms: 10_000,
            statics: StaticConfigs::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(set: &[&str]) -> Result<BrokerOptions, OptionsError> {
        let set: Vec<String> = set.iter().map(|&one| one.to_owned()).collect();
        let mut loader = OptionsLoader::new().set(&set)?;
        let options = BrokerOptions::load(&mut loader)?;
        loader.finish()?;
        Ok(options)
    }

    #[test]
    fn options_and_settings_come_from_one_source() {
        let options = load(&["node.id=3", "log.dirs=/a,/b", "log.retention.hours=2", "broker.rack=r1"]).unwrap();
        assert_eq!(options.broker_id(), BrokerId(3));
        assert_eq!(options.log_dirs.iter().collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(options.rack.as_deref(), Some("r1"));
        assert_eq!(options.statics.get("log.retention.hours"), Some("2"));
        assert_eq!(options.queued_bytes(), DEFAULT_QUEUED_BYTES);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (set, name) in [
            (vec!["log.dirs=/a"], "node.id"),
            (vec!["node.id=1"], "log.dirs"),
            (vec!["node.id=1", "log.dirs=/a", "num.partitions=0"], "num.partitions"),
            (vec!["node.id=1", "log.dirs=/a", "log.retention.weeks=1"], "log.retention.weeks"),
            (vec!["node.id=1", "log.dirs=/a", "replica.selector.class=x.Y"], "RackAwareReplicaSelector"),
        ] {
            let error = load(&set).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
