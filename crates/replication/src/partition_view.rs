//! What a replica knows of its partition from the metadata.

use levada_metadata::{IsrMember, LeaderRecovery, State};
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicIdPartition};

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
    /// `min.insync.replicas`, whether or not it is bounded by the number of replicas already.
    pub min_insync_replicas: usize,
    /// Whether an acknowledgement means fsynced on every in-sync replica.
    pub fsync: bool,
    /// The leader was not chosen among complete replicas and has not said yet that it has recovered (KIP-704).
    pub recovering: bool,
}

impl PartitionView {
    /// The partition as `state` has it; `None` if it does not exist there. `fsync` is the topic's effective option.
    #[must_use]
    pub fn of(state: &State, partition: TopicIdPartition, fsync: bool) -> Option<Self> {
        let found = state.partition(partition.topic_id, partition.partition)?;
        let replica = |replica: &levada_metadata::Replica| {
            let registration = state.broker(replica.broker);
            ReplicaView {
                broker: replica.broker,
                epoch: registration.map(|b| b.epoch),
                live: registration.is_some_and(|b| b.is_live() && b.has_online(replica.directory)),
            }
        };
        Some(Self {
            leader: found.leader,
            leader_epoch: found.leader_epoch,
            partition_epoch: found.partition_epoch,
            replicas: found.replicas.iter().map(replica).collect(),
            isr: found.isr.clone(),
            elr: found.elr.clone(),
            min_insync_replicas: state.min_isr(partition.topic_id, found),
            fsync,
            recovering: found.recovery == LeaderRecovery::Recovering,
        })
    }

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
