//! The settings of groups.

/// Every setting that groups obey, with Kafka's names (dots as underscores) and Kafka's defaults. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: the shortest session that a member of the classic protocol may ask for.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`: the longest one.
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after the first one.
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`: the most members of a group of the classic protocol.
    pub group_max_size: i32,
    /// `offset.metadata.max.bytes`: the longest metadata string of a commit.
    pub offset_metadata_max_bytes: i32,
    /// `offsets.retention.minutes`: how long offsets are kept once nobody consumes with them any more.
    pub offsets_retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for.
    pub offsets_retention_check_interval_ms: i64,
    /// `group.consumer.session.timeout.ms`: the session of a member of the next-generation protocol.
    pub group_consumer_session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms`: the shortest that a group's own setting may make it.
    pub group_consumer_min_session_timeout_ms: i32,
    /// `group.consumer.max.session.timeout.ms`: the longest.
    pub group_consumer_max_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`: how often such a member is to be heard of.
    pub group_consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms`: the shortest that a group's own setting may make it.
    pub group_consumer_min_heartbeat_interval_ms: i32,
    /// `group.consumer.max.heartbeat.interval.ms`: the longest.
    pub group_consumer_max_heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`: the most members of a group of the next-generation protocol.
    pub group_consumer_max_size: i32,
    /// `group.consumer.assignors`: the server-side assignors that members may ask for; the first is the default.
    pub group_consumer_assignors: Vec<String>,
    /// `group.consumer.migration.policy`: whether a group with members may change its protocol.
    pub group_consumer_migration_policy: MigrationPolicy,
    /// `group.consumer.assignment.interval.ms`: the least time between two assignments of a group.
    pub group_consumer_assignment_interval_ms: i32,
}

/// Two settings that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is {value}, which must be {must} {other}, {limit}")]
pub struct ContradictorySettings {
    /// The setting that is to be changed, or the other one.
    pub name: &'static str,
    value: i32,
    must: &'static str,
    other: &'static str,
    limit: i32,
}

impl GroupConfig {
    /// Whether the settings go together. With some that do not, no group would work: members would be asked to give signs of
    /// life more seldom than they count as dead, or no session would be right.
    ///
    /// # Errors
    /// The first two that contradict each other.
    pub fn check(&self) -> Result<(), ContradictorySettings> {
        let least_classic = ("group.min.session.timeout.ms", self.group_min_session_timeout_ms);
        let most_classic = ("group.max.session.timeout.ms", self.group_max_session_timeout_ms);
        let least_session = ("group.consumer.min.session.timeout.ms", self.group_consumer_min_session_timeout_ms);
        let session = ("group.consumer.session.timeout.ms", self.group_consumer_session_timeout_ms);
        let most_session = ("group.consumer.max.session.timeout.ms", self.group_consumer_max_session_timeout_ms);
        let least_interval =
            ("group.consumer.min.heartbeat.interval.ms", self.group_consumer_min_heartbeat_interval_ms);
        let interval = ("group.consumer.heartbeat.interval.ms", self.group_consumer_heartbeat_interval_ms);
        let most_interval = ("group.consumer.max.heartbeat.interval.ms", self.group_consumer_max_heartbeat_interval_ms);
        type Holds = fn(&i32, &i32) -> bool;
        let pairs: [(_, &str, Holds, _); 6] = [
            (least_classic, "at most", i32::le, most_classic),
            (session, "at least", i32::ge, least_session),
            (session, "at most", i32::le, most_session),
            (interval, "at least", i32::ge, least_interval),
            (interval, "at most", i32::le, most_interval),
            (interval, "less than", i32::lt, session),
        ];
        for ((name, value), must, holds, (other, limit)) in pairs {
            if !holds(&value, &limit) {
                return Err(ContradictorySettings { name, value, must, other, limit });
            }
        }
        Ok(())
    }
}

/// `group.consumer.migration.policy`: which way a group that has members may change its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MigrationPolicy {
    /// Both ways.
    #[default]
    Bidirectional,
    /// From the classic protocol to the next-generation one.
    Upgrade,
    /// From the next-generation protocol to the classic one, once its last member of the former leaves.
    Downgrade,
    /// No way.
    Disabled,
}

impl MigrationPolicy {
    /// The policy of this name, in whatever case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Self::Bidirectional,
            "upgrade" => Self::Upgrade,
            "downgrade" => Self::Downgrade,
            "disabled" => Self::Disabled,
            _ => return None,
        })
    }

    /// Whether a classic group may become one of the next-generation protocol.
    #[must_use]
    pub fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// Whether a group of the next-generation protocol may become a classic one.
    #[must_use]
    pub fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

impl Default for GroupConfig {
    /// Kafka's defaults (4.0).
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_minutes: 10_080,
            offsets_retention_check_interval_ms: 600_000,
            group_consumer_session_timeout_ms: 45_000,
            group_consumer_min_session_timeout_ms: 45_000,
            group_consumer_max_session_timeout_ms: 60_000,
            group_consumer_heartbeat_interval_ms: 5_000,
            group_consumer_min_heartbeat_interval_ms: 5_000,
            group_consumer_max_heartbeat_interval_ms: 15_000,
            group_consumer_max_size: i32::MAX,
            group_consumer_assignors: vec!["uniform".to_owned(), "range".to_owned()],
            group_consumer_migration_policy: MigrationPolicy::Bidirectional,
            group_consumer_assignment_interval_ms: 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_each_other_are_told() {
        let sound = GroupConfig::default;
        assert_eq!(sound().check(), Ok(()));
        let wrong = [
            (GroupConfig { group_min_session_timeout_ms: 1_800_001, ..sound() }, "group.min.session.timeout.ms"),
            (GroupConfig { group_consumer_session_timeout_ms: 44_999, ..sound() }, "group.consumer.session.timeout.ms"),
            (GroupConfig { group_consumer_session_timeout_ms: 60_001, ..sound() }, "group.consumer.session.timeout.ms"),
            (
                GroupConfig { group_consumer_heartbeat_interval_ms: 4_999, ..sound() },
                "group.consumer.heartbeat.interval.ms",
            ),
            (
                GroupConfig { group_consumer_heartbeat_interval_ms: 15_001, ..sound() },
                "group.consumer.heartbeat.interval.ms",
            ),
            (
                GroupConfig {
                    group_consumer_max_heartbeat_interval_ms: 45_000,
                    group_consumer_heartbeat_interval_ms: 45_000,
                    ..sound()
                },
                "group.consumer.heartbeat.interval.ms",
            ),
        ];
        for (config, name) in wrong {
            assert_eq!(config.check().map_err(|error| error.name), Err(name), "{config:?}");
        }
        let too_short = GroupConfig { group_consumer_session_timeout_ms: 1, ..sound() };
        assert_eq!(
            too_short.check().map_err(|error| error.to_string()),
            Err("it is 1, which must be at least group.consumer.min.session.timeout.ms, 45000".to_owned())
        );
    }
}
