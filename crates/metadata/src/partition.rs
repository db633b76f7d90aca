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

/// A partition's assignment and state.
///
/// Invariants: `replicas` is not empty and names no broker twice; `isr` and `elr` are disjoint subsets of the
/// replicas; a leader is a member of `isr`; `last_complete` is empty exactly while there is a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Who holds it; the first is the preferred leader.
    pub replicas: Vec<Replica>,
    /// The in-sync replicas. Empty only while there is no leader.
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
}

impl Partition {
    /// Whether `broker` holds a replica.
    #[must_use]
    pub fn has_replica(&self, broker: BrokerId) -> bool {
        self.replicas.iter().any(|r| r.broker == broker)
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

    /// The replica that leads when everything is well.
    #[must_use]
    pub fn preferred_leader(&self) -> Option<BrokerId> {
        self.replicas.first().map(|r| r.broker)
    }
}
