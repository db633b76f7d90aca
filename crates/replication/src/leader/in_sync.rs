//! Who should be in sync, and the one proposal that says so to the controller.
//!
//! Only the controller changes the set. A proposal builds on a partition epoch, and the controller commits at most one on
//! each; but an attempt whose outcome nobody knows can be committed long afterwards, so it counts for the high watermark
//! until the partition epoch has moved. While there is such an attempt the leader goes on proposing, were it what is
//! committed already: that moves the partition epoch.

use crate::IsrMember;
use levada_types::{BrokerId, TimestampMs};

use super::Leader;
use crate::own::{Own, Step};
use crate::{Defect, Effect, Proposal, ProposalAnswer, ProposalId};

/// What is under way to change the in-sync set.
#[derive(Debug, Clone)]
pub(super) struct IsrChange {
    pending: Option<Proposal>,
    /// Members of attempts on the current partition epoch whose outcome is unknown.
    doubtful: Vec<IsrMember>,
    /// Nothing is proposed before.
    not_before_ms: TimestampMs,
}

impl IsrChange {
    pub(super) fn none() -> Self {
        Self { pending: None, doubtful: Vec::new(), not_before_ms: TimestampMs::MIN }
    }

    /// Whether an attempt may have been committed that the image does not show.
    pub(super) fn is_open(&self) -> bool {
        self.pending.is_some() || !self.doubtful.is_empty()
    }

    /// Members of every set that may have been committed since the last image.
    pub(super) fn possible(&self) -> impl Iterator<Item = IsrMember> {
        let pending = self.pending.iter().flat_map(|proposal| proposal.isr.iter());
        pending.chain(&self.doubtful).copied()
    }
}

impl Leader {
    /// Proposes the set that should be, if it is not the one that is, and nothing is under way.
    pub(super) fn propose(&mut self, own: &mut Own, step: &mut Step<'_>) {
        if self.change.pending.is_some() || step.now_ms < self.change.not_before_ms {
            return;
        }
        // Asked after each event, so nothing is allocated for what stays as it is.
        let (mut size, mut is_other) = (0, false);
        for member in self.wanted(own) {
            size += 1;
            is_other |= !self.view.isr.contains(&member);
        }
        is_other |= size != self.view.isr.len();
        let incomplete: Vec<BrokerId> = self.incomplete().collect();
        if !is_other && incomplete.is_empty() && self.change.doubtful.is_empty() && !self.view.recovering {
            return;
        }
        own.proposal = ProposalId(own.proposal.0 + 1);
        let proposal = Proposal {
            id: own.proposal,
            leader_epoch: self.view.leader_epoch,
            partition_epoch: self.view.partition_epoch,
            isr: self.wanted(own).collect(),
            incomplete,
        };
        step.effects.push(Effect::Propose(proposal.clone()));
        self.change.pending = Some(proposal);
    }

    /// The controller has answered.
    pub(super) fn proposal_answered(&mut self, id: ProposalId, answer: ProposalAnswer, own: &Own, step: &Step<'_>) {
        if self.change.pending.as_ref().is_none_or(|pending| pending.id != id) {
            return;
        }
        match answer {
            // It stays pending until the image comes that shows what is committed.
            ProposalAnswer::Committed { .. } | ProposalAnswer::Stale => return,
            ProposalAnswer::Unknown if !own.breaks(Defect::UnknownMeansRefused) => {
                let members = self.change.pending.take().map(|pending| pending.isr).unwrap_or_default();
                let doubtful = &mut self.change.doubtful;
                for member in members {
                    if !doubtful.contains(&member) {
                        doubtful.push(member);
                    }
                }
            }
            ProposalAnswer::NotApplied | ProposalAnswer::Unknown => self.change.pending = None,
        }
        self.change.not_before_ms = step.now_ms.saturating_add(own.config.retry_ms);
    }

    /// Members that stay, and replicas that may enter.
    fn wanted(&self, own: &Own) -> impl Iterator<Item = IsrMember> {
        let stays = move |member: &&IsrMember| {
            member.broker == own.broker()
                || self.followers.get(&member.broker).is_none_or(|progress| !progress.lagging && !progress.incomplete)
        };
        let enters = self.followers.keys().filter_map(move |follower| self.entrant(*follower, own));
        self.view.isr.iter().filter(stays).copied().chain(enters)
    }

    /// The membership that `follower` may have and has not: it is live under its current registration, and has
    /// everything up to the high watermark and up to the start of this epoch, since this leader's high watermark may be
    /// behind its predecessor's.
    fn entrant(&self, follower: BrokerId, own: &Own) -> Option<IsrMember> {
        let progress = self.followers.get(&follower)?;
        let replica = self.view.replica(follower).filter(|replica| replica.live)?;
        let epoch = replica.epoch.filter(|epoch| progress.is_under(*epoch))?;
        if self.view.member(follower).is_some()
            || self.view.recovering
            || !progress.is_attached()
            || progress.lagging
            || progress.incomplete
        {
            return None;
        }
        let mut threshold = own.high_watermark.max(self.epoch_start);
        if own.breaks(Defect::EntryWithoutEpochStart) {
            threshold = own.high_watermark;
        }
        if own.breaks(Defect::EntryBelowHighWatermark) {
            threshold = self.epoch_start.min(own.high_watermark);
        }
        let fsync = self.view.fsync && !own.breaks(Defect::EntryByUnflushedEnd);
        (progress.counted(fsync)? >= threshold).then_some(IsrMember { broker: follower, epoch })
    }

    fn incomplete(&self) -> impl Iterator<Item = BrokerId> {
        let is_counted = |id: BrokerId| self.view.member(id).is_some() || self.view.elr.contains(&id);
        let incomplete = self.followers.iter().filter(|(_, progress)| progress.incomplete).map(|(id, _)| *id);
        incomplete.filter(move |id| is_counted(*id))
    }
}
