//! Sets of partitions of several topics.

use std::collections::BTreeMap;

use levada_types::{PartitionIndex, TopicId};

use crate::{
    api::TopicPartitions,
    records::{Reader, RecordError, Writer},
};

/// The least that a topic takes: its id, a length, and that there are no tagged fields.
pub(super) const LEAST_TOPIC: usize = 18;

/// Partitions of topics, each once, ascending; no topic without partitions. What a member is to own, kind 7.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partitions {
    topics: BTreeMap<TopicId, Vec<PartitionIndex>>,
}

impl Partitions {
    /// The topics with their partitions.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (TopicId, &[PartitionIndex])> {
        self.topics.iter().map(|(&topic, partitions)| (topic, partitions.as_slice()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        self.topics.iter().flat_map(|(&topic, partitions)| partitions.iter().map(move |&partition| (topic, partition)))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Those of a topic.
    #[must_use]
    pub fn of(&self, topic: TopicId) -> &[PartitionIndex] {
        self.topics.get(&topic).map_or(&[], Vec::as_slice)
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        self.of(topic).binary_search(&partition).is_ok()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let mut all = Vec::new();
        for _ in 0..reader.compact_array_length(LEAST_TOPIC)? {
            let topic = TopicId(reader.uuid()?);
            for _ in 0..reader.compact_array_length(4)? {
                all.push((topic, reader.i32()?));
            }
            reader.skip_tagged_fields()?;
        }
        reader.skip_tagged_fields()?;
        Ok(all.into_iter().collect())
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.compact_array_length(self.topics.len());
        for (topic, partitions) in &self.topics {
            writer.uuid(topic.0);
            writer.compact_array_length(partitions.len());
            for &partition in partitions {
                writer.i32(partition);
            }
            writer.no_tagged_fields();
        }
        writer.no_tagged_fields();
    }
}

impl FromIterator<(TopicId, PartitionIndex)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, PartitionIndex)>>(partitions: I) -> Self {
        let mut topics: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
        for (topic, partition) in partitions {
            topics.entry(topic).or_default().push(partition);
        }
        for partitions in topics.values_mut() {
            partitions.sort_unstable();
            partitions.dedup();
        }
        Self { topics }
    }
}

/// Partitions that a member owns, each with the epoch under which it was given to the member (KIP-1251).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedPartitions {
    topics: BTreeMap<TopicId, BTreeMap<PartitionIndex, i32>>,
}

impl OwnedPartitions {
    /// All of them, with their epochs.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, PartitionIndex, i32)> {
        self.topics.iter().flat_map(|(&topic, partitions)| {
            partitions.iter().map(move |(&partition, &epoch)| (topic, partition, epoch))
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        self.epoch_of(topic, partition).is_some()
    }

    /// Under which epoch this one was given to the member.
    #[must_use]
    pub fn epoch_of(&self, topic: TopicId, partition: PartitionIndex) -> Option<i32> {
        self.topics.get(&topic)?.get(&partition).copied()
    }

    /// Adds a partition.
    pub fn insert(&mut self, topic: TopicId, partition: PartitionIndex, epoch: i32) {
        self.topics.entry(topic).or_default().insert(partition, epoch);
    }

    /// The partitions without their epochs.
    #[must_use]
    pub fn partitions(&self) -> Partitions {
        self.iter().map(|(topic, partition, _)| (topic, partition)).collect()
    }

    /// As a client is told.
    #[must_use]
    pub fn told(&self) -> Vec<TopicPartitions> {
        let topic = |(&topic_id, partitions): (_, &BTreeMap<_, _>)| TopicPartitions {
            topic_id,
            partitions: partitions.keys().copied().collect(),
        };
        self.topics.iter().map(topic).collect()
    }

    /// Reads an array of topics; partitions without an epoch of their own were given under `default`.
    pub(super) fn read(reader: &mut Reader<'_>, default: i32) -> Result<Self, RecordError> {
        let mut owned = Self::default();
        for _ in 0..reader.compact_array_length(LEAST_TOPIC)? {
            let topic = TopicId(reader.uuid()?);
            let mut partitions = Vec::new();
            for _ in 0..reader.compact_array_length(4)? {
                partitions.push(reader.i32()?);
            }
            let mut epochs = Vec::new();
            reader.tagged_fields(|tag, field| {
                if tag == ASSIGNMENT_EPOCHS {
                    for _ in 0..field.nullable_compact_array_length(4)?.unwrap_or(0) {
                        epochs.push(field.i32()?);
                    }
                }
                Ok(())
            })?;
            for (at, partition) in partitions.into_iter().enumerate() {
                owned.insert(topic, partition, epochs.get(at).copied().unwrap_or(default));
            }
        }
        Ok(owned)
    }

    /// Writes an array of topics, leaving out epochs where all of a topic's are `default`.
    pub(super) fn write(&self, writer: &mut Writer, default: i32) {
        writer.compact_array_length(self.topics.len());
        for (topic, partitions) in &self.topics {
            writer.uuid(topic.0);
            writer.compact_array_length(partitions.len());
            for &partition in partitions.keys() {
                writer.i32(partition);
            }
            if partitions.values().all(|&epoch| epoch == default) {
                writer.no_tagged_fields();
            } else {
                let mut field = Writer::new();
                field.compact_array_length(partitions.len());
                for &epoch in partitions.values() {
                    field.i32(epoch);
                }
                writer.tagged_fields(&[(ASSIGNMENT_EPOCHS, field.finish())]);
            }
        }
    }
}

/// The tag of the epochs under which partitions were given.
const ASSIGNMENT_EPOCHS: u32 = 0;

impl FromIterator<(TopicId, PartitionIndex, i32)> for OwnedPartitions {
    fn from_iter<I: IntoIterator<Item = (TopicId, PartitionIndex, i32)>>(partitions: I) -> Self {
        let mut owned = Self::default();
        for (topic, partition, epoch) in partitions {
            owned.insert(topic, partition, epoch);
        }
        owned
    }
}
