//! From a topic's effective settings to those of its logs.

use levada_log::{LogConfig, TopicCompression};
use levada_metadata::config::{CompressionType, TimestampKind, TopicSettings};
use levada_records::{Compression, TimestampType};

/// The log settings of a topic with these effective settings.
pub(crate) fn log_config(settings: &TopicSettings, producer_id_expiration_ms: i64) -> LogConfig {
    LogConfig {
        segment_bytes: bytes(settings.segment_bytes.into()),
        segment_ms: settings.segment_ms,
        segment_jitter_ms: settings.segment_jitter_ms,
        segment_index_bytes: bytes(settings.segment_index_bytes.into()),
        index_interval_bytes: bytes(settings.index_interval_bytes.into()),
        retention_ms: (settings.retention_ms >= 0).then_some(settings.retention_ms),
        retention_bytes: u64::try_from(settings.retention_bytes).ok(),
        delete_enabled: settings.cleanup_delete,
        file_delete_delay_ms: settings.file_delete_delay_ms,
        flush_messages: u64::try_from(settings.flush_messages).ok().filter(|_| settings.flush_messages != i64::MAX),
        flush_ms: Some(settings.flush_ms).filter(|ms| (0..i64::MAX).contains(ms)),
        max_message_bytes: usize::try_from(settings.max_message_bytes).unwrap_or(0),
        compression: compression(settings),
        timestamp_type: match settings.message_timestamp_type {
            TimestampKind::CreateTime => TimestampType::CreateTime,
            TimestampKind::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: settings.message_timestamp_before_max_ms,
        timestamp_after_max_ms: settings.message_timestamp_after_max_ms,
        producer_id_expiration_ms,
        compacted: settings.cleanup_compact,
        min_cleanable_dirty_ratio: settings.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: settings.min_compaction_lag_ms,
        max_compaction_lag_ms: Some(settings.max_compaction_lag_ms).filter(|lag| (1..i64::MAX).contains(lag)),
        delete_retention_ms: settings.delete_retention_ms,
        preallocate: settings.preallocate,
    }
}

fn compression(settings: &TopicSettings) -> TopicCompression {
    let fixed = |codec, level| TopicCompression::Fixed { codec, level };
    match settings.compression_type {
        CompressionType::Producer => TopicCompression::Producer,
        CompressionType::Uncompressed => fixed(Compression::None, None),
        // -1 is gzip's own default.
        CompressionType::Gzip => {
            fixed(Compression::Gzip, Some(settings.compression_gzip_level).filter(|level| *level >= 0))
        }
        CompressionType::Snappy => fixed(Compression::Snappy, None),
        CompressionType::Lz4 => fixed(Compression::Lz4, Some(settings.compression_lz4_level)),
        CompressionType::Zstd => fixed(Compression::Zstd, Some(settings.compression_zstd_level)),
    }
}

/// Settings of sizes are checked to be positive where they are made.
fn bytes(setting: i64) -> u64 {
    u64::try_from(setting).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use levada_metadata::State;
    use levada_metadata::config::StaticConfigs;
    use levada_types::{BrokerId, TopicId};

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn defaults() -> TopicSettings {
        State::new().topic_settings(TopicId::ZERO, BrokerId(1), &StaticConfigs::default())
    }

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_log() {
        assert_eq!(log_config(&defaults(), DAY_MS), LogConfig::default());
    }

    #[test]
    fn no_limit_is_none() {
        let settings =
            TopicSettings { retention_ms: -1, retention_bytes: 5, flush_ms: 7, flush_messages: 9, ..defaults() };
        let config = log_config(&settings, DAY_MS);
        assert_eq!(config.retention_ms, None);
        assert_eq!(config.retention_bytes, Some(5));
        assert_eq!(config.flush_ms, Some(7));
        assert_eq!(config.flush_messages, Some(9));
    }

    #[test]
    fn compaction_is_what_the_topic_asks_for() {
        let settings = TopicSettings {
            cleanup_compact: true,
            min_cleanable_dirty_ratio: 0.1,
            min_compaction_lag_ms: 2,
            max_compaction_lag_ms: 3,
            delete_retention_ms: 4,
            ..defaults()
        };
        let config = log_config(&settings, DAY_MS);
        assert!(config.compacted && config.delete_enabled);
        assert_eq!((config.min_cleanable_dirty_ratio, config.min_compaction_lag_ms), (0.1, 2));
        assert_eq!((config.max_compaction_lag_ms, config.delete_retention_ms), (Some(3), 4));
    }

    #[test]
    fn a_level_belongs_to_its_codec() {
        let settings = TopicSettings { compression_type: CompressionType::Gzip, ..defaults() };
        let expected = TopicCompression::Fixed { codec: Compression::Gzip, level: None };
        assert_eq!(log_config(&settings, DAY_MS).compression, expected);
        let settings =
            TopicSettings { compression_type: CompressionType::Zstd, compression_zstd_level: 7, ..defaults() };
        let expected = TopicCompression::Fixed { codec: Compression::Zstd, level: Some(7) };
        assert_eq!(log_config(&settings, DAY_MS).compression, expected);
    }
}
