//! How a broker runs its replica: tells it what happens, and does what it wants done.

use std::collections::VecDeque;

use bytes::Bytes;
use levada_log::LogReader;
use levada_metadata::{Command, IsrProposal, ItemError, LeaderRecovery, Response, SubmitError};
use levada_replication::{
    Effect, EpochEnd, EpochHistory, Event, Proposal, ProposalAnswer, ProposalId, Replica, SendWindow,
};
use levada_types::{ErrorCode, LeaderEpoch};

use super::Work;
use crate::happening::{Happening, Hosting};
use crate::message::{Message, Party, Word};
use crate::run::Failure;
use crate::universe::Universe;

/// How long a proposal waits for its answer.
const PROPOSAL_MS: i64 = 800;

/// Bytes of records that a follower lets come before it has appended them.
const CREDIT: usize = 2_000;

/// The leader epochs of a log.
struct LogEpochs<'a>(&'a LogReader);

impl EpochHistory for LogEpochs<'_> {
    fn latest(&self) -> Option<LeaderEpoch> {
        self.0.latest_epoch()
    }

    fn floor(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let asked = self.0.latest_epoch()?.min(epoch);
        let end = self.0.end_offset_for_epoch(asked)?;
        Some(EpochEnd { epoch: end.epoch, end_offset: end.end_offset })
    }
}

impl Universe {
    /// Hands an event to a broker's replica, does what it wants done, and looks at the world.
    pub(crate) fn tell(&mut self, index: usize, event: Event) -> Result<(), Failure> {
        self.tell_with(index, event, &Bytes::new())
    }

