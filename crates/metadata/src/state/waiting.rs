//! Partitions without a leader, and what each of them waits for.

use levada_types::{BrokerId, TopicIdPartition};

use super::State;
use crate::Partition;
use crate::config::{Resolver, StaticConfigs};

/// A partition without a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub partition: TopicIdPartition,
    /// What brings it a leader.
    pub waiting_for: WaitingFor,
    /// The topic's `unclean.leader.election.enable`: the wait is bounded, and then a live replica leads that may lack
    /// acknowledged records.
    pub unclean_allowed: bool,
}

/// What brings a partition a leader again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingFor {
    /// One of these, whoever comes first: they are known to be complete.
    AnyOf(Vec<BrokerId>),
    /// All of these: those who were complete have lost bytes, as far as they are back, and the one with the most is to
    /// lead.
    AllOf(Vec<BrokerId>),
    /// Nobody: those who were complete are back, all with losses. Their logs tell who leads
    /// ([`crate::Command::ElectFromLogs`]).
    Logs,
}

impl State {
    /// Every partition without a leader, with what it waits for. Costs the number of them.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> + '_ {
        let statics = StaticConfigs::default();
        self.leaderless().filter_map(move |at| {
            let partition = self.partition(at.topic_id, at.partition)?;
            let unclean_allowed = Resolver::new(self, None, &statics).unclean_election(at.topic_id);
            Some(Waiting { partition: at, waiting_for: self.waiting_for(partition), unclean_allowed })
        })
    }

    /// What `partition`, which has no leader, waits for.
    #[must_use]
    pub fn waiting_for(&self, partition: &Partition) -> WaitingFor {
        if partition.has_complete() {
            let in_sync = partition.isr.iter().map(|member| member.broker);
            return WaitingFor::AnyOf(in_sync.chain(partition.elr.iter().copied()).collect());
        }
        let missing: Vec<BrokerId> =
            partition.last_complete.iter().copied().filter(|id| !self.can_lead(partition, *id)).collect();
        if missing.is_empty() { WaitingFor::Logs } else { WaitingFor::AllOf(missing) }
    }

    /// The live replicas of `partition`, whose logs an election may compare.
    pub fn live_replicas<'a>(&'a self, partition: &'a Partition) -> impl Iterator<Item = BrokerId> + 'a {
        partition.replicas.iter().map(|replica| replica.broker).filter(|id| self.can_lead(partition, *id))
    }
}
