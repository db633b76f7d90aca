//! How a broker runs its replica: tells it what happens, and does what it wants done to the log and on the network.

use std::collections::VecDeque;

use bytes::Bytes;
use levada_log::{AppendError, LogReader, LogWriter};
use levada_metadata::{Command, IsrProposal, LeaderRecovery};
use levada_replication::{Due, Effect, EpochEnd, EpochHistory, Event, LogEnds, Proposal, Replica, SendWindow};
use levada_types::{BrokerId, LeaderEpoch, Offset};

use crate::happening::{Happening, Message, Party};
use crate::run::Failure;
use crate::universe::Universe;

/// How long a proposal waits for its answer.
const PROPOSAL_MS: i64 = 800;

/// Bytes of records that a follower lets come before it has appended them.
const CREDIT: usize = 2_000;

/// Bytes of records in one frame: some batches.
const FRAME_BYTES: usize = 300;

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

pub(crate) fn ends_of(reader: &LogReader) -> LogEnds {
    let (start, end) = (reader.log_start_offset(), reader.log_end_offset());
    LogEnds { start, end, flushed: reader.recovery_point().clamp(start, end) }
}

impl Universe {
    /// Hands an event to a broker's replica, does what it wants done, and looks at the world.
    pub(crate) fn tell(&mut self, index: usize, event: Event, records: &Bytes) -> Result<(), Failure> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now_ms = self.now_ms;
            let broker = &mut self.brokers[index];
            let (Some(replica), Some((_, reader))) = (&mut broker.replica, &broker.log) else { return Ok(()) };
            let mut effects = Vec::new();
            let told = (event != Event::Tick).then(|| format!("broker {index} <- {event:?}"));
            replica.handle(event, now_ms, &LogEpochs(reader), &mut effects);
            if let Some(told) = told {
                self.note(|| told);
            }
            let mut acknowledged = None;
            for effect in effects {
                self.note(|| format!("broker {index} -> {effect:?}"));
                if let Effect::Acknowledge { end } = effect {
                    acknowledged = Some((self.brokers[index].id, end));
                    self.acknowledged += 1;
                }
                events.extend(self.carry_out(index, effect, records));
            }
            self.look(acknowledged)?;
        }
        self.pump(index)
    }

    fn carry_out(&mut self, index: usize, effect: Effect, records: &Bytes) -> Option<Event> {
        let me = Party::Broker(index);
        match effect {
            Effect::Append { .. }
            | Effect::Truncate { .. }
            | Effect::StartAt { .. }
            | Effect::AdvanceLogStart { .. } => self.change_log(index, &effect, records),
            Effect::Flush => {
                let broker = &mut self.brokers[index];
                if !std::mem::replace(&mut broker.flush_is_due, true) {
                    let life = broker.life;
                    let delay = self.between(1, 12);
                    self.after(delay, Happening::Flush { broker: index, life });
                }
                None
            }
            Effect::Propose(proposal) => {
                self.send_proposal(index, proposal);
                None
            }
            Effect::Answer { follower, answer } => {
                self.send(me, self.party(follower), Message::Answer(answer));
                None
            }
            Effect::StartStream { follower, session, from, .. } => {
                let broker = &mut self.brokers[index];
                if let Some(epoch) = broker.replica.as_ref().and_then(Replica::leading_epoch) {
                    broker.streams.insert(follower, SendWindow::new(epoch, session, from, CREDIT));
                }
                None
            }
            Effect::EndStream { follower, session } => {
                let broker = &mut self.brokers[index];
                broker.streams.retain(|_, window| window.session() != session);
                if let Some(epoch) = broker.replica.as_ref().and_then(Replica::leading_epoch) {
                    self.send(me, self.party(follower), Message::Detached(epoch, session));
                }
                None
            }
            Effect::Attach { leader, attach } => {
                self.brokers[index].appended = 0;
                self.send(me, self.party(leader), Message::Attach(attach));
                None
            }
            Effect::Ack { leader, ack } => {
                let granted = std::mem::take(&mut self.brokers[index].appended);
                self.send(me, self.party(leader), Message::Ack(ack, granted));
                None
            }
            Effect::Lead { .. }
            | Effect::Follow { .. }
            | Effect::Wait
            | Effect::HighWatermark { .. }
            | Effect::LowWatermark { .. }
            | Effect::Acknowledge { .. }
            | Effect::FailAwaited { .. } => None,
        }
    }

    fn change_log(&mut self, index: usize, effect: &Effect, records: &Bytes) -> Option<Event> {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[index];
        broker.is_news = true;
        let (writer, reader) = broker.log.as_mut()?;
        let done = match effect {
            Effect::Append { .. } => {
                broker.appended += records.len();
                append(writer, records, ends_of(reader), now_ms)
            }
            Effect::Truncate { to, .. } => writer.truncate_to(*to, now_ms).map_err(|e| e.to_string()).map(|_| ()),
            Effect::StartAt { offset, .. } => {
                writer.truncate_fully_and_start_at(*offset, now_ms).map_err(|error| error.to_string())
            }
            Effect::AdvanceLogStart { to } => writer.advance_log_start(*to).map_err(|e| e.to_string()).map(|_| ()),
            _ => return None,
        };
        let ends = ends_of(reader);
        if let Err(error) = done {
            self.note(|| format!("broker {index}: {error}"));
            return Some(Event::LogFailed { ends });
        }
        Some(match effect {
            Effect::Append { .. } => Event::Appended { end: ends.end },
            Effect::AdvanceLogStart { .. } => Event::LogStartMoved { start: ends.start },
            _ => Event::Truncated { ends },
        })
    }

    fn send_proposal(&mut self, index: usize, proposal: Proposal) {
        let Some(at) = self.partition() else { return };
        let broker = &mut self.brokers[index];
        let partitions = vec![IsrProposal {
            topic: at.topic_id,
            partition: at.partition,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            isr: proposal.isr.clone(),
            incomplete: proposal.incomplete.clone(),
            recovery: LeaderRecovery::Recovered,
        }];
        let command = Command::AlterPartition { broker: broker.id, epoch: broker.last_epoch, partitions };
        self.next_number += 1;
        let (number, life, id) = (self.next_number, broker.life, proposal.id);
        broker.asked.insert(number, id);
        broker.proposals.push(proposal);
        self.send(Party::Broker(index), Party::Controller(self.raft.leader), Message::Submit { number, command });
        self.after(PROPOSAL_MS, Happening::ProposalTimeout { broker: index, life, proposal: id });
    }

    /// Sends what is due on every stream of a leader.
    fn pump(&mut self, index: usize) -> Result<(), Failure> {
        let followers: Vec<BrokerId> = self.brokers[index].streams.keys().copied().collect();
        for follower in followers {
            while let Some(message) = self.due(index, follower)? {
                self.send(Party::Broker(index), self.party(follower), message);
            }
        }
        Ok(())
    }

    fn due(&mut self, index: usize, follower: BrokerId) -> Result<Option<Message>, Failure> {
        let broker = &mut self.brokers[index];
        let (Some(replica), Some((_, reader))) = (&broker.replica, &broker.log) else { return Ok(None) };
        let (ends, high_watermark) = (ends_of(reader), replica.high_watermark());
        let Some(window) = broker.streams.get_mut(&follower) else { return Ok(None) };
        match window.due(ends, high_watermark) {
            Due::Nothing => Ok(None),
            Due::Marks => {
                let frame = window.frame(window.next(), 0, high_watermark, ends.start);
                Ok(Some(Message::Frame(frame, Bytes::new())))
            }
            Due::Records { from, max_bytes } => {
                let read = reader.read(from, max_bytes.min(FRAME_BYTES), Offset::MAX, true);
                let read = read.map_err(|error| Failure::Stuck(error.to_string()))?;
                let records = read.slice.to_bytes().map_err(|error| Failure::Stuck(error.to_string()))?;
                let frame = window.frame(read.next_offset, records.len(), high_watermark, ends.start);
                Ok(Some(Message::Frame(frame, records)))
            }
            Due::Gone => {
                let session = window.session();
                let epoch = replica.leading_epoch();
                broker.streams.remove(&follower);
                self.tell(index, Event::StreamEnded { follower, session }, &Bytes::new())?;
                Ok(epoch.map(|epoch| Message::Detached(epoch, session)))
            }
        }
    }

    pub(crate) fn party(&self, id: BrokerId) -> Party {
        Party::Broker(self.brokers.iter().position(|broker| broker.id == id).unwrap_or(usize::MAX))
    }
}

/// Appends what a leader sent. Where the leader's log starts within a batch, a follower's that begins anew starts with
/// that batch, as Kafka's does; what lies before the start stays deleted.
fn append(writer: &mut LogWriter, records: &Bytes, ends: LogEnds, now_ms: i64) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    match writer.append_as_follower(records, now_ms) {
        Ok(_) => Ok(()),
        Err(AppendError::UnexpectedOffset { expected, found }) if ends.start == ends.end && found < expected => {
            writer.truncate_fully_and_start_at(found, now_ms).map_err(|error| text(&error))?;
            writer.append_as_follower(records, now_ms).map_err(|error| text(&error))?;
            writer.advance_log_start(expected).map_err(|error| text(&error))?;
            Ok(())
        }
        Err(error) => Err(text(&error)),
    }
}
