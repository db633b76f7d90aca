//! The replicas that this broker hosts, by topic identity.

use std::sync::Arc;

use dashmap::DashMap;
use levada_types::TopicIdPartition;

use super::Partition;

/// Every hosted replica. Written by the reconciler alone.
#[derive(Default)]
pub(crate) struct PartitionTable(DashMap<TopicIdPartition, Arc<Partition>>);

impl PartitionTable {
    pub(crate) fn get(&self, id: &TopicIdPartition) -> Option<Arc<Partition>> {
        self.0.get(id).map(|entry| Arc::clone(entry.value()))
    }

    pub(crate) fn insert(&self, partition: Arc<Partition>) {
        self.0.insert(partition.id(), partition);
    }

    pub(crate) fn remove(&self, id: &TopicIdPartition) -> Option<Arc<Partition>> {
        self.0.remove(id).map(|(_, partition)| partition)
    }

    /// All of them, as of about now.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        self.0.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
