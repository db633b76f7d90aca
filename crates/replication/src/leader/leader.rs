//! The leader of a partition, for one leader epoch after another.

use std::collections::BTreeMap;

use levada_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use super::awaited::Awaited;
use super::in_sync::IsrChange;
use super::progress::Progress;
use crate::own::{Own, Step};
use crate::{Ack, Defect, Effect, EpochHistory, Event, Lane, PartitionView, Session};

/// A replica that leads.
#[derive(Debug, Clone)]
pub(crate) struct Leader {
    pub(super) view: PartitionView,
    /// Where the leader's own epoch starts: its log end when it first led in it.
    pub(super) epoch_start: Offset,
    /// All other replicas of the image.
    pub(super) followers: BTreeMap<BrokerId, Progress>,
    pub(super) change: IsrChange,
    awaited: Awaited,
    /// The low watermark that was told last.
    low_watermark: Option<Offset>,
}

impl Leader {
    /// Begins to lead. What was committed under earlier leaders is at least the replica's own high watermark.
    pub(crate) fn begin(view: PartitionView, own: &mut Own, step: &mut Step<'_>) -> Self {
        let mut leader = Self {
            view: view.clone(),
            epoch_start: own.log.end,
            followers: BTreeMap::new(),
            change: IsrChange::none(),
            awaited: Awaited::default(),
            low_watermark: None,
        };
        leader.begin_epoch(view, own, step);
        leader
    }

    /// Leads on, or begins to, in the epoch of `view`. Nothing that followers said in an earlier epoch counts; who waits
    /// for an acknowledgement goes on waiting, since what they wait for is in the log of whoever leads.
    pub(crate) fn begin_epoch(&mut self, view: PartitionView, own: &mut Own, step: &mut Step<'_>) {
        self.end_streams(step);
        self.followers.clear();
        self.change = IsrChange::none();
        self.epoch_start = start_of(view.leader_epoch, own, step.epochs);
        step.effects.push(Effect::Lead { epoch: view.leader_epoch, start: self.epoch_start });
        if own.breaks(Defect::LeaderCommitsItsLog) {
            own.raise_high_watermark(own.log.end, step);
        }
        if view.fsync && own.log.flushed < own.log.end {
            step.effects.push(Effect::Flush);
        }
        self.take_view(view, own, step);
        self.settle(own, step);
        self.fail_under_minimum(step);
    }

    /// Takes in a newer image of the same leader epoch.
    pub(crate) fn change_image(&mut self, view: PartitionView, own: &mut Own, step: &mut Step<'_>) {
        if view.partition_epoch > self.view.partition_epoch {
            // Every attempt was made on an older partition epoch: it is in this image or will never be.
            self.change = IsrChange::none();
        }
        if view.fsync && !self.view.fsync {
            step.effects.push(Effect::Flush);
        }
        self.take_view(view, own, step);
        self.settle(own, step);
        self.fail_under_minimum(step);
    }

    fn take_view(&mut self, view: PartitionView, own: &Own, step: &mut Step<'_>) {
        self.followers.retain(|id, progress| {
            let stays = view.replica(*id).is_some();
            if let Some(session) = progress.session.filter(|_| progress.is_attached() && !stays) {
                step.effects.push(Effect::EndStream { follower: *id, session });
            }
            stays
        });
        for replica in view.replicas.iter().filter(|replica| replica.broker != own.broker()) {
            let progress = self.followers.entry(replica.broker).or_insert_with(|| Progress::unknown(step.now_ms));
            let is_member = view.member(replica.broker).is_some();
            let was_member = self.view.member(replica.broker).is_some();
            progress.incomplete &= is_member || view.elr.contains(&replica.broker);
            let has_registered_again =
                replica.epoch.zip(progress.session).is_some_and(|(epoch, session)| session.broker_epoch < epoch);
            if has_registered_again {
                progress.forget_position();
            }
            // The lane follows membership, and changes by attaching anew: frames of two lanes would overtake each other.
            let is_misplaced = match progress.lane {
                Some(Lane::CatchUp) => is_member,
                Some(Lane::Tail) => was_member && !is_member,
                None => false,
            };
            if let Some(session) = progress.session
                && progress.is_attached()
                && (has_registered_again || is_misplaced)
            {
                end_stream(replica.broker, session, progress, step);
            }
        }
        self.view = view;
    }

