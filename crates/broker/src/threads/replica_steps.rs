//! How an actor runs its replica's state machine: tells it what happens, and does what it wants done.

use std::mem::take;
use std::sync::Arc;

use bytes::Bytes;
use levada_log::{DirectoryState, Flushed, LogError};
use levada_replication::{
    Attach, AttachAnswer, AttachOutcome, AttachRefusal, Effect, Event, LogEnds, PartitionView, Replica, Session,
};
use levada_types::{BrokerEpoch, BrokerId, Offset};

use super::actor::Actor;
use crate::clock::{now_ms, uptime_ms};
use crate::replication::{Attachment, FollowerLink, LogEpochs, Sending};
use crate::telemetry::BrokerMetrics;

/// What comes with an event and the state machine does not look at.
#[derive(Default)]
pub(super) struct Baggage {
    /// The records of a frame.
    pub(super) records: Bytes,
    /// Bytes that an append has added to a leader's log.
    pub(super) gained: u64,
    /// Where a follower that attaches is answered, and its first credit.
    pub(super) link: Option<(Arc<FollowerLink>, u32)>,
}

impl Actor {
    /// Takes in an image. Under another registration of this broker the replica begins anew.
    pub(super) fn see(&mut self, view: PartitionView, broker_epoch: BrokerEpoch) {
        if self.replica.is_none() || self.broker_epoch != broker_epoch {
            self.let_go();
            let config = self.replication.replica_config(broker_epoch);
            self.replica = Some(Replica::new(config, self.ends(), self.partition.high_watermark()));
            self.broker_epoch = broker_epoch;
        }
        self.is_restless = false;
        let is_complete = view.isr.len() == view.replicas.len();
        self.feed(Event::Image(view), Baggage::default());
        if self.leads.is_some() && !is_complete {
            self.be_restless();
        }
    }

    /// A follower attaches. One that finds no leader is told so, since the state machine of a follower says nothing.
    pub(super) fn attach(&mut self, attach: Attach, credit: u32, link: Arc<FollowerLink>) {
        if self.leads.is_none() {
            let outcome = AttachOutcome::Refused(AttachRefusal::NotLeader);
            let (leader_epoch, session) = (attach.leader_epoch, attach.session);
            link.answer(self.partition.id(), &AttachAnswer { leader_epoch, session, outcome });
            return;
        }
        self.feed(Event::Attach(attach), Baggage { link: Some((link, credit)), ..Baggage::default() });
    }

