//! How many replicas must be in sync before a record counts as committed.

use levada_types::TopicId;

use super::{Resolver, StaticConfigs};
use crate::{ConfigResource, Partition, State};

/// Kafka's name for the minimum.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl State {
    /// The number of in-sync replicas that `partition` of `topic` needs: min(`min.insync.replicas`, replication factor).
    ///
    /// Replicas that a reassignment is still bringing in do not raise it.
    ///
    /// From the metadata alone, the topic's own setting or that of all brokers and never a process's configuration: every
    /// node must find the same, since records are committed and replicas are eligible by it.
    #[must_use]
    pub fn min_isr(&self, topic: TopicId, partition: &Partition) -> usize {
        self.min_isr_of(topic, partition.replication_factor())
    }

    /// The minimum of a partition of `topic` that has `factor` replicas.
    pub(crate) fn min_isr_of(&self, topic: TopicId, factor: usize) -> usize {
        let own = self.overrides(ConfigResource::Topic(topic)).and_then(|overrides| overrides.get(MIN_INSYNC_REPLICAS));
        let own = own.and_then(|value| value.trim().parse::<i64>().ok());
        let count =
            own.or_else(|| Resolver::new(self, None, &StaticConfigs::default()).broker_long(MIN_INSYNC_REPLICAS));
        usize::try_from(count.unwrap_or(1)).unwrap_or(1).clamp(1, factor.max(1))
    }
}