    /// Leads no more.
    pub(crate) fn step_down(mut self, step: &mut Step<'_>) {
        self.end_streams(step);
        if self.awaited.clear() {
            step.effects.push(Effect::FailAwaited { code: ErrorCode::NotLeaderOrFollower });
        }
    }

    fn end_streams(&mut self, step: &mut Step<'_>) {
        for (follower, progress) in &mut self.followers {
            if let Some(session) = progress.session.filter(|_| progress.is_attached()) {
                end_stream(*follower, session, progress, step);
            }
        }
    }

    pub(crate) fn handle(&mut self, event: &Event, own: &mut Own, step: &mut Step<'_>) {
        match event {
            Event::Appended { .. } => {
                if self.view.fsync {
                    step.effects.push(Effect::Flush);
                }
            }
            Event::Awaited { end } => {
                let at_once = own.breaks(Defect::DuplicateAtOnce) && self.awaited.holds(*end);
                self.awaited.add(*end);
                let committed =
                    if own.breaks(Defect::AcknowledgeOwnAppend) || at_once { own.log.end } else { own.high_watermark };
                self.acknowledge(committed, step);
                self.fail_under_minimum(step);
            }
            Event::LogStartMoved { start } => self.end_streams_below(*start, step),
            Event::Attach(attach) => self.attach(attach, own, step),
            Event::Ack(ack) => self.ack(ack, own, step),
            Event::StreamEnded { follower, session } => {
                if let Some(progress) = self.followers.get_mut(follower)
                    && progress.session == Some(*session)
                {
                    progress.detach();
                }
            }
            Event::Throttled { follower, session } => {
                if let Some(progress) = self.followers.get_mut(follower)
                    && progress.session == Some(*session)
                {
                    progress.excuse(step.now_ms);
                }
            }
            Event::ProposalAnswered { id, answer } => self.proposal_answered(*id, *answer, own, step),
            Event::Tick => self.tick(own, step),
            Event::Flushed { .. }
            | Event::Truncated { .. }
            | Event::LogFailed { .. }
            | Event::Image(_)
            | Event::Answer(_)
            | Event::Frame(_)
            | Event::Detached { .. } => {}
        }
        self.settle(own, step);
    }

    fn ack(&mut self, ack: &Ack, own: &Own, step: &Step<'_>) {
        let Some(progress) = self.followers.get_mut(&ack.follower) else { return };
        let is_current = ack.leader_epoch == self.view.leader_epoch && progress.session == Some(ack.session);
        if !is_current && !own.breaks(Defect::OldSessionAcks) {
            return;
        }
        // Nobody has more than the leader.
        if ack.log_end > own.log.end || ack.flushed_end > ack.log_end {
            return;
        }
        let before = progress.position();
        progress.advance(ack);
        progress.observe(before, own.log.end, self.view.fsync, step.now_ms);
    }

    fn tick(&mut self, own: &Own, step: &mut Step<'_>) {
        let (end, lag) = (own.log.end, own.config.lag_time_max_ms);
        for (follower, progress) in &mut self.followers {
            progress.judge(end, self.view.fsync, lag, step.now_ms);
            let Some(session) = progress.session else { continue };
            // Half of the time in which it would be out of sync: a lost message costs no membership.
            let is_live = self.view.replica(*follower).is_some_and(|replica| replica.live);
            if progress.ended && is_live || progress.is_stalled(end, self.view.fsync, lag / 2, step.now_ms) {
                end_stream(*follower, session, progress, step);
            }
        }
        if own.breaks(Defect::ShrinkWithoutController) {
            let followers = &self.followers;
            self.view.isr.retain(|member| followers.get(&member.broker).is_none_or(|progress| !progress.lagging));
        }
    }

