//! Settings: the one table of what can be set, and how the value that counts is found.
//!
//! Names, types, defaults and synonyms are Kafka's. The effective value of a topic's setting is the first of: the
//! topic's own; its broker synonym as set on this broker; as set for all brokers; as in the process's configuration;
//! the default.

mod broker_configs;
mod check;
mod compaction;
mod definition;
mod min_isr;
mod nearest;
mod resolve;
mod static_configs;
mod throttle;
mod topic_configs;
mod topic_settings;

pub use broker_configs::{BROKER_CONFIGS, broker_config};
pub use check::Check;
pub(crate) use check::split_list;
pub use compaction::{CLEANUP_POLICY, COMPACT};
pub(crate) use compaction::{check_lags, only_compacts};
pub use definition::{ConfigDef, ConfigKind, Scope, Synonym, Unit};
pub use min_isr::MIN_INSYNC_REPLICAS;
pub(crate) use nearest::{unknown_broker_config, unknown_topic_config};
pub use resolve::{ConfigSource, ConfigSynonym, EffectiveConfig, Resolver};
pub use static_configs::{StaticConfigError, StaticConfigs};
pub use throttle::{replicas_throttled, replication_rates};
pub use topic_configs::{TOPIC_CONFIGS, topic_config};
pub use topic_settings::{CompressionType, TimestampKind, TopicSettings};
