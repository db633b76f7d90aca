//! A partition's world at one moment, seen from outside.

use crate::IsrMember;
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

use crate::{LogEnds, PartitionView};

/// A batch in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Offset of its first record.
    pub base: Offset,
    /// The offset after its last record.
    pub end: Offset,
    /// The leader epoch that it bears.
    pub epoch: LeaderEpoch,
    /// Tells its records from any others, such as a checksum.
    pub fingerprint: u64,
}

/// One replica: what is on its disk, and what it does.
#[derive(Debug, Clone)]
pub struct ReplicaState {
    /// Whose.
    pub broker: BrokerId,
    /// The registration under which it runs, or ran last.
    pub broker_epoch: BrokerEpoch,
    /// It has lost bytes since it registered (it is down, and the controller cannot know yet): its memberships say
    /// nothing.
    pub lost: bool,
    /// It had lost bytes when it registered, and was not in sync since.
    pub damaged: bool,
    /// What is in its log, ascending, from the log start on.
    pub batches: Vec<Batch>,
    /// Where its log stands.
    pub ends: LogEnds,
    /// The leader epochs that are kept beside the log: (epoch, first offset), ascending.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// Its high watermark, while it runs.
    pub high_watermark: Option<Offset>,
    /// What it does as a leader.
    pub leading: Option<Leading>,
}

/// A replica that leads, or thinks so.
#[derive(Debug, Clone)]
pub struct Leading {
    /// In this epoch.
    pub epoch: LeaderEpoch,
    /// Which starts here.
    pub start: Offset,
    /// The last image that was delivered to it.
    pub image: PartitionView,
    /// The in-sync set that it acts on.
    pub acts_on: Vec<IsrMember>,
    /// Members of the sets that it has proposed on the image's partition epoch and that were not refused for certain.
    pub proposed: Vec<IsrMember>,
    /// What it answers to "latest".
    pub latest: Option<Offset>,
}

/// All replicas, and the partition as the controller has it committed.
#[derive(Debug, Clone)]
pub struct World {
    /// The truth about leader, ISR and ELR.
    pub committed: PartitionView,
    /// All replicas, running or not.
    pub replicas: Vec<ReplicaState>,
}

impl ReplicaState {
    /// Whether its log has everything below `end` from its start on.
    pub(super) fn reaches(&self, end: Offset) -> bool {
        self.ends.end >= end
    }
}

impl World {
    pub(super) fn replica(&self, broker: BrokerId) -> Option<&ReplicaState> {
        self.replicas.iter().find(|replica| replica.broker == broker)
    }

    /// The replica behind a membership, if it is the same incarnation and still has what it had.
    pub(super) fn behind(&self, member: &IsrMember) -> Option<&ReplicaState> {
        self.replica(member.broker).filter(|replica| replica.broker_epoch == member.epoch && !replica.lost)
    }
}
