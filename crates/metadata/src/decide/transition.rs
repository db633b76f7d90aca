//! One partition on its way to its next state: who counts as complete, and who leads.
//!
//! Every command that touches a partition's state goes through here, so that the rules stand in one place. A member that
//! leaves the in-sync set stays eligible (KIP-966) while the rest is smaller than the minimum, because the high watermark
//! cannot move without it. Once the in-sync set has the minimum again, nobody is eligible but its members.

use levada_types::{BrokerId, TopicId};

use super::draft::Draft;
use crate::{Defect, IsrMember, LeaderRecovery, MetadataLevel, Partition, State};

/// How a replica leaves the in-sync and the eligible ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// It may come back with everything that it has.
    Intact,
    /// Its directory has failed. What was written there and not flushed may be gone when it comes back, so it counts as
    /// complete only if nobody else does.
    Unproven,
    /// It has lost bytes, or may have.
    Damaged,
}

/// A partition between two states. The brokers are as `draft` has them; call [`Transition::settle`] last.
pub(super) struct Transition<'a> {
    draft: &'a Draft,
    state: &'a State,
    topic: TopicId,
    before: &'a Partition,
    /// The leader epoch grows even if the leader stays: a replica has left the assignment, and the others must hear of it, or
    /// a coordinator that writes under the present one must be fenced.
    raised: bool,
    /// The next state so far.
    pub(super) after: Partition,
}

impl<'a> Transition<'a> {
    pub(super) fn new(draft: &'a Draft, topic: TopicId, before: &'a Partition) -> Self {
        Self { draft, state: draft.state(), topic, before, raised: false, after: before.clone() }
    }

    /// Takes `broker` out of those that are in sync or eligible, as far as `withdrawal` says.
    pub(super) fn withdraw(&mut self, broker: BrokerId, withdrawal: Withdrawal) {
        if !self.after.is_complete(broker) {
            return;
        }
        self.after.isr.retain(|member| member.broker != broker);
        self.after.elr.retain(|id| *id != broker);
        let stays = match withdrawal {
            Withdrawal::Intact => true,
            Withdrawal::Unproven => !self.after.has_complete(),
            Withdrawal::Damaged => false,
        };
        if stays {
            self.after.elr.push(broker);
        }
    }

    /// Takes these replicas out of the assignment.
    pub(super) fn drop_replicas(&mut self, brokers: &[BrokerId]) {
        let stays = |id: BrokerId| !brokers.contains(&id);
        let after = &mut self.after;
        let replicas = after.replicas.len();
        after.replicas.retain(|replica| stays(replica.broker));
        after.isr.retain(|member| stays(member.broker));
        for list in [&mut after.elr, &mut after.last_complete, &mut after.adding, &mut after.removing] {
            list.retain(|id| stays(*id));
        }
        self.raised |= after.replicas.len() < replicas;
    }

    /// Gives the partition a new leader epoch, whoever leads it and be it nobody.
    pub(super) fn raise_leader_epoch(&mut self) {
        self.raised = true;
    }

    /// Makes `leader` the leader of a partition that has none, although it is not known to be complete: what it has is from
    /// now on what was acknowledged.
    pub(super) fn lead_incomplete(&mut self, leader: BrokerId) {
        let epoch = self.state.broker(leader).map(|b| b.epoch);
        self.after.isr = epoch.map(|epoch| IsrMember { broker: leader, epoch }).into_iter().collect();
        self.after.elr.clear();
        self.after.leader = Some(leader);
        self.after.recovery = LeaderRecovery::Recovering;
        self.count_loss();
    }

    /// Finds a leader if there is none that can go on, finishes a reassignment that has got where it was to get, and puts
    /// the sets in order. `None` if nothing has changed.
    pub(super) fn settle(mut self) -> Option<Partition> {
        let is_fit = |id: BrokerId| self.after.is_in_sync(id) && self.state.can_lead(&self.after, id);
        if !self.after.leader.is_some_and(is_fit) {
            self.elect();
        }
        self.finish_reassignment();
        if self.after.leader.is_some() {
            self.after.last_complete.clear();
            let is_full = self.after.isr.len() >= self.state.min_isr(self.topic, &self.after);
            if is_full && !self.draft.breaks(Defect::EligibleOverFullSet) {
                self.after.elr.clear();
            }
        } else {
            self.remember();
        }
        let keeps_epoch = self.draft.breaks(Defect::LeaderEpochNotRaised);
        if (self.after.leader != self.before.leader && !keeps_epoch) || self.raised {
            self.after.leader_epoch = self.before.leader_epoch.next();
        }
        if self.after == *self.before {
            return None;
        }
        self.after.partition_epoch = self.before.partition_epoch.next();
        Some(self.after)
    }

