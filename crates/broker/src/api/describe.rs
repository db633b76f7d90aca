//! What operators look at: data directories and producers.

use levada_types::{ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicName};

/// One data directory of a broker.
#[derive(Debug, Clone)]
pub struct DescribedLogDir {
    /// Its path.
    pub path: String,
    /// `KafkaStorageError` if it is offline.
    pub error: ErrorCode,
    /// Bytes of the volume; -1 if unknown.
    pub total_bytes: i64,
    /// Bytes still free; -1 if unknown.
    pub usable_bytes: i64,
    /// The replicas in it.
    pub replicas: Vec<DescribedReplica>,
}

/// One replica in a data directory.
#[derive(Debug, Clone)]
pub struct DescribedReplica {
    /// Its topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionIndex,
    /// Bytes of its segments.
    pub size: i64,
    /// How far it is behind the high watermark.
    pub offset_lag: i64,
    /// Whether it is being moved here and is not yet in use.
    pub is_future: bool,
}

/// The state that a partition keeps of one idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescribedProducer {
    /// Who.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub producer_epoch: ProducerEpoch,
    /// The sequence of its last record; -1 if it has none.
    pub last_sequence: Sequence,
    /// The time of its last record; -1 if it has none.
    pub last_timestamp: TimestampMs,
    /// The epoch of the coordinator that wrote its last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction; `None` if none is open.
    pub current_txn_start_offset: Option<Offset>,
}

/// One setting of a topic or broker, as DescribeConfigs shows it.
#[derive(Debug, Clone)]
pub struct DescribedConfig {
    /// Kafka's name for it.
    pub name: &'static str,
    /// Its effective value; `None` if it is unset or sensitive.
    pub value: Option<String>,
    /// Its type, default and text.
    pub def: &'static levada_metadata::config::ConfigDef,
    /// Where the effective value comes from.
    pub source: levada_metadata::config::ConfigSource,
    /// Every value that applies, the effective one first.
    pub synonyms: Vec<(String, Option<String>, levada_metadata::config::ConfigSource)>,
}

/// Whose settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescribedResource {
    /// A topic's.
    Topic(TopicName),
    /// This broker's.
    Broker,
    /// The cluster-wide defaults of all brokers.
    BrokerDefault,
}
