//! A partition as the controller decides it: who holds it, who leads it, who is complete.

use levada_types::{BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch};

/// One replica and the data directory it lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replica {
    /// The broker that holds it.
    pub broker: BrokerId,
    /// The broker's directory that holds it; [`DirectoryId::UNASSIGNED`] until the broker has told (KIP-858).
    pub directory: DirectoryId,
}

/// A member of the in-sync set, under the registration that earned it (KIP-903).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IsrMember {
    /// The broker.
    pub broker: BrokerId,
    /// Its broker epoch: a later registration of the same broker is not this member.
    pub epoch: BrokerEpoch,
}

/// Whether a partition's leader was chosen among complete replicas (KIP-704).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LeaderRecovery {
    /// It was, or its leader has since said that it has recovered.
    #[default]
    Recovered,
    /// It was not, and nobody may join the in-sync set before the leader has said that it has recovered.
    Recovering,
}

/// A partition's assignment and state.
///
/// Invariants: `replicas` is not empty and names no broker twice; `isr` and `elr` are disjoint subsets of the
/// replicas; a leader is a member of `isr`; `last_complete` is empty exactly while there is a leader, and holds all of
/// `isr` and `elr` otherwise. While there is a leader, every member of `isr` is not fenced, under the epoch that it bears,
/// and its directory is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Who holds it; the first is the preferred leader.
    pub replicas: Vec<Replica>,
    /// The in-sync replicas. Without a leader: those that were in sync last and may come back complete, so it is empty
    /// once they are known to have lost bytes.
    pub isr: Vec<IsrMember>,
    /// Eligible leader replicas (KIP-966): not in sync, but they hold everything below the high watermark.
    pub elr: Vec<BrokerId>,
    /// Without a leader: the ISR and ELR of the last time it had one.
    pub last_complete: Vec<BrokerId>,
    /// Who leads, if anybody can.
    pub leader: Option<BrokerId>,
    /// Counts leaders: greater after every change of `leader`, and after a new registration of the one who leads.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes of this value.
    pub partition_epoch: PartitionEpoch,
    /// Whether the leader was chosen among complete replicas.
    pub recovery: LeaderRecovery,
    /// Replicas that a reassignment brings in (KIP-455); members of `replicas`.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment takes out once those to come are in sync; members of `replicas`.
    pub removing: Vec<BrokerId>,
    /// Elections after which acknowledged records may be missing, because nobody who was known to be complete was left.
    pub possible_losses: u32,
}

impl Partition {
    /// A partition that has just come to be.
    #[must_use]
    pub fn new(replicas: Vec<Replica>, isr: Vec<IsrMember>, leader: BrokerId) -> Self {
        Self {
            replicas,
            isr,
            elr: Vec::new(),
            last_complete: Vec::new(),
            leader: Some(leader),
            leader_epoch: LeaderEpoch::INITIAL,
            partition_epoch: PartitionEpoch(0),
            recovery: LeaderRecovery::Recovered,
            adding: Vec::new(),
            removing: Vec::new(),
            possible_losses: 0,
        }
    }

    /// Whether `broker` holds a replica.
    #[must_use]
    pub fn has_replica(&self, broker: BrokerId) -> bool {
        self.replicas.iter().any(|r| r.broker == broker)
    }

    /// Whether the same brokers hold it, in the same order.
    pub(crate) fn has_brokers_of(&self, other: &Self) -> bool {
        self.replicas.iter().map(|r| r.broker).eq(other.replicas.iter().map(|r| r.broker))
    }

    /// Whether a reassignment is in progress.
    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// How many replicas it is meant to have: those that a reassignment brings in count once they have come.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.replicas.len().saturating_sub(self.adding.len()).max(1)
    }

    /// The brokers that hold it once the reassignment in progress is done, preferred leader first.
    pub fn targets(&self) -> impl Iterator<Item = BrokerId> + '_ {
        self.replicas.iter().map(|r| r.broker).filter(|id| !self.removing.contains(id))
    }

    /// The directory of `broker`'s replica, if it holds one.
    #[must_use]
    pub fn directory_of(&self, broker: BrokerId) -> Option<DirectoryId> {
        self.replicas.iter().find(|r| r.broker == broker).map(|r| r.directory)
    }

    /// Whether `broker` is in the in-sync set.
    #[must_use]
    pub fn is_in_sync(&self, broker: BrokerId) -> bool {
        self.isr.iter().any(|m| m.broker == broker)
    }

    /// Whether `broker` is known to hold everything below the high watermark: in sync, or eligible.
    #[must_use]
    pub fn is_complete(&self, broker: BrokerId) -> bool {
        self.is_in_sync(broker) || self.elr.contains(&broker)
    }

    /// Whether anybody is known to hold everything below the high watermark.
    #[must_use]
    pub fn has_complete(&self) -> bool {
        !self.isr.is_empty() || !self.elr.is_empty()
    }

    /// The replica that leads when everything is well.
    #[must_use]
    pub fn preferred_leader(&self) -> Option<BrokerId> {
        self.replicas.first().map(|r| r.broker)
    }
}
