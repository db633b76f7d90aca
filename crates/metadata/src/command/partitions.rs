//! What commands say about the replicas of partitions.

use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicId};

use super::TopicRef;
use crate::{IsrMember, LeaderRecovery};

/// A leader's proposal of who is in sync (KIP-497, KIP-903).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrProposal {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number.
    pub partition: PartitionIndex,
    /// Under which epoch the proposer leads; another is FENCED_LEADER_EPOCH.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the proposal builds on; another is INVALID_UPDATE_VERSION.
    pub partition_epoch: PartitionEpoch,
    /// Who is in sync, the leader included, each under the registration that the leader saw.
    pub isr: Vec<IsrMember>,
    /// Replicas that the leader has seen to lack records below the high watermark: neither in sync nor eligible. Members
    /// that are merely left out of `isr` stay eligible while the in-sync set is smaller than the minimum.
    pub incomplete: Vec<BrokerId>,
    /// Whether the leader has recovered.
    pub recovery: LeaderRecovery,
}

/// Which election is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first replica of the assignment is to lead, if it is in sync.
    Preferred,
    /// Somebody is to lead, be it at the cost of acknowledged records.
    Unclean,
}

/// A partition by the name of its topic, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: PartitionIndex,
}

/// Why a leader may be chosen among replicas of which none is known to be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiver {
    /// Everybody who was complete the last time that there was a leader has come back, and all of them have lost bytes.
    AllReturned,
    /// The topic's `unclean.leader.election.enable` is true, and the wait for those who were complete is over.
    UncleanByConfig,
    /// Somebody has asked for it.
    UncleanByHand,
}

/// A partition without a leader, and what the logs of its replicas hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogElection {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number.
    pub partition: PartitionIndex,
    /// Its leader epoch when the replicas were asked.
    pub leader_epoch: LeaderEpoch,
    /// What the replicas answered.
    pub ends: Vec<ReplicaEnd>,
    /// Why the election may be held.
    pub waiver: Waiver,
}

/// Where a replica's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaEnd {
    /// The broker that holds it.
    pub broker: BrokerId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch of its last record; -1 for an empty log.
    pub last_epoch: LeaderEpoch,
    /// Its log end offset.
    pub log_end: Offset,
}

/// A partition that is to be held by other brokers (KIP-455).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's number.
    pub partition: PartitionIndex,
    /// Who is to hold it, preferred leader first; `None` cancels the reassignment in progress.
    pub replicas: Option<Vec<BrokerId>>,
}
