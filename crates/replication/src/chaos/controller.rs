//! A controller of one partition, as small as can be: registrations, ISR, ELR, elections, proposals.

use std::collections::BTreeMap;

use crate::IsrMember;
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

use crate::{PartitionView, Proposal, ProposalAnswer, ReplicaView};

#[derive(Debug, Clone, Copy)]
struct Registration {
    epoch: BrokerEpoch,
    fenced: bool,
}

/// The truth, and every image of it so far.
#[derive(Debug)]
pub(super) struct Controller {
    brokers: BTreeMap<BrokerId, Registration>,
    next_epoch: i64,
    pub(super) now: PartitionView,
    /// Whom a leaderless partition waits for.
    last_complete: Vec<BrokerId>,
    pub(super) images: Vec<PartitionView>,
}

impl Controller {
    pub(super) fn new(brokers: &[BrokerId], min_insync_replicas: usize, fsync: bool) -> Self {
        let registered = |(index, id): (usize, &BrokerId)| {
            (*id, Registration { epoch: BrokerEpoch(index as i64 + 1), fenced: false })
        };
        let mut controller = Self {
            brokers: brokers.iter().enumerate().map(registered).collect(),
            next_epoch: brokers.len() as i64 + 1,
            now: PartitionView {
                leader: brokers.first().copied(),
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                replicas: Vec::new(),
                isr: Vec::new(),
                elr: Vec::new(),
                min_insync_replicas,
                fsync,
                recovering: false,
            },
            last_complete: Vec::new(),
            images: Vec::new(),
        };
        controller.now.isr = brokers.iter().filter_map(|id| controller.member(*id)).collect();
        controller.publish();
        controller
    }

    pub(super) fn is_fenced(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_none_or(|broker| broker.fenced)
    }

    pub(super) fn epoch(&self, id: BrokerId) -> BrokerEpoch {
        self.brokers.get(&id).map_or(BrokerEpoch(0), |broker| broker.epoch)
    }

    fn member(&self, id: BrokerId) -> Option<IsrMember> {
        self.brokers.get(&id).map(|broker| IsrMember { broker: id, epoch: broker.epoch })
    }

    pub(super) fn register(&mut self, id: BrokerId, damaged: bool) -> BrokerEpoch {
        let epoch = BrokerEpoch(self.next_epoch);
        self.next_epoch += 1;
        self.brokers.insert(id, Registration { epoch, fenced: true });
        if damaged {
            self.now.isr.retain(|member| member.broker != id);
            self.now.elr.retain(|broker| *broker != id);
        } else {
            self.withdraw(id);
        }
        self.settle();
        epoch
    }

    pub(super) fn fence(&mut self, id: BrokerId) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.fenced = true;
        }
        self.withdraw(id);
        self.settle();
    }

    pub(super) fn unfence(&mut self, id: BrokerId) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.fenced = false;
        }
        self.settle();
    }

    /// Moves the leadership, or gives the one who leads a new epoch.
    pub(super) fn lead(&mut self, id: BrokerId) {
        if self.is_fit(id) && self.now.member(id).is_some() {
            self.now.leader = Some(id);
            self.now.leader_epoch = self.now.leader_epoch.next();
            self.settle();
        }
    }

    pub(super) fn switch_fsync(&mut self, fsync: bool) {
        self.now.fsync = fsync;
        self.publish();
    }

    /// Whether nobody complete is left and everybody who was is back, damaged: then the one with most may lead.
    pub(super) fn waits_in_vain(&self) -> bool {
        self.now.leader.is_none()
            && self.now.isr.is_empty()
            && self.now.elr.is_empty()
            && self.last_complete.iter().all(|id| !self.is_fenced(*id))
    }

    pub(super) fn last_complete(&self) -> &[BrokerId] {
        &self.last_complete
    }

    pub(super) fn elect_damaged(&mut self, id: BrokerId) {
        self.now.elr = vec![id];
        self.settle();
        self.now.recovering = true;
        self.publish();
    }

    pub(super) fn alter(&mut self, from: BrokerId, epoch: BrokerEpoch, proposal: &Proposal) -> ProposalAnswer {
        let now = &self.now;
        if now.leader != Some(from)
            || self.epoch(from) != epoch
            || now.leader_epoch != proposal.leader_epoch
            || now.partition_epoch != proposal.partition_epoch
        {
            return ProposalAnswer::Stale;
        }
        let is_eligible =
            |member: &IsrMember| self.member(member.broker) == Some(*member) && self.is_fit(member.broker);
        let holds_leader = proposal.isr.iter().any(|member| member.broker == from);
        if !holds_leader || !proposal.isr.iter().all(is_eligible) {
            return ProposalAnswer::NotApplied;
        }
        let left: Vec<BrokerId> = now.isr.iter().map(|member| member.broker).collect();
        self.now.isr.clone_from(&proposal.isr);
        self.now.elr.extend(left);
        let (isr, incomplete) = (&self.now.isr, &proposal.incomplete);
        self.now.elr.retain(|id| !isr.iter().any(|member| member.broker == *id) && !incomplete.contains(id));
        self.now.recovering = false;
        // Being committed raises the partition epoch, though nothing else has changed.
        self.now.partition_epoch = self.now.partition_epoch.next();
        self.settle();
        ProposalAnswer::Committed { partition_epoch: self.now.partition_epoch }
    }

    fn is_fit(&self, id: BrokerId) -> bool {
        !self.is_fenced(id)
    }

    fn withdraw(&mut self, id: BrokerId) {
        if self.now.member(id).is_some() {
            self.now.isr.retain(|member| member.broker != id);
            self.now.elr.push(id);
        }
    }

    fn settle(&mut self) {
        let before = self.now.leader;
        let was_complete: Vec<BrokerId> = match self.images.last() {
            Some(image) => image.isr.iter().map(|member| member.broker).chain(image.elr.iter().copied()).collect(),
            None => Vec::new(),
        };
        if !before.is_some_and(|id| self.is_fit(id) && self.now.member(id).is_some()) {
            let in_sync = self.now.isr.iter().map(|member| member.broker);
            let next = in_sync.chain(self.now.elr.iter().copied()).find(|id| self.is_fit(*id));
            self.now.leader = next;
            self.now.leader_epoch = self.now.leader_epoch.next();
            if let Some(member) = next.and_then(|id| self.member(id)) {
                self.now.elr.retain(|id| *id != member.broker);
                self.now.isr.retain(|other| other.broker != member.broker);
                self.now.isr.insert(0, member);
            }
        }
        if self.now.leader.is_some() {
            self.last_complete.clear();
            if self.now.has_minimum() {
                self.now.elr.clear();
            }
        } else if before.is_some() {
            self.last_complete = was_complete;
        }
        self.publish();
    }

    fn publish(&mut self) {
        if let Some(last) = self.images.last() {
            let before = (last.leader_epoch, &last.isr, &last.elr, last.leader, last.recovering);
            let now = (self.now.leader_epoch, &self.now.isr, &self.now.elr, self.now.leader, self.now.recovering);
            if before != now && last.partition_epoch == self.now.partition_epoch {
                self.now.partition_epoch = self.now.partition_epoch.next();
            }
        }
        self.now.replicas = self
            .brokers
            .iter()
            .map(|(id, broker)| ReplicaView { broker: *id, epoch: Some(broker.epoch), live: !broker.fenced })
            .collect();
        self.images.push(self.now.clone());
    }
}
