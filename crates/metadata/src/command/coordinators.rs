//! What commands say about coordinators and their shards.

use uuid::Uuid;

use crate::config::Resolver;
use crate::{Command, CoordinatorKind, LevelRange};

/// A coordinator that registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCoordinator {
    /// What it keeps.
    pub kind: CoordinatorKind,
    /// This process, drawn at its start: the same registration sent twice gets the same epoch.
    pub incarnation: Uuid,
    /// What operators call it, unchecked.
    pub name: String,
    /// Where other roles reach its internal services. A live coordinator of the same kind at the same address is gone: its
    /// place is taken.
    pub internal_address: String,
    /// The metadata levels it can run at.
    pub levels: LevelRange,
}

/// The topic of a kind of coordinators, to be created where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShards {
    /// Whose shards.
    pub kind: CoordinatorKind,
    /// How many there are to be, for good: what belongs to which shard depends on it.
    pub partitions: i32,
    /// How many replicas each partition is to have; fewer while there are fewer brokers.
    pub replication_factor: i16,
    /// Settings of the topic that differ from the defaults: name and value. One without `cleanup.policy` is compacted, and
    /// another policy is refused.
    pub configs: Vec<(String, String)>,
}

/// The number of shards if the setting cannot be read: Kafka's default.
const DEFAULT_PARTITIONS: i32 = 50;

/// The number of replicas if the setting cannot be read: Kafka's default.
const DEFAULT_REPLICATION_FACTOR: i16 = 3;

impl Command {
    /// The command that creates the shards of `kind` as the settings of the brokers have them: `offsets.topic.*` or
    /// `transaction.state.log.*`. Topic settings that Kafka gives these topics are given to them here too.
    #[must_use]
    pub fn create_shards(kind: CoordinatorKind, settings: &Resolver<'_>) -> Self {
        let prefix = match kind {
            CoordinatorKind::Group => "offsets.topic",
            CoordinatorKind::Transaction => "transaction.state.log",
        };
        let number = |name: &str| settings.broker_long(&format!("{prefix}.{name}"));
        let mut configs = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
        let mut set = |name: &str, value: String| configs.push((name.to_owned(), value));
        if let Some(bytes) = number("segment.bytes") {
            set("segment.bytes", bytes.to_string());
        }
        match kind {
            // Its batches come compressed as `offsets.topic.compression.codec` says.
            CoordinatorKind::Group => set("compression.type", "producer".to_owned()),
            CoordinatorKind::Transaction => {
                set("compression.type", "uncompressed".to_owned());
                set("unclean.leader.election.enable", "false".to_owned());
                if let Some(min) = number("min.isr") {
                    set("min.insync.replicas", min.to_string());
                }
            }
        }
        Self::CreateShards(NewShards {
            kind,
            partitions: number("num.partitions").and_then(|n| n.try_into().ok()).unwrap_or(DEFAULT_PARTITIONS),
            replication_factor: number("replication.factor")
                .and_then(|n| n.try_into().ok())
                .unwrap_or(DEFAULT_REPLICATION_FACTOR),
            configs,
        })
    }
}
