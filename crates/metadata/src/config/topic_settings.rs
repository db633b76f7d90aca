//! A topic's settings as values of their types, for those who act on them.

use levada_types::{BrokerId, TopicId};

use super::check::{parse_bool, split_list};
use super::{Resolver, StaticConfigs};
use crate::State;

/// What `compression.type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompressionType {
    /// Batches stay as the producer compressed them.
    Producer,
    /// Batches are stored without compression.
    Uncompressed,
    /// Batches are stored with gzip.
    Gzip,
    /// Batches are stored with snappy.
    Snappy,
    /// Batches are stored with lz4.
    Lz4,
    /// Batches are stored with zstd.
    Zstd,
}

/// What `message.timestamp.type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampKind {
    /// Records keep the time that the producer gave them.
    CreateTime,
    /// Records bear the time of their appending.
    LogAppendTime,
}

/// The effective settings of one topic at one broker. Fields bear the settings' names; sizes are bytes, times are
/// milliseconds, and -1 means what it means in the table.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "every field is the setting of its name; the table documents it")]
pub struct TopicSettings {
    pub acks_fsync: bool,
    pub cleanup_compact: bool,
    pub cleanup_delete: bool,
    pub compression_type: CompressionType,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub index_interval_bytes: i32,
    pub max_compaction_lag_ms: i64,
    pub max_message_bytes: i32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampKind,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election_enable: bool,
}

impl State {
    /// The effective settings of `topic` at `broker` in a process with this configuration.
    #[must_use]
    pub fn topic_settings(&self, topic: TopicId, broker: BrokerId, statics: &StaticConfigs) -> TopicSettings {
        Resolver::new(self, Some(broker), statics).topic_settings(topic)
    }
}

impl Resolver<'_> {
    /// Every setting of `topic` as a value of its type.
    #[must_use]
    pub fn topic_settings(&self, topic: TopicId) -> TopicSettings {
        let text = |name: &str| self.topic_text(topic, name);
        // Values were checked when they were set and defaults are, so what cannot be read comes from a version with
        // wider types; then the nearest bound of ours is the honest reading.
        let long = |name: &str| text(name).trim().parse::<i64>().unwrap_or(i64::MAX);
        let int = |name: &str| i32::try_from(long(name)).unwrap_or(i32::MAX);
        let boolean = |name: &str| parse_bool(&text(name)).unwrap_or(false);
        let cleanup = text("cleanup.policy");
        let cleans = |policy: &str| split_list(&cleanup).any(|element| element == policy);
        TopicSettings {
            acks_fsync: boolean("acks.fsync"),
            cleanup_compact: cleans("compact"),
            cleanup_delete: cleans("delete"),
            compression_type: match text("compression.type").trim() {
                "uncompressed" => CompressionType::Uncompressed,
                "gzip" => CompressionType::Gzip,
                "snappy" => CompressionType::Snappy,
                "lz4" => CompressionType::Lz4,
                "zstd" => CompressionType::Zstd,
                _ => CompressionType::Producer,
            },
            compression_gzip_level: int("compression.gzip.level"),
            compression_lz4_level: int("compression.lz4.level"),
            compression_zstd_level: int("compression.zstd.level"),
            delete_retention_ms: long("delete.retention.ms"),
            file_delete_delay_ms: long("file.delete.delay.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            index_interval_bytes: int("index.interval.bytes"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            max_message_bytes: int("max.message.bytes"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_type: match text("message.timestamp.type").trim() {
                "LogAppendTime" => TimestampKind::LogAppendTime,
                _ => TimestampKind::CreateTime,
            },
            min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio").trim().parse().unwrap_or(1.0),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            min_insync_replicas: int("min.insync.replicas"),
            preallocate: boolean("preallocate"),
            retention_bytes: long("retention.bytes"),
            retention_ms: long("retention.ms"),
            segment_bytes: int("segment.bytes"),
            segment_index_bytes: int("segment.index.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            segment_ms: long("segment.ms"),
            unclean_leader_election_enable: boolean("unclean.leader.election.enable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{ConfigResource, Delta};

    #[test]
    fn defaults_are_kafkas() {
        let settings = State::new().topic_settings(TopicId(Uuid::from_u128(1)), BrokerId(1), &StaticConfigs::default());
        assert!(settings.cleanup_delete && !settings.cleanup_compact);
        assert_eq!(settings.compression_type, CompressionType::Producer);
        assert_eq!(settings.flush_messages, i64::MAX);
        assert_eq!(settings.flush_ms, i64::MAX);
        assert_eq!(settings.max_message_bytes, 1_048_588);
        assert_eq!(settings.message_timestamp_after_max_ms, 3_600_000);
        assert_eq!(settings.message_timestamp_type, TimestampKind::CreateTime);
        assert_eq!(settings.retention_ms, 604_800_000);
        assert_eq!(settings.segment_ms, 604_800_000);
        assert_eq!(settings.segment_bytes, 1_073_741_824);
    }

    #[test]
    fn a_topic_may_clean_in_both_ways() {
        let topic = TopicId(Uuid::from_u128(1));
        let mut state = State::new();
        let resource = ConfigResource::Topic(topic);
        let value = Some("compact, delete".to_owned());
        state.apply(&Delta::ConfigSet { resource, name: "cleanup.policy".into(), value }).unwrap();
        let settings = state.topic_settings(topic, BrokerId(1), &StaticConfigs::default());
        assert!(settings.cleanup_delete && settings.cleanup_compact);
    }
}
