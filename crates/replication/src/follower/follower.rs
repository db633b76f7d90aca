//! A follower of one leader in one leader epoch.

use levada_types::{BrokerId, LeaderEpoch, Offset, TimestampMs};

use super::truncation::cut;
use crate::own::{Own, Step};
use crate::{Ack, Attach, AttachAnswer, AttachOutcome, Defect, Effect, Event, Frame, PartitionView};

/// A replica that follows.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    leader: BrokerId,
    epoch: LeaderEpoch,
    phase: Phase,
    /// Where the log will end once every frame that was taken is appended.
    accepted_end: Offset,
    /// The leader's high watermark, as last told in this session.
    leader_high_watermark: Offset,
    /// The leader's log start offset, as last told in this session.
    leader_log_start: Offset,
    /// What the last attach said of how far the log is flushed.
    told_flushed: Offset,
    fsync: bool,
    /// Changes of the log that were asked for and of which nothing was heard yet.
    under_way: usize,
    /// The session is lost, and appends of its frames are still under way: what the log will hold is not known yet.
    attaches_when_idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The leader was asked.
    Attaching { since_ms: TimestampMs },
    /// The log is being cut.
    Truncating,
    /// Frames come.
    Streaming,
    /// The leader refused, or the log failed: again after a while.
    Pausing { since_ms: TimestampMs },
}

impl Follower {
    /// Begins to follow `leader`, in the epoch of `view`.
    pub(crate) fn begin(leader: BrokerId, view: &PartitionView, own: &mut Own, step: &mut Step<'_>) -> Self {
        let mut follower = Self {
            leader,
            epoch: view.leader_epoch,
            phase: Phase::Pausing { since_ms: step.now_ms },
            accepted_end: own.log.end,
            leader_high_watermark: 0,
            leader_log_start: 0,
            told_flushed: own.log.flushed,
            fsync: view.fsync,
            under_way: 0,
            attaches_when_idle: false,
        };
        step.effects.push(Effect::Follow { leader, epoch: view.leader_epoch });
        follower.flush_if_asked(own, step);
        follower.attach(own, step);
        follower
    }

    pub(crate) fn follows(&self, leader: BrokerId, epoch: LeaderEpoch) -> bool {
        self.leader == leader && self.epoch == epoch
    }

    /// Takes in a newer image in which the leader is the same.
    pub(crate) fn change_image(&mut self, view: &PartitionView, own: &Own, step: &mut Step<'_>) {
        let is_new = view.fsync && !self.fsync;
        self.fsync = view.fsync;
        if is_new {
            self.flush_if_asked(own, step);
        }
    }