    /// Tells the replica what has happened, and does what it wants done about it.
    pub(super) fn feed(&mut self, event: Event, mut baggage: Baggage) {
        let waits_no_more =
            matches!(&event, Event::Answer(answer) if matches!(answer.outcome, AttachOutcome::Accepted { .. }));
        if waits_no_more {
            self.is_restless = false;
        }
        if let Event::StreamEnded { follower, session } = event {
            self.sendings.retain(|sending| sending.follower() != follower || sending.session() != session);
        }
        if event == Event::Tick {
            self.ask_again_if_starved();
            self.wants_flush |= take(&mut self.flushes_at_tick);
            self.events.extend(self.sendings.iter().filter_map(|sending| sending.excuse()));
        }
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let Some(replica) = &mut self.replica else { continue };
            let mut effects = take(&mut self.effects);
            replica.hold_lease(self.replication.mandate.is_current());
            replica.handle(event, uptime_ms(), &LogEpochs(self.partition.reader()), &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(effect, &mut baggage);
            }
            self.effects = effects;
        }
        let waits = |replica: &Replica| replica.waits_for_lease() || replica.awaits_leader();
        if self.starved.is_some() || self.replica.as_ref().is_some_and(waits) {
            self.want_tick();
        }
        if self.is_restless {
            self.be_restless();
        }
    }

    fn carry_out(&mut self, effect: Effect, baggage: &mut Baggage) {
        let id = self.partition.id();
        match effect {
            Effect::Lead { epoch, start } => {
                self.starved = None;
                self.leads = Some(epoch);
                self.partition.begin_to_lead(epoch, start);
            }
            Effect::Follow { .. } | Effect::Wait => {
                self.starved = None;
                self.stop_leading();
            }
            Effect::HighWatermark { offset } => {
                self.partition.set_high_watermark(offset, take(&mut baggage.gained));
                if self.leads.is_some() {
                    self.uncommitted.answer(offset);
                    self.sendings.iter().for_each(Sending::wake);
                }
            }
            Effect::Flush => self.wants_flush = true,
            Effect::Acknowledge { end } => self.uncommitted.answer(end),
            Effect::FailAwaited { code } => self.fail_uncommitted(code),
            Effect::Propose(proposal) => {
                self.replication.proposals.post(&self.partition, self.broker_epoch, proposal);
                self.is_restless = true;
            }
            Effect::Answer { answer, .. } => {
                if let Some((link, _)) = &baggage.link {
                    link.answer(id, &answer);
                }
            }
            Effect::StartStream { follower, session, from, lane } => {
                if let (Some((link, credit)), Some(epoch)) = (&baggage.link, self.leads) {
                    let partition = Arc::clone(&self.partition);
                    let sending = Sending::new(partition, (follower, epoch, session), (from, lane), *credit, link);
                    if link.begin(&sending) {
                        self.sendings.push(sending);
                    } else {
                        self.events.push_back(Event::StreamEnded { follower, session });
                    }
                }
            }
            Effect::EndStream { follower, session } => self.end_stream(follower, session),
            Effect::LowWatermark { .. } => self.answer_deleted(),
            Effect::Attach { leader, attach } => {
                self.owed_credit = 0;
                self.is_restless = true;
                let credit = match self.partition.reader().directory_state() {
                    DirectoryState::Online => Some(self.replication.leaders.credit),
                    // What a full disk cannot take is not asked for; what the replica has is told all the same.
                    DirectoryState::Full => Some(0),
                    DirectoryState::Offline => None,
                };
                self.starved = (credit == Some(0)).then_some(attach);
                if let Some(credit) = credit {
                    self.replication.leaders.attach(leader, &self.partition, attach, credit);
                }
            }
            Effect::Ack { leader, ack } => {
                self.replication.leaders.ack(leader, id, ack, take(&mut self.owed_credit));
            }
            Effect::Append { .. } => self.append_frame(&take(&mut baggage.records)),
            Effect::Truncate { to, below_high_watermark } => {
                self.tell_loss(to, below_high_watermark);
                let truncated = self.writer.truncate_to(to, now_ms()).map(drop);
                self.log_was_cut(truncated);
            }
            Effect::StartAt { offset, below_high_watermark } => {
                self.tell_loss(offset, below_high_watermark);
                let emptied = self.writer.truncate_fully_and_start_at(offset, now_ms());
                self.log_was_cut(emptied);
            }
            Effect::AdvanceLogStart { to } => match self.writer.advance_log_start(to) {
                Ok(start) => {
                    self.partition.waiters().look_again();
                    self.events.push_back(Event::LogStartMoved { start });
                }
                Err(error) => self.note(Err(error), "following the leader's log start"),
            },
        }
    }

    /// A disk that has space again takes what was not asked for.
    fn ask_again_if_starved(&mut self) {
        if self.partition.reader().directory_state() == DirectoryState::Online
            && let Some(Attach { leader_epoch, session, .. }) = self.starved.take()
        {
            self.events.push_back(Event::Detached { leader_epoch, session });
        }
    }

    /// Counts the changes of the in-sync set of what this replica leads.
    pub(super) fn count_changes(&self, view: &PartitionView, metrics: &BrokerMetrics) {
        let Some(before) = self.replica.as_ref().filter(|replica| replica.is_leader()).and_then(Replica::view) else {
            return;
        };
        if before.isr.iter().any(|member| view.member(member.broker).is_none()) {
            metrics.isr_shrinks.increment(1);
        }
        if view.isr.iter().any(|member| before.member(member.broker).is_none()) {
            metrics.isr_expands.increment(1);
        }
    }

    fn append_frame(&mut self, records: &Bytes) {
        match self.writer.append_as_follower(records, now_ms()) {
            Ok(_) => {
                self.has_complained = false;
                self.owed_credit = self.owed_credit.saturating_add(u32::try_from(records.len()).unwrap_or(u32::MAX));
                self.events.push_back(Event::Appended { end: self.writer.log_end_offset() });
            }
            Err(error) => {
                self.mind(&error);
                if !std::mem::replace(&mut self.has_complained, true) {
                    tracing::error!(
                        partition = %self.partition.name(),
                        %error,
                        "what the leader sent could not be appended; trying again"
                    );
                }
                self.log_failed();
            }
        }
    }

    fn log_was_cut(&mut self, cut: Result<(), LogError>) {
        self.partition.waiters().look_again();
        match cut {
            Ok(()) => self.events.push_back(Event::Truncated { ends: self.ends() }),
            Err(error) => {
                self.note(Err(error), "truncation");
                self.log_failed();
            }
        }
    }

    fn log_failed(&mut self) {
        self.is_restless = true;
        self.events.push_back(Event::LogFailed { ends: self.ends() });
    }

    /// An unclean election took back what was committed.
    fn tell_loss(&self, to: Offset, below_high_watermark: bool) {
        if below_high_watermark {
            tracing::warn!(
                partition = %self.partition.name(),
                high_watermark = self.partition.high_watermark(),
                to,
                "truncating below the high watermark: the leader lacks records that were acknowledged"
            );
        }
    }

    /// Has what was appended fsynced, unless that is under way.
    pub(super) fn begin_flush(&mut self) {
        if self.is_flushing || !take(&mut self.wants_flush) {
            return;
        }
        match self.writer.begin_flush(now_ms()) {
            Ok(Some(ticket)) => {
                self.is_flushing = true;
                self.replication.flushers.run(&self.partition, ticket);
            }
            Ok(None) => self.tell_flushed(),
            Err(error) => self.flush_failed(error),
        }
    }

    /// A flush has run. Whatever it says, what counts is where the log stands now: it may have been cut since.
    pub(super) fn flushed(&mut self, flushed: Flushed) {
        self.is_flushing = false;
        match self.writer.flushed(flushed) {
            Ok(_) => self.tell_flushed(),
            Err(error) => self.flush_failed(error),
        }
    }

    fn tell_flushed(&mut self) {
        self.complaints.settle("flush");
        let end = self.partition.reader().recovery_point();
        self.feed(Event::Flushed { end }, Baggage::default());
    }

    /// Tried again with the next tick, unless the directory has failed.
    fn flush_failed(&mut self, error: LogError) {
        if !matches!(error, LogError::DirectoryOffline) {
            self.flushes_at_tick = true;
            self.want_tick();
        }
        self.note(Err(error), "flush");
    }

    fn end_stream(&mut self, follower: BrokerId, session: Session) {
        let link = self.replication.followers.link(follower);
        if let Some(at) = self.sendings.iter().position(|s| s.follower() == follower && s.session() == session) {
            let sending = self.sendings.swap_remove(at);
            sending.end();
            if let Some(link) = link {
                link.forget(&sending);
                link.tell_ended(sending.attachment());
            }
        } else if let (Some(link), Some(leader_epoch)) = (link, self.leads) {
            // It has ended before, and the follower does not know that perhaps.
            link.tell_ended(Attachment { partition: self.partition.id(), leader_epoch, session });
        }
    }

    /// Leads no more, follows no more.
    pub(super) fn let_go(&mut self) {
        for sending in take(&mut self.sendings) {
            sending.end();
            if let Some(link) = self.replication.followers.link(sending.follower()) {
                link.forget(&sending);
                link.tell_ended(sending.attachment());
            }
        }
        self.replica = None;
        self.starved = None;
        self.events.clear();
        self.stop_leading();
    }

    fn be_restless(&mut self) {
        self.is_restless = true;
        self.want_tick();
    }

    /// Has a tick come soon. In a failed directory nothing changes any more before the broker starts again.
    fn want_tick(&self) {
        if self.partition.reader().directory_state() != DirectoryState::Offline {
            self.replication.restless.add(&self.partition);
        }
    }

    /// Where the log stands.
    fn ends(&self) -> LogEnds {
        let (reader, end) = (self.partition.reader(), self.writer.log_end_offset());
        // A truncation that failed half-way may have left a log that ends before it starts; it takes nothing more.
        LogEnds { start: reader.log_start_offset().min(end), end, flushed: reader.recovery_point().min(end) }
    }
}
