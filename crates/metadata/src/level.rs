//! The metadata level: which kinds of deltas may be written.

use std::fmt;

/// The version of the metadata vocabulary that a cluster has agreed on (its finalised feature level, KIP-584). A delta
/// kind that came with level n is written only once level n is finalised, which needs every registered node to support
/// it; so no node ever meets a delta that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetadataLevel(pub u16);

/// The name of the feature whose level this is, as ApiVersions and UpdateFeatures show it.
pub const METADATA_FEATURE: &str = "metadata.level";

/// The name of Kafka's feature by which clients and tools see that the consumer group protocol (KIP-848) is there. It comes
/// with the metadata level that has coordinators, and has no level of its own to be set to.
pub const GROUP_FEATURE: &str = "group.version";

/// The level of [`GROUP_FEATURE`]: Kafka's, from 4.0 on.
pub const GROUP_LEVEL: u16 = 1;

impl MetadataLevel {
    /// The first level: brokers, topics, partitions, settings, producer ids.
    pub const FIRST: Self = Self(1);
    /// Adds what many replicas need: directories that fail while their broker runs, leaders that were not chosen among
    /// complete replicas, reassignments, brokers that drain or are taken out, controllers' endpoints and votes, and
    /// coordinators with their shards.
    pub const SECOND: Self = Self(2);
    /// The newest level that this build can write and read.
    pub const LATEST: Self = Self::SECOND;

    /// The level of [`GROUP_FEATURE`] in a cluster at this one, if it has the feature.
    #[must_use]
    pub fn group_level(self) -> Option<u16> {
        (self >= Self::SECOND).then_some(GROUP_LEVEL)
    }
}

impl fmt::Display for MetadataLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The levels that a node supports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LevelRange {
    /// The oldest level it can run at.
    pub min: MetadataLevel,
    /// The newest level it can run at.
    pub max: MetadataLevel,
}

impl LevelRange {
    /// What this build supports.
    pub const SUPPORTED: Self = Self { min: MetadataLevel::FIRST, max: MetadataLevel::LATEST };

    /// Whether a node with this range can run at `level`.
    #[must_use]
    pub fn contains(self, level: MetadataLevel) -> bool {
        self.min <= level && level <= self.max
    }
}

impl fmt::Display for LevelRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}