    /// Whether the log is being changed on the leader's behalf.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way > 0
    }

    /// Whether it will ask again after a while.
    pub(crate) fn awaits_leader(&self) -> bool {
        matches!(self.phase, Phase::Attaching { .. } | Phase::Pausing { .. })
    }

    pub(crate) fn handle(&mut self, event: &Event, own: &mut Own, step: &mut Step<'_>) {
        if let Event::Appended { .. } | Event::Truncated { .. } | Event::LogFailed { .. } = event {
            self.under_way = self.under_way.saturating_sub(1);
        }
        match event {
            Event::Answer(answer) => self.answered(answer, own, step),
            Event::Frame(frame) => self.frame(frame, own, step),
            Event::Appended { .. } => self.appended(own, step),
            Event::Flushed { .. } | Event::LogStartMoved { .. } => self.ack(own, step),
            Event::Truncated { .. } => self.attach(own, step),
            // What was asked for behind it fails too.
            Event::LogFailed { .. } => {
                self.attaches_when_idle = false;
                self.phase = Phase::Pausing { since_ms: step.now_ms };
            }
            Event::Detached { leader_epoch, session }
                if *leader_epoch == self.epoch && *session == own.session && self.phase != Phase::Truncating =>
            {
                self.attach_when_idle(own, step);
            }
            Event::Tick => match self.phase {
                Phase::Attaching { since_ms } | Phase::Pausing { since_ms }
                    if step.now_ms.saturating_sub(since_ms) >= own.config.retry_ms && !self.is_busy() =>
                {
                    self.attach(own, step);
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Asks the leader where to go on. Nothing is under way, so the log ends where it says.
    fn attach(&mut self, own: &mut Own, step: &mut Step<'_>) {
        own.session = own.session.next();
        self.accepted_end = own.log.end;
        self.phase = Phase::Attaching { since_ms: step.now_ms };
        self.attaches_when_idle = false;
        self.leader_high_watermark = 0;
        self.leader_log_start = 0;
        self.told_flushed = own.log.flushed;
        let attach = Attach {
            follower: own.broker(),
            leader_epoch: self.epoch,
            session: own.session,
            fetch_offset: own.log.end,
            last_fetched_epoch: step.epochs.latest(),
            flushed_end: own.log.flushed,
            log_start: own.log.start,
        };
        step.effects.push(Effect::Attach { leader: self.leader, attach });
    }

    /// Asks anew where to go on, once everything that was taken is in the log.
    fn attach_when_idle(&mut self, own: &mut Own, step: &mut Step<'_>) {
        if self.is_busy() {
            self.attaches_when_idle = true;
        } else {
            self.attach(own, step);
        }
    }

    fn answered(&mut self, answer: &AttachAnswer, own: &mut Own, step: &mut Step<'_>) {
        let is_asked = matches!(self.phase, Phase::Attaching { .. });
        if !is_asked || answer.leader_epoch != self.epoch || answer.session != own.session {
            return;
        }
        match answer.outcome {
            AttachOutcome::Accepted { high_watermark, log_start } => {
                self.begin_streaming(own, step);
                self.learn(high_watermark, log_start, own, step);
            }
            AttachOutcome::Diverged { epoch, end_offset } => {
                let to = cut(epoch, end_offset, own.log, step.epochs).max(own.log.start);
                if to < own.log.end {
                    self.phase = Phase::Truncating;
                    self.under_way += 1;
                    step.effects.push(Effect::Truncate { to, below_high_watermark: to < own.high_watermark });
                } else {
                    self.phase = Phase::Pausing { since_ms: step.now_ms };
                }
            }
            AttachOutcome::OutOfRange { log_start } if log_start >= 0 => {
                self.phase = Phase::Truncating;
                self.under_way += 1;
                let below_high_watermark = log_start < own.high_watermark;
                step.effects.push(Effect::StartAt { offset: log_start, below_high_watermark });
            }
            AttachOutcome::OutOfRange { .. } | AttachOutcome::Refused(_) => {
                self.phase = Phase::Pausing { since_ms: step.now_ms };
            }
        }
    }

    /// The leader has taken the attach. What was flushed since that was sent is told now: there may never be another append
    /// to tell it with, and the high watermark waits for it.
    fn begin_streaming(&mut self, own: &Own, step: &mut Step<'_>) {
        self.phase = Phase::Streaming;
        if own.log.flushed > self.told_flushed {
            self.ack(own, step);
        }
    }

    fn frame(&mut self, frame: &Frame, own: &mut Own, step: &mut Step<'_>) {
        let is_current = frame.leader_epoch == self.epoch && frame.session == own.session;
        if !is_current && !own.breaks(Defect::OldSessionFrames) {
            return;
        }
        match self.phase {
            // The answer that it was sent behind is late or lost; the leader would not send it had it refused.
            Phase::Attaching { .. } => self.begin_streaming(own, step),
            Phase::Streaming if !self.attaches_when_idle => {}
            _ => return,
        }
        if frame.base_offset > self.accepted_end {
            // Something in between is lost.
            self.attach_when_idle(own, step);
            return;
        }
        if frame.base_offset < self.accepted_end || frame.end_offset < frame.base_offset {
            return;
        }
        if frame.end_offset > frame.base_offset {
            self.accepted_end = frame.end_offset;
            self.under_way += 1;
            step.effects.push(Effect::Append { base_offset: frame.base_offset, end_offset: frame.end_offset });
            if own.breaks(Defect::AckBeforeAppend) {
                let ack = Ack { log_end: frame.end_offset, ..self.position(own) };
                step.effects.push(Effect::Ack { leader: self.leader, ack });
            }
        }
        self.learn(frame.high_watermark, frame.log_start, own, step);
    }

    fn appended(&mut self, own: &mut Own, step: &mut Step<'_>) {
        self.apply_leaders_marks(own, step);
        if self.fsync {
            step.effects.push(Effect::Flush);
        }
        if self.attaches_when_idle && !self.is_busy() {
            self.attach(own, step);
        } else {
            self.ack(own, step);
        }
    }

    /// The leader has told its high watermark and its log start; within a session neither goes back.
    fn learn(&mut self, high_watermark: Offset, log_start: Offset, own: &mut Own, step: &mut Step<'_>) {
        self.leader_high_watermark = self.leader_high_watermark.max(high_watermark);
        self.leader_log_start = self.leader_log_start.max(log_start);
        self.apply_leaders_marks(own, step);
    }

    fn apply_leaders_marks(&mut self, own: &mut Own, step: &mut Step<'_>) {
        let committed = if own.breaks(Defect::HighWatermarkBeyondOwnEnd) {
            self.leader_high_watermark
        } else {
            self.leader_high_watermark.min(own.log.end)
        };
        own.raise_high_watermark(committed, step);
        let to = self.leader_log_start.min(own.high_watermark).min(own.log.end);
        if to > own.log.start {
            step.effects.push(Effect::AdvanceLogStart { to });
        }
    }

    fn ack(&self, own: &Own, step: &mut Step<'_>) {
        if self.phase == Phase::Streaming {
            step.effects.push(Effect::Ack { leader: self.leader, ack: self.position(own) });
        }
    }

    fn position(&self, own: &Own) -> Ack {
        Ack {
            follower: own.broker(),
            leader_epoch: self.epoch,
            session: own.session,
            log_end: own.log.end,
            flushed_end: own.log.flushed,
            log_start: own.log.start,
        }
    }

    fn flush_if_asked(&self, own: &Own, step: &mut Step<'_>) {
        if self.fsync && own.log.flushed < own.log.end {
            step.effects.push(Effect::Flush);
        }
    }
}
