//! What the leader knows of one follower.

use levada_types::{BrokerEpoch, Offset, TimestampMs};

use crate::{Ack, Lane, Session};

/// How far a follower has come, under the attachment that told it.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// The last attach; nothing that is not greater is taken after it.
    pub(super) session: Option<Session>,
    /// The lane that frames of the session go out on, while the stream lasts.
    pub(super) lane: Option<Lane>,
    /// What the follower has, once its log was found not to diverge.
    position: Option<Position>,
    /// The follower's log start offset, when it has told.
    pub(super) log_start: Option<Offset>,
    /// It has been behind for longer than `replica.lag.time.max.ms`, as of the last tick.
    pub(super) lagging: bool,
    /// It attached below the high watermark, while it counted as complete: it has lost records.
    pub(super) incomplete: bool,
    /// When it last had everything that the leader had.
    caught_up_ms: TimestampMs,
    /// The leader's log end at some time: when the follower reaches it, it had caught up then.
    mark: (Offset, TimestampMs),
    /// When it last moved, or had nothing to wait for.
    moved_ms: TimestampMs,
    /// The session has ended, and the follower has not attached since.
    pub(super) ended: bool,
}

/// What a follower has appended, and what of that it has flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    end: Offset,
    flushed: Offset,
}

impl Progress {
    /// Of a follower of whom nothing is known; it is given the whole time to attach.
    pub(super) fn unknown(now_ms: TimestampMs) -> Self {
        Self {
            session: None,
            lane: None,
            position: None,
            log_start: None,
            lagging: false,
            incomplete: false,
            caught_up_ms: now_ms,
            mark: (Offset::MAX, now_ms),
            moved_ms: now_ms,
            ended: false,
        }
    }

    /// Forgets what was believed: `session` says anew where the follower stands, further down perhaps.
    pub(super) fn begin(&mut self, session: Session, keep_position: bool) {
        self.session = Some(session);
        self.lane = None;
        self.ended = false;
        if !keep_position {
            self.position = None;
        }
    }

    /// The follower's log was found not to diverge up to `end`.
    pub(super) fn place(&mut self, end: Offset, flushed: Offset) {
        self.position = Some(Position { end, flushed: flushed.min(end) });
    }

    /// The stream is over. What the follower has, it still has.
    pub(super) fn detach(&mut self) {
        self.lane = None;
        self.ended = true;
    }

    /// The follower has registered again: what its old incarnation had does not count.
    pub(super) fn forget_position(&mut self) {
        self.position = None;
    }

    /// Within a session a log only grows, so an acknowledgement that comes late takes nothing back.
    pub(super) fn advance(&mut self, ack: &Ack) {
        self.log_start = self.log_start.max(Some(ack.log_start));
        if let Some(position) = &mut self.position {
            position.end = position.end.max(ack.log_end);
            position.flushed = position.flushed.max(ack.flushed_end).min(position.end);
        }
    }

    /// Whether frames go out to it.
    pub(super) fn is_attached(&self) -> bool {
        self.lane.is_some()
    }

    /// Whether what it has was told under this registration.
    pub(super) fn is_under(&self, epoch: BrokerEpoch) -> bool {
        self.session.is_some_and(|session| session.broker_epoch == epoch)
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }

    /// Everything below it is in the follower's log.
    pub(super) fn end(&self) -> Option<Offset> {
        self.position.map(|position| position.end)
    }

    /// Everything below it is fsynced there.
    pub(super) fn flushed(&self) -> Option<Offset> {
        self.position.map(|position| position.flushed)
    }

    /// The end that counts for the high watermark.
    pub(super) fn counted(&self, fsync: bool) -> Option<Offset> {
        if fsync { self.flushed() } else { self.end() }
    }

    /// Notes that something was heard, from a follower of a leader whose log ends at `leader_end`.
    pub(super) fn observe(&mut self, before: Option<Position>, leader_end: Offset, fsync: bool, now_ms: TimestampMs) {
        let counted = self.counted(fsync);
        if self.position != before || counted >= Some(leader_end) {
            self.moved_ms = now_ms;
        }
        if counted >= Some(leader_end) {
            self.caught_up_ms = now_ms;
            self.lagging = false;
        }
        if counted >= Some(self.mark.0) {
            self.caught_up_ms = self.caught_up_ms.max(self.mark.1);
        }
        if counted >= Some(self.mark.0) || self.mark.0 == Offset::MAX {
            self.mark = (leader_end, now_ms);
        }
    }

    /// Judges, at a tick, whether it is out of sync. A follower that has everything is not, however long it is silent.
    pub(super) fn judge(&mut self, leader_end: Offset, fsync: bool, lag_time_max_ms: i64, now_ms: TimestampMs) {
        let is_behind = self.counted(fsync).is_none_or(|counted| counted < leader_end);
        self.lagging = is_behind && now_ms.saturating_sub(self.caught_up_ms) > lag_time_max_ms;
    }

    /// Whether frames go out to it and nothing has come back for `patience_ms` although it is behind.
    pub(super) fn is_stalled(&self, leader_end: Offset, fsync: bool, patience_ms: i64, now_ms: TimestampMs) -> bool {
        let is_behind = self.counted(fsync).is_none_or(|end| end < leader_end);
        self.is_attached() && is_behind && now_ms.saturating_sub(self.moved_ms) > patience_ms
    }

    /// It has something to wait for: its silence up to now says nothing.
    pub(super) fn excuse(&mut self, now_ms: TimestampMs) {
        self.moved_ms = now_ms;
    }

    /// A stream begins: it is given time.
    pub(super) fn attached(&mut self, lane: Lane, now_ms: TimestampMs) {
        self.lane = Some(lane);
        self.moved_ms = now_ms;
    }
}
