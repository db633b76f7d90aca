//! What commands about the replicas of partitions came to.

use levada_types::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};

use crate::{IsrMember, ItemError, LeaderRecovery, NamedPartition, TopicRef};

/// A partition's state after a proposal was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlteredPartition {
    /// Who leads.
    pub leader: Option<BrokerId>,
    /// Under which epoch.
    pub leader_epoch: LeaderEpoch,
    /// Who is in sync.
    pub isr: Vec<IsrMember>,
    /// Whether the leader has recovered.
    pub recovery: LeaderRecovery,
    /// The epoch that the next proposal builds on.
    pub partition_epoch: PartitionEpoch,
}

/// What became of one partition's election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectedLeader {
    /// The partition asked for.
    pub partition: NamedPartition,
    /// Who leads now, or why nobody was elected.
    pub result: Result<BrokerId, ItemError>,
}

/// What came of bringing leaderships back to where they belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BalancedLeaders {
    /// Partitions that got their preferred leader.
    pub moved: u32,
    /// Partitions that are left for the next time.
    pub left: u32,
}

/// What became of one partition's reassignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassigned {
    /// The topic asked for.
    pub topic: TopicRef,
    /// The partition asked for.
    pub partition: PartitionIndex,
    /// Begun, done or cancelled, or why not.
    pub result: Result<(), ItemError>,
}
