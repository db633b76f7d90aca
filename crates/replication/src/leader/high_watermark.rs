//! How far records are committed: what every replica has that is in sync, or might be by now.
//!
//! The set is the union of the committed in-sync set, the proposed one, and those proposed earlier whose outcome nobody
//! knows: whichever of them the controller has committed meanwhile, none of its members lacks a committed record. It
//! moves only while the committed set has the minimum of members, for every acks level, so that a replica that left the
//! set below the minimum stays eligible (KIP-966).
//!
//! A leader that is alone in the set commits by itself. It does so only under a lease from the controller: when it has
//! lapsed, another replica may lead by now (`unclean.leader.election.enable`) that has none of it.

use crate::IsrMember;
use levada_types::Offset;

use super::Leader;
use crate::Defect;
use crate::own::Own;

impl Leader {
    /// Everything below it is held by everybody who has to; `None` if that is not known, or may not be said.
    pub(super) fn committed_end(&self, own: &Own) -> Option<Offset> {
        if !self.view.has_minimum() && !own.breaks(Defect::HighWatermarkUnderMinimum) {
            return None;
        }
        if own.lapsed && self.commits_alone(own) {
            return None;
        }
        let fsync = self.view.fsync && !own.breaks(Defect::HighWatermarkByUnflushedEnd);
        let mut end = own.log.counted(fsync);
        for member in self.must_hold(own).filter(|member| member.broker != own.broker()) {
            match self.counted(&member, fsync) {
                Some(counted) => end = end.min(counted),
                None if own.breaks(Defect::HighWatermarkSkipsUnknown) => {}
                None => return None,
            }
        }
        Some(end)
    }

    /// Whether nobody else has to hold what this leader commits, although another could lead.
    fn commits_alone(&self, own: &Own) -> bool {
        self.view.replicas.len() > 1 && self.must_hold(own).all(|member| member.broker == own.broker())
    }

    /// Whether something would be committed were it not for the lease that has lapsed.
    pub(crate) fn waits_for_lease(&self, own: &Own) -> bool {
        own.lapsed
            && self.view.has_minimum()
            && own.log.counted(self.view.fsync) > own.high_watermark
            && self.commits_alone(own)
    }

    /// Whether every in-sync replica, and every one that might be, has flushed up to the high watermark.
    pub(crate) fn is_fsync_effective(&self, own: &Own) -> bool {
        let has_flushed = |member: &IsrMember| {
            member.broker == own.broker() || self.counted(member, true) >= Some(own.high_watermark)
        };
        self.view.fsync
            && own.log.counted(true) >= own.high_watermark
            && self.must_hold(own).all(|member| has_flushed(&member))
    }

    fn must_hold(&self, own: &Own) -> impl Iterator<Item = IsrMember> {
        let proposed = (!own.breaks(Defect::HighWatermarkIgnoresProposed)).then(|| self.change.possible());
        self.view.isr.iter().copied().chain(proposed.into_iter().flatten())
    }

    /// What a member has, told under the registration that its membership bears.
    fn counted(&self, member: &IsrMember, fsync: bool) -> Option<Offset> {
        let progress = self.followers.get(&member.broker)?;
        progress.counted(fsync).filter(|_| progress.is_under(member.epoch))
    }
}
