//! What a replica knows of its partition from the metadata.

use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

/// A member of the in-sync set, under the registration that earned it (KIP-903).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IsrMember {
    /// The broker.
    pub broker: BrokerId,
    /// Its broker epoch: a later registration of the same broker is not this member.
    pub epoch: BrokerEpoch,
}

/// One of the replicas, as the metadata has its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaView {
    /// The broker that holds it.
    pub broker: BrokerId,
    /// The broker's registration, if it is registered.
    pub epoch: Option<BrokerEpoch>,
    /// It is not fenced, not stopping, and the replica's directory is online: it may be in sync.
    pub live: bool,
}

/// A partition as of one image. Everything in it comes from the same image, the minimum too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Who leads.
    pub leader: Option<BrokerId>,
    /// Counts leaders.
    pub leader_epoch: LeaderEpoch,
    /// Counts changes of leader, in-sync set and assignment.
    pub partition_epoch: PartitionEpoch,
    /// Who holds the partition.
    pub replicas: Vec<ReplicaView>,
    /// The committed in-sync set, each member under the registration that earned it (KIP-903).
    pub isr: Vec<IsrMember>,
    /// Replicas out of sync that hold everything below the high watermark (KIP-966).
    pub elr: Vec<BrokerId>,
    /// `min.insync.replicas`, not yet bounded by the number of replicas.
    pub min_insync_replicas: usize,
    /// Whether an acknowledgement means fsynced on every in-sync replica.
    pub fsync: bool,
    /// The leader was not chosen among complete replicas and has not said yet that it has recovered (KIP-704).
    pub recovering: bool,
}

impl PartitionView {
    /// How many replicas must be in sync for the high watermark to move: min(`min.insync.replicas`, replication factor).
    #[must_use]
    pub fn minimum(&self) -> usize {
        self.min_insync_replicas.min(self.replicas.len()).max(1)
    }

    /// Whether enough replicas are in sync for the high watermark to move.
    #[must_use]
    pub fn has_minimum(&self) -> bool {
        self.isr.len() >= self.minimum()
    }

    /// The replica that `broker` holds.
    #[must_use]
    pub fn replica(&self, broker: BrokerId) -> Option<&ReplicaView> {
        self.replicas.iter().find(|replica| replica.broker == broker)
    }

    /// The membership of `broker`.
    #[must_use]
    pub fn member(&self, broker: BrokerId) -> Option<IsrMember> {
        self.isr.iter().find(|member| member.broker == broker).copied()
    }
}