    /// What a follower lacks is not here any more: it has to begin anew, at the start.
    fn end_streams_below(&mut self, start: Offset, step: &mut Step<'_>) {
        for (follower, progress) in &mut self.followers {
            if let Some(session) = progress.session
                && progress.is_attached()
                && progress.end().is_some_and(|end| end < start)
            {
                end_stream(*follower, session, progress, step);
            }
        }
    }

    /// Draws the conclusions: what is committed, who is told, who should be in sync.
    pub(super) fn settle(&mut self, own: &mut Own, step: &mut Step<'_>) {
        if let Some(end) = self.committed_end(own) {
            own.raise_high_watermark(end, step);
        }
        self.acknowledge(own.high_watermark, step);
        let low_watermark = self.low_watermark(own);
        if low_watermark > self.low_watermark {
            self.low_watermark = low_watermark;
            step.effects.extend(low_watermark.map(|offset| Effect::LowWatermark { offset }));
        }
        self.propose(own, step);
    }

    fn acknowledge(&mut self, committed: Offset, step: &mut Step<'_>) {
        step.effects.extend(self.awaited.release(committed).map(|end| Effect::Acknowledge { end }));
    }

    fn fail_under_minimum(&mut self, step: &mut Step<'_>) {
        if !self.view.has_minimum() && self.awaited.clear() {
            step.effects.push(Effect::FailAwaited { code: ErrorCode::NotEnoughReplicasAfterAppend });
        }
    }

    pub(super) fn is_or_becomes_member(&self, broker: BrokerId) -> bool {
        self.view.member(broker).is_some() || self.change.possible().any(|member| member.broker == broker)
    }

    pub(crate) fn low_watermark(&self, own: &Own) -> Option<Offset> {
        let live = self.view.replicas.iter().filter(|replica| replica.live && replica.broker != own.broker());
        let mut starts = live.map(|replica| self.followers.get(&replica.broker)?.log_start);
        starts.try_fold(own.log.start, |least, start| Some(least.min(start?)))
    }

    pub(crate) fn awaits_controller(&self) -> bool {
        self.change.is_open()
    }

    pub(crate) fn reading_replica(&self, among: &[BrokerId], offset: Offset) -> Option<BrokerId> {
        let holders = among.iter().filter_map(|id| {
            let member = self.view.member(*id)?;
            let progress = self.followers.get(id).filter(|progress| progress.is_under(member.epoch))?;
            let (start, end) = (progress.log_start?, progress.end()?);
            (start..=end).contains(&offset).then_some((end, std::cmp::Reverse(*id)))
        });
        holders.max().map(|(_, std::cmp::Reverse(id))| id)
    }

    pub(crate) fn epoch(&self) -> LeaderEpoch {
        self.view.leader_epoch
    }

    pub(crate) fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    pub(crate) fn view(&self) -> &PartitionView {
        &self.view
    }

    pub(crate) fn position_of(&self, follower: BrokerId) -> Option<Offset> {
        self.followers.get(&follower).and_then(Progress::end)
    }
}

/// Where an epoch starts that this replica leads in: at its first record, which is there already if the log was opened anew
/// in the middle of the epoch, or else at the log end. What it had committed in that epoch before is then as well known as
/// it was.
fn start_of(epoch: LeaderEpoch, own: &Own, epochs: &dyn EpochHistory) -> Offset {
    if epochs.latest() != Some(epoch) {
        return own.log.end;
    }
    let before = epochs.floor(LeaderEpoch(epoch.0.saturating_sub(1)));
    before.map_or(own.log.start, |before| before.end_offset).clamp(own.log.start, own.log.end)
}

/// Sends no more frames in the session. Told again at each tick until the follower attaches anew, since the news can be
/// lost.
fn end_stream(follower: BrokerId, session: Session, progress: &mut Progress, step: &mut Step<'_>) {
    progress.detach();
    step.effects.push(Effect::EndStream { follower, session });
}
