//! The settings of groups, read from the one table of settings.

use levada_groups::{GroupConfig, MigrationPolicy};
use levada_metadata::config::Resolver;
use levada_types::TimestampMs;

/// What `resolver` says of groups; Kafka's defaults where it says nothing.
pub(crate) fn group_config(resolver: &Resolver<'_>) -> GroupConfig {
    let defaults = GroupConfig::default();
    let int = |name: &str, default: i32| {
        resolver.broker_long(name).and_then(|value| i32::try_from(value).ok()).unwrap_or(default)
    };
    let text = |name: &str| resolver.broker_text(name);
    let list = |name: &str| text(name).map(|list| list.split(',').map(|item| item.trim().to_owned()).collect());
    GroupConfig {
        group_min_session_timeout_ms: int("group.min.session.timeout.ms", defaults.group_min_session_timeout_ms),
        group_max_session_timeout_ms: int("group.max.session.timeout.ms", defaults.group_max_session_timeout_ms),
        group_initial_rebalance_delay_ms: int(
            "group.initial.rebalance.delay.ms",
            defaults.group_initial_rebalance_delay_ms,
        ),
        group_max_size: int("group.max.size", defaults.group_max_size),
        offset_metadata_max_bytes: int("offset.metadata.max.bytes", defaults.offset_metadata_max_bytes),
        offsets_retention_minutes: int("offsets.retention.minutes", defaults.offsets_retention_minutes),
        offsets_retention_check_interval_ms: resolver
            .broker_long("offsets.retention.check.interval.ms")
            .unwrap_or(defaults.offsets_retention_check_interval_ms),
        group_consumer_session_timeout_ms: int(
            "group.consumer.session.timeout.ms",
            defaults.group_consumer_session_timeout_ms,
        ),
        group_consumer_min_session_timeout_ms: int(
            "group.consumer.min.session.timeout.ms",
            defaults.group_consumer_min_session_timeout_ms,
        ),
        group_consumer_max_session_timeout_ms: int(
            "group.consumer.max.session.timeout.ms",
            defaults.group_consumer_max_session_timeout_ms,
        ),
        group_consumer_heartbeat_interval_ms: int(
            "group.consumer.heartbeat.interval.ms",
            defaults.group_consumer_heartbeat_interval_ms,
        ),
        group_consumer_min_heartbeat_interval_ms: int(
            "group.consumer.min.heartbeat.interval.ms",
            defaults.group_consumer_min_heartbeat_interval_ms,
        ),
        group_consumer_max_heartbeat_interval_ms: int(
            "group.consumer.max.heartbeat.interval.ms",
            defaults.group_consumer_max_heartbeat_interval_ms,
        ),
        group_consumer_max_size: int("group.consumer.max.size", defaults.group_consumer_max_size),
        group_consumer_assignors: list("group.consumer.assignors").unwrap_or(defaults.group_consumer_assignors),
        group_consumer_migration_policy: text("group.consumer.migration.policy")
            .and_then(|name| MigrationPolicy::from_name(&name))
            .unwrap_or(defaults.group_consumer_migration_policy),
        group_consumer_assignment_interval_ms: defaults.group_consumer_assignment_interval_ms,
    }
}

/// How long an append of a shard may take (`offsets.commit.timeout.ms`).
pub(crate) fn write_timeout_ms(resolver: &Resolver<'_>) -> Option<TimestampMs> {
    resolver.broker_long("offsets.commit.timeout.ms")
}

#[cfg(test)]
mod tests {
    use levada_metadata::State;
    use levada_metadata::config::StaticConfigs;

    use super::*;

    #[test]
    fn what_is_not_given_is_as_in_kafka_and_what_is_given_is_taken() {
        let (state, none) = (State::new(), StaticConfigs::default());
        assert_eq!(group_config(&Resolver::new(&state, None, &none)), GroupConfig::default());
        let given = [
            ("group.max.size", "7"),
            ("offsets.retention.check.interval.ms", "1000"),
            ("group.consumer.assignors", "range, uniform"),
            ("group.consumer.migration.policy", "upgrade"),
        ];
        let given = StaticConfigs::new(given.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let config = group_config(&Resolver::new(&state, None, &given));
        assert_eq!((config.group_max_size, config.offsets_retention_check_interval_ms), (7, 1_000));
        assert_eq!(config.group_consumer_assignors, ["range", "uniform"]);
        assert_eq!(config.group_consumer_migration_policy, MigrationPolicy::Upgrade);
    }
}