    /// Takes out whom a reassignment replaces, once everybody it brings in is in sync and, without those who go, the
    /// minimum is.
    fn finish_reassignment(&mut self) {
        let after = &self.after;
        if !after.is_reassigning() || after.leader.is_none() {
            return;
        }
        let staying = after.isr.iter().filter(|member| !after.removing.contains(&member.broker)).count();
        let enough = self.state.min_isr_of(self.topic, after.targets().count());
        let has_come = staying >= enough && after.adding.iter().all(|id| after.is_in_sync(*id));
        if !has_come && !self.draft.breaks(Defect::ReassignedTooEarly) {
            return;
        }
        let removing = std::mem::take(&mut self.after.removing);
        self.after.adding.clear();
        self.drop_replicas(&removing);
        if self.after.leader.is_some_and(|leader| !self.after.has_replica(leader)) {
            self.elect();
        }
    }

    /// The first replica in sync leads, or else the first eligible one; a single replica starts with what it has.
    fn elect(&mut self) {
        let fit: Vec<BrokerId> =
            self.after.replicas.iter().map(|r| r.broker).filter(|id| self.state.can_lead(&self.after, *id)).collect();
        // One that is being emptied leads only if nobody else can; of equals the first.
        let draining = |id: &&BrokerId| self.state.broker(**id).is_some_and(|b| b.draining);
        let in_sync = fit.iter().filter(|id| self.after.is_in_sync(**id)).min_by_key(draining);
        let complete = in_sync.or_else(|| fit.iter().filter(|id| self.after.elr.contains(id)).min_by_key(draining));
        let alone = || fit.first().filter(|_| self.after.replicas.len() == 1);
        let anybody = || fit.first().filter(|_| self.draft.breaks(Defect::AnybodyLeads));
        let complete = complete.or_else(anybody);
        let Some(leader) = complete.or_else(alone).copied() else {
            self.after.leader = None;
            return;
        };
        if complete.is_none() {
            self.count_loss();
        }
        self.lead(leader, &fit);
    }

    /// Makes `leader` the leader. Of those that were in sync, the ones in `fit` stay so, the others stay eligible.
    fn lead(&mut self, leader: BrokerId, fit: &[BrokerId]) {
        let in_sync = std::mem::take(&mut self.after.isr);
        let (stay, go): (Vec<_>, Vec<_>) =
            in_sync.into_iter().filter(|m| m.broker != leader).partition(|m| fit.contains(&m.broker));
        self.after.elr.retain(|id| *id != leader);
        self.after.elr.extend(go.into_iter().map(|member| member.broker));
        let epoch = self.state.broker(leader).map(|b| b.epoch);
        self.after.isr = epoch.map(|epoch| IsrMember { broker: leader, epoch }).into_iter().chain(stay).collect();
        self.after.leader = Some(leader);
    }

    /// Notes an election after which acknowledged records may be missing.
    fn count_loss(&mut self) {
        // A node of the first level would drop the count unseen.
        if self.state.level() >= Some(MetadataLevel::SECOND) {
            self.after.possible_losses = self.after.possible_losses.saturating_add(1);
        }
    }

    /// Nobody leads: keeps who was in sync last, if they may come back complete, and whom to wait for.
    fn remember(&mut self) {
        if self.after.isr.is_empty() {
            let (isr, elr) = (&self.before.isr, &mut self.after.elr);
            self.after.isr = isr.iter().filter(|member| elr.contains(&member.broker)).copied().collect();
            elr.retain(|id| !isr.iter().any(|member| member.broker == *id));
        }
        if self.before.leader.is_some() && !self.draft.breaks(Defect::LastCompleteForgotten) {
            let in_sync = self.before.isr.iter().map(|member| member.broker);
            let complete = in_sync.chain(self.before.elr.iter().copied());
            self.after.last_complete = complete.filter(|id| self.after.has_replica(*id)).collect();
        }
    }
}
