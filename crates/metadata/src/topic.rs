//! A topic: its identity, its name and its partitions.

use std::sync::Arc;

use imbl::Vector;
use levada_types::{PartitionIndex, TopicId, TopicName};

use crate::Partition;

/// A topic. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    id: TopicId,
    name: TopicName,
    partitions: Vector<Arc<Partition>>,
}

impl Topic {
    pub(crate) fn new(id: TopicId, name: TopicName) -> Self {
        Self { id, name, partitions: Vector::new() }
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> TopicId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Whether it is one of the topics that coordinators keep their state in.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.name.is_internal()
    }

    /// How many partitions it has.
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        // Bounded by MAX_PARTITIONS_PER_TOPIC.
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The partition of this number.
    #[must_use]
    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// Its partitions with their numbers, in order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = (PartitionIndex, &Arc<Partition>)> {
        // Bounded by MAX_PARTITIONS_PER_TOPIC, so the number fits.
        self.partitions.iter().enumerate().map(|(i, p)| (i as PartitionIndex, p))
    }

    /// Replaces a partition, or adds the next one. False when `index` is neither.
    pub(crate) fn set_partition(&mut self, index: PartitionIndex, partition: Arc<Partition>) -> bool {
        let Ok(index) = usize::try_from(index) else { return false };
        if index < self.partitions.len() {
            self.partitions.set(index, partition);
            true
        } else if index == self.partitions.len() {
            self.partitions.push_back(partition);
            true
        } else {
            false
        }
    }
}