    /// As [`Self::tell`], with the records that a frame brings.
    pub(super) fn tell_with(&mut self, index: usize, event: Event, records: &Bytes) -> Result<(), Failure> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now_ms = self.now_ms;
            let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
            let mut effects = Vec::new();
            let told = (event != Event::Tick).then(|| format!("broker {index} <- {event:?}"));
            hosted.replica.handle(event, now_ms, &LogEpochs(&hosted.reader), &mut effects);
            if let Some(told) = told {
                self.note(|| told);
            }
            let mut acknowledged = None;
            for effect in effects {
                self.note(|| format!("broker {index} -> {effect:?}"));
                if let Effect::Acknowledge { end } = effect {
                    acknowledged = Some((self.brokers[index].id, end));
                }
                events.extend(self.carry_out(index, effect, records)?);
            }
            if self.settings.of_shards {
                self.mind_gate(index)?;
            }
            self.look(acknowledged)?;
            if let Some((_, end)) = acknowledged {
                self.answer_parked(index, end)?;
            }
        }
        if self.settings.of_shards {
            self.serve_reads(index)?;
        }
        self.pump(index)
    }

    fn carry_out(&mut self, index: usize, effect: Effect, records: &Bytes) -> Result<Option<Event>, Failure> {
        let me = Party::Broker(index);
        match effect {
            Effect::Append { .. }
            | Effect::Truncate { .. }
            | Effect::StartAt { .. }
            | Effect::AdvanceLogStart { .. } => self.give_work(index, Work::Change(effect, records.clone())),
            Effect::Flush => return Ok(self.begin_flush(index)),
            Effect::Propose(proposal) => self.send_proposal(index, proposal),
            Effect::Answer { follower, answer } => self.send_word(me, self.party(follower), Word::Answer(answer)),
            Effect::StartStream { follower, session, from, .. } => {
                let Some(hosted) = self.brokers[index].hosted.as_mut() else { return Ok(None) };
                let Some(epoch) = hosted.replica.leading_epoch() else { return Ok(None) };
                hosted.streams.insert(follower, SendWindow::new(epoch, session, from, CREDIT));
            }
            Effect::EndStream { follower, session } => {
                let Some(hosted) = self.brokers[index].hosted.as_mut() else { return Ok(None) };
                hosted.streams.retain(|_, window| window.session() != session);
                let Some(epoch) = hosted.replica.leading_epoch() else { return Ok(None) };
                self.send_word(me, self.party(follower), Word::Detached(epoch, session));
            }
            Effect::Attach { leader, attach } => {
                let Some(hosted) = self.brokers[index].hosted.as_mut() else { return Ok(None) };
                hosted.appended = 0;
                self.send_word(me, self.party(leader), Word::Attach(attach));
            }
            Effect::Ack { leader, ack } => {
                let Some(hosted) = self.brokers[index].hosted.as_mut() else { return Ok(None) };
                let granted = std::mem::take(&mut hosted.appended);
                self.send_ack_past_ambush(index, self.party(leader), Word::Ack(ack, granted));
            }
            Effect::FailAwaited { code } => self.fail_parked(index, code)?,
            Effect::Lead { .. }
            | Effect::Follow { .. }
            | Effect::Wait
            | Effect::HighWatermark { .. }
            | Effect::LowWatermark { .. }
            | Effect::Acknowledge { .. } => {}
        }
        Ok(None)
    }

    fn send_proposal(&mut self, index: usize, proposal: Proposal) {
        let number = self.fresh_number();
        let broker = &mut self.brokers[index];
        let Some(hosted) = &mut broker.hosted else { return };
        let partitions = vec![IsrProposal {
            topic: hosted.topic,
            partition: 0,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr.clone(),
            incomplete: proposal.incomplete.clone(),
            recovery: LeaderRecovery::Recovered,
        }];
        let command = Command::AlterPartition { broker: broker.id, epoch: broker.last_epoch, partitions };
        let (at, id) = (Hosting { broker: index, number: hosted.number }, proposal.id);
        let shown = hosted.shown.as_ref();
        let entrant = proposal.isr.iter().find(|m| shown.is_some_and(|view| view.member(m.broker).is_none()));
        let entrant = entrant.map(|member| member.broker);
        hosted.asked.insert(number, id);
        hosted.proposals.push(proposal);
        self.send_proposal_past_ambush(index, entrant, Message::Submit { number, command });
        self.after(PROPOSAL_MS, Happening::ProposalTimeout { at, proposal: id });
    }

    /// The controller has answered a command of a broker. Of its proposals alone the answer says something.
    pub(super) fn answered(
        &mut self,
        index: usize,
        number: u64,
        result: &Result<Response, SubmitError>,
    ) -> Result<(), Failure> {
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let Some(id) = hosted.asked.remove(&number) else { return Ok(()) };
        let answer = match result {
            Ok(Response::AlterPartition(Ok(items))) => match items.first() {
                Some(Ok(altered)) => ProposalAnswer::Committed { partition_epoch: altered.partition_epoch },
                Some(Err(refused)) => refusal(refused),
                None => ProposalAnswer::Unknown,
            },
            Ok(Response::AlterPartition(Err(refused))) => refusal(refused),
            Err(SubmitError::NotActive | SubmitError::Busy) => ProposalAnswer::NotApplied,
            Ok(_) | Err(SubmitError::Unknown) => ProposalAnswer::Unknown,
        };
        if answer == ProposalAnswer::NotApplied {
            hosted.proposals.retain(|proposal| proposal.id != id);
        }
        self.tell(index, Event::ProposalAnswered { id, answer })
    }

    pub(crate) fn proposal_timeout(&mut self, at: Hosting, id: ProposalId) -> Result<(), Failure> {
        if !self.is_hosted(at) {
            return Ok(());
        }
        let Some(hosted) = &mut self.brokers[at.broker].hosted else { return Ok(()) };
        let waiting = hosted.asked.len();
        hosted.asked.retain(|_, asked| *asked != id);
        if hosted.asked.len() == waiting {
            return Ok(());
        }
        let answer = ProposalAnswer::Unknown;
        self.tell(at.broker, Event::ProposalAnswered { id, answer })
    }

    /// Whether this opening of a replica is still the present one.
    pub(super) fn is_hosted(&self, at: Hosting) -> bool {
        self.brokers[at.broker].hosted.as_ref().is_some_and(|hosted| hosted.number == at.number)
    }

    /// Whether broker `index` thinks that it leads.
    pub(crate) fn leads(&self, index: usize) -> bool {
        self.brokers[index].hosted.as_ref().map(|hosted| &hosted.replica).is_some_and(Replica::is_leader)
    }
}

fn refusal(refused: &ItemError) -> ProposalAnswer {
    match refused.code {
        ErrorCode::FencedLeaderEpoch
        | ErrorCode::InvalidUpdateVersion
        | ErrorCode::NewLeaderElected
        | ErrorCode::StaleBrokerEpoch
        | ErrorCode::UnknownTopicId
        | ErrorCode::UnknownTopicOrPartition => ProposalAnswer::Stale,
        _ => ProposalAnswer::NotApplied,
    }
}
