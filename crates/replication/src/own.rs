//! What a replica knows of itself, whichever role it has.

use levada_types::{BrokerId, Offset, TimestampMs};

use crate::{Defect, Effect, EpochHistory, LogEnds, ProposalId, ReplicaConfig, Session};

/// The replica's own log and high watermark, and the counters that outlive its roles.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) config: ReplicaConfig,
    pub(crate) log: LogEnds,
    /// Everything below it is committed. `log.start <= high_watermark <= log.end`.
    pub(crate) high_watermark: Offset,
    /// The last attachment that this replica has asked for.
    pub(crate) session: Session,
    /// The last proposal that this replica has made.
    pub(crate) proposal: ProposalId,
    /// The controller may have given what this broker leads to another by now.
    pub(crate) lapsed: bool,
}

/// One event being handled: when, over which log, and what is to be done about it.
pub(crate) struct Step<'a> {
    pub(crate) now_ms: TimestampMs,
    pub(crate) epochs: &'a dyn EpochHistory,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Own {
    pub(crate) fn new(config: ReplicaConfig, log: LogEnds, high_watermark: Offset) -> Self {
        let session = Session { broker_epoch: config.broker_epoch, counter: config.first_session };
        let high_watermark = high_watermark.min(log.end).max(log.start);
        Self { config, log, high_watermark, session, proposal: ProposalId(0), lapsed: false }
    }

    pub(crate) fn broker(&self) -> BrokerId {
        self.config.broker
    }

    pub(crate) fn breaks(&self, defect: Defect) -> bool {
        self.config.rules.breaks(defect)
    }

    /// Moves the high watermark forward to `offset`, never back.
    pub(crate) fn raise_high_watermark(&mut self, offset: Offset, step: &mut Step<'_>) {
        if offset > self.high_watermark {
            self.high_watermark = offset;
            step.effects.push(Effect::HighWatermark { offset });
        }
    }

    /// The log was cut or begins anew: the high watermark stays within it.
    pub(crate) fn replace_log(&mut self, log: LogEnds, step: &mut Step<'_>) {
        self.log = log;
        let offset = self.high_watermark.min(log.end).max(log.start);
        if offset != self.high_watermark {
            self.high_watermark = offset;
            step.effects.push(Effect::HighWatermark { offset });
        }
    }

    pub(crate) fn appended(&mut self, end: Offset) {
        self.log.end = self.log.end.max(end);
    }

    pub(crate) fn flushed(&mut self, end: Offset) {
        self.log.flushed = self.log.flushed.max(end.min(self.log.end));
    }

    pub(crate) fn log_start_moved(&mut self, start: Offset, step: &mut Step<'_>) {
        self.log.start = self.log.start.max(start);
        self.raise_high_watermark(self.log.start, step);
    }
}
