//! A follower attaches: where its log agrees with the leader's (KIP-101, KIP-279, KIP-595).

use levada_types::{LeaderEpoch, Offset};

use super::Leader;
use crate::own::{Own, Step};
use crate::{Attach, AttachAnswer, AttachOutcome, AttachRefusal, Defect, Effect, EpochHistory, Lane, LogEnds};

impl Leader {
    /// Answers an attach. Whatever the answer, an attach that is not refused ends what was believed of the follower.
    pub(super) fn attach(&mut self, attach: &Attach, own: &Own, step: &mut Step<'_>) {
        let outcome = match self.begin_session(attach, own, step) {
            Ok(()) => self.place(attach, own, step),
            Err(refusal) => AttachOutcome::Refused(refusal),
        };
        let answer = AttachAnswer { leader_epoch: attach.leader_epoch, session: attach.session, outcome };
        step.effects.push(Effect::Answer { follower: attach.follower, answer });
        if let AttachOutcome::Accepted { .. } = outcome {
            self.start_stream(attach, own, step);
        }
    }

    fn begin_session(&mut self, attach: &Attach, own: &Own, step: &mut Step<'_>) -> Result<(), AttachRefusal> {
        if attach.leader_epoch < self.view.leader_epoch {
            return Err(AttachRefusal::FencedLeaderEpoch);
        }
        if attach.leader_epoch > self.view.leader_epoch {
            return Err(AttachRefusal::UnknownLeaderEpoch);
        }
        let replica = self.view.replica(attach.follower).ok_or(AttachRefusal::NotReplica)?;
        if attach.follower == own.broker() {
            return Err(AttachRefusal::NotReplica);
        }
        if replica.epoch.is_some_and(|epoch| attach.session.broker_epoch < epoch) {
            return Err(AttachRefusal::StaleBrokerEpoch);
        }
        let progress = self.followers.get_mut(&attach.follower).ok_or(AttachRefusal::NotReplica)?;
        if progress.session >= Some(attach.session) && !own.breaks(Defect::OldSessionAttach) {
            return Err(AttachRefusal::StaleSession);
        }
        if let Some(session) = progress.session.filter(|_| progress.is_attached()) {
            step.effects.push(Effect::EndStream { follower: attach.follower, session });
        }
        progress.begin(attach.session, own.breaks(Defect::AttachKeepsPosition));
        progress.log_start = Some(attach.log_start);
        if own.breaks(Defect::PositionBeforeCheck) {
            progress.place(attach.fetch_offset, attach.flushed_end);
        }
        Ok(())
    }

    fn place(&mut self, attach: &Attach, own: &Own, step: &Step<'_>) -> AttachOutcome {
        let is_complete = self.view.member(attach.follower).is_some() || self.view.elr.contains(&attach.follower);
        let outcome = match compare(attach.fetch_offset, attach.last_fetched_epoch, own.log, step.epochs) {
            AttachOutcome::Accepted { .. } | AttachOutcome::Diverged { .. } if own.breaks(Defect::NoTruncation) => {
                AttachOutcome::Accepted { high_watermark: own.high_watermark, log_start: own.log.start }
            }
            AttachOutcome::Accepted { log_start, .. } => {
                AttachOutcome::Accepted { high_watermark: own.high_watermark, log_start }
            }
            other => other,
        };
        let Some(progress) = self.followers.get_mut(&attach.follower) else { return outcome };
        progress.incomplete |= is_complete && attach.fetch_offset < own.high_watermark;
        match outcome {
            AttachOutcome::Accepted { .. } => {
                let known = progress.end().filter(|_| own.breaks(Defect::AttachKeepsPosition));
                let end = known.map_or(attach.fetch_offset, |end| end.max(attach.fetch_offset));
                let before = progress.position();
                progress.place(end, attach.flushed_end.min(attach.fetch_offset));
                progress.observe(before, own.log.end, self.view.fsync, step.now_ms);
            }
            AttachOutcome::OutOfRange { .. } | AttachOutcome::Diverged { .. } | AttachOutcome::Refused(_) => {}
        }
        outcome
    }

    fn start_stream(&mut self, attach: &Attach, own: &Own, step: &mut Step<'_>) {
        let is_tail = self.is_or_becomes_member(attach.follower) || attach.fetch_offset >= own.high_watermark;
        let lane = if is_tail { Lane::Tail } else { Lane::CatchUp };
        if let Some(progress) = self.followers.get_mut(&attach.follower) {
            progress.attached(lane, step.now_ms);
            step.effects.push(Effect::StartStream {
                follower: attach.follower,
                session: attach.session,
                from: attach.fetch_offset,
                lane,
            });
        }
    }
}

/// Compares a follower's log, which ends at `fetch_offset` with a record of `last_epoch`, with the leader's.
fn compare(
    fetch_offset: Offset,
    last_epoch: Option<LeaderEpoch>,
    log: LogEnds,
    epochs: &dyn EpochHistory,
) -> AttachOutcome {
    let anew = AttachOutcome::OutOfRange { log_start: log.start };
    if fetch_offset < log.start {
        return anew;
    }
    let accepted = AttachOutcome::Accepted { high_watermark: log.start, log_start: log.start };
    let Some(last_epoch) = last_epoch else {
        return if fetch_offset <= log.end { accepted } else { anew };
    };
    // An epoch that this log has not heard of is one whose leader this leader never followed: what it wrote diverges
    // from the end of this log's last epoch on. Without records there is nothing to compare.
    let Some(latest) = epochs.latest() else { return anew };
    match epochs.floor(last_epoch.min(latest)) {
        None => anew,
        Some(known) if known.epoch < last_epoch || known.end_offset < fetch_offset => {
            AttachOutcome::Diverged { epoch: known.epoch, end_offset: known.end_offset }
        }
        Some(_) => accepted,
    }
}
