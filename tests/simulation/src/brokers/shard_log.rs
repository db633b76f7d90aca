//! What a broker that leads the partition of a shard does for whoever owns it: append sessions behind the gate that ships, as
//! the product's actor has them, reading what is committed, and saying whether a session is the newest.

use std::collections::BTreeMap;

use levada_log::{AppendBatch, AppendError, Origin};
use levada_replication::Event;
use levada_shard::machine::{Opened, Outcome, RefusalReason};
use levada_shard::{AppendGate, AppendRefusal, AppendSession, AppendTicket};
use levada_types::{ErrorCode, LeaderEpoch, Offset};

use super::hosted::{Parked, WaitsFor};
use super::{Work, ends_of};
use crate::RuntimeDefect;
use crate::clients::fingerprint_of;
use crate::happening::Happening;
use crate::message::{Caller, Heard, Message, Party, ToLeader};
use crate::run::Failure;
use crate::universe::Universe;

/// Bytes that are read for a shard at once: some batches.
const PIECE_BYTES: usize = 400;

/// After how long a broker looks again whether its image is as new as an owner's.
const IMAGE_PAUSE_MS: i64 = 60;

/// What a leader keeps for owners of its shard.
pub(crate) struct ShardLog {
    pub(crate) gate: AppendGate,
    /// The epoch that it leads under, as far as the gate knows.
    leads: Option<LeaderEpoch>,
    /// By the number of their attempt.
    streams: BTreeMap<u64, OwnerStream>,
    reads: Vec<PendingRead>,
}

/// The appends of one attempt, and where they stand.
struct OwnerStream {
    caller: Caller,
    epoch: LeaderEpoch,
    session: AppendSession,
    /// Outcomes that wait for those before them.
    outcomes: BTreeMap<u64, Outcome>,
    next: u64,
    arrives_ms: i64,
    is_broken: bool,
}

struct PendingRead {
    caller: Caller,
    epoch: LeaderEpoch,
    from: Offset,
    /// `None` if it goes on as long as there is somebody who reads.
    to: Option<Offset>,
    arrives_ms: i64,
}

impl ShardLog {
    pub(super) fn new(rules: levada_shard::Rules) -> Self {
        Self { gate: AppendGate::new(rules), leads: None, streams: BTreeMap::new(), reads: Vec::new() }
    }
}

impl Universe {
    /// An owner, or who would take over, asks something.
    pub(super) fn asked_by_owner(&mut self, index: usize, word: ToLeader) -> Result<(), Failure> {
        if let ToLeader::Open { known_at, .. } = &word
            && self.brokers[index].image.offset() < *known_at
        {
            // Its image gets there, or the owner asks again.
            let Some(topic) = self.hosted_topic(Party::Broker(index)) else { return Ok(()) };
            let message = Box::new(Message::ToLeader { topic, word });
            let arrival = Happening::Arrival { from: Party::Operator, to: Party::Broker(index), message };
            self.after(IMAGE_PAUSE_MS, arrival);
            return Ok(());
        }
        if let ToLeader::Read { caller, epoch, from, to } = word {
            let read = PendingRead { caller, epoch, from, to, arrives_ms: self.now_ms };
            if let Some(hosted) = &mut self.brokers[index].hosted {
                hosted.shards.reads.push(read);
            }
            return self.serve_reads(index);
        }
        self.give_work(index, Work::Owner(word));
        Ok(())
    }

    /// The turn of what an owner asks has come.
    pub(super) fn work_for_owner(&mut self, index: usize, word: ToLeader) -> Result<(), Failure> {
        match word {
            ToLeader::Open { caller, epoch, .. } => {
                self.open_session(index, caller, epoch);
                Ok(())
            }
            ToLeader::Append { link, number, expected, records } => {
                let batch = AppendBatch { records };
                self.append_in_session(index, link, number, expected, &batch)
            }
            ToLeader::Confirm { caller, number, epoch, session } => {
                let now_ms = self.now_ms;
                let broker = &self.brokers[index];
                let is_newest = broker.mandate_until_ms.is_none_or(|until| now_ms < until)
                    && broker.hosted.as_ref().is_some_and(|hosted| {
                        hosted.replica.leading_epoch() == Some(epoch) && hosted.shards.gate.is_newest(epoch, session)
                    });
                let to = Party::Coordinator(caller.coordinator);
                self.send(Party::Broker(index), to, Message::Confirmed { number, is_newest });
                Ok(())
            }
            ToLeader::Read { .. } => Ok(()),
        }
    }

    fn open_session(&mut self, index: usize, caller: Caller, epoch: LeaderEpoch) {
        let session = AppendSession(self.fresh_number());
        let now_ms = self.now_ms;
        let Some(hosted) = &mut self.brokers[index].hosted else { return };
        let Some(epoch_start) = hosted.replica.epoch_start().filter(|_| hosted.replica.leading_epoch() == Some(epoch))
        else {
            return self.lose_link(caller.coordinator, caller.link, false);
        };
        hosted.shards.gate.open(epoch, session);
        let ends = ends_of(&hosted.reader);
        let opened = Opened { session, start: ends.start, end: ends.end, epoch_start };
        let (outcomes, next, arrives_ms, is_broken) = (BTreeMap::new(), 0, now_ms, false);
        let stream = OwnerStream { caller, epoch, session, outcomes, next, arrives_ms, is_broken };
        hosted.shards.streams.insert(caller.link, stream);
        self.tell_owner(index, caller.link, Heard::Opened(opened));
    }

    fn append_in_session(
        &mut self,
        index: usize,
        link: u64,
        number: u64,
        expected: Offset,
        batch: &AppendBatch,
    ) -> Result<(), Failure> {
        let now_ms = self.now_ms;
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let Some(stream) = hosted.shards.streams.get(&link) else { return Ok(()) };
        let (epoch, session, owner) = (stream.epoch, stream.session, stream.caller.owner);
        let refused = |reason, code| Outcome::Refused(reason, code);
        if hosted.replica.leading_epoch() != Some(epoch) {
            let outcome = refused(RefusalReason::Session, ErrorCode::FencedLeaderEpoch);
            return self.came_to(index, link, number, outcome);
        }
        let ticket = AppendTicket { epoch, session, expected };
        if let Err(refusal) = hosted.shards.gate.admit(ticket, hosted.reader.log_end_offset()) {
            let reason = match refusal {
                AppendRefusal::Session => RefusalReason::Session,
                AppendRefusal::Offset => RefusalReason::Offset,
            };
            return self.came_to(index, link, number, refused(reason, ErrorCode::InvalidRequest));
        }
        if let Err(refusal) = hosted.replica.admit(true) {
            return self.came_to(index, link, number, refused(RefusalReason::NotTaken, refusal.code()));
        }
        let appended = hosted.writer.append(std::slice::from_ref(batch), epoch, Origin::Coordinator, now_ms).pop();
        let info = match appended {
            Some(Ok(info)) => info,
            Some(Err(error)) => {
                let outcome = match &error {
                    AppendError::NotFlushed(_) | AppendError::Closed => Outcome::Unknown,
                    _ => refused(RefusalReason::NotTaken, error.code()),
                };
                self.came_to(index, link, number, outcome)?;
                self.mind(index, &error.into());
                return Ok(());
            }
            None => return Ok(()),
        };
        self.commits.appended(epoch, owner)?;
        let end = info.last_offset + 1;
        self.tell(index, Event::Appended { end })?;
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let is_hasty = self.rules.runtime == Some(RuntimeDefect::CommittedWhenAppended);
        if end <= hosted.replica.high_watermark() || is_hasty {
            return self.came_to(index, link, number, Outcome::Committed(info.base_offset));
        }
        let fingerprint = fingerprint_of(&batch.records);
        let waits = WaitsFor::Owner { link, number };
        hosted.parked.push(Parked { end, base: info.base_offset, waits, fingerprint });
        self.tell(index, Event::Awaited { end })
    }

    /// An append has come to an end; its owner hears of the appends of a session in their order.
    pub(super) fn came_to(&mut self, index: usize, link: u64, number: u64, outcome: Outcome) -> Result<(), Failure> {
        let hosted = self.brokers[index].hosted.as_mut();
        let Some(stream) = hosted.and_then(|hosted| hosted.shards.streams.get_mut(&link)) else { return Ok(()) };
        stream.outcomes.insert(number, outcome);
        let mut ready = Vec::new();
        while let Some(outcome) = stream.outcomes.remove(&stream.next) {
            ready.push((stream.next, outcome));
            stream.next += 1;
        }
        for (number, outcome) in ready {
            self.tell_owner(index, link, Heard::Outcome { number, outcome });
        }
        Ok(())
    }

    /// Says something on the stream of an attempt, unless it is broken.
    fn tell_owner(&mut self, index: usize, link: u64, heard: Heard) {
        let hosted = self.brokers[index].hosted.as_ref();
        let Some(stream) = hosted.and_then(|h| h.shards.streams.get(&link)).filter(|s| !s.is_broken) else { return };
        let (caller, last_ms) = (stream.caller, stream.arrives_ms);
        let (from, to) = (Party::Broker(index), Party::Coordinator(caller.coordinator));
        let sent = self.send_in_order(from, to, Message::Heard { link, heard }, last_ms);
        let hosted = self.brokers[index].hosted.as_mut();
        let Some(stream) = hosted.and_then(|hosted| hosted.shards.streams.get_mut(&link)) else { return };
        match sent {
            Some(arrives_ms) => stream.arrives_ms = arrives_ms,
            None => {
                stream.is_broken = true;
                let is_silent = self.one_in(2);
                self.lose_link(caller.coordinator, link, is_silent);
            }
        }
    }

    /// Sends what is committed to those who wait for it.
    pub(super) fn serve_reads(&mut self, index: usize) -> Result<(), Failure> {
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        for read in std::mem::take(&mut hosted.shards.reads) {
            if let Some(read) = self.serve_read(index, read)?
                && let Some(hosted) = &mut self.brokers[index].hosted
            {
                hosted.shards.reads.push(read);
            }
        }
        Ok(())
    }

    /// Serves one read; gives back what is left of it.
    fn serve_read(&mut self, index: usize, mut read: PendingRead) -> Result<Option<PendingRead>, Failure> {
        let Some(hosted) = &self.brokers[index].hosted else { return Ok(None) };
        let PendingRead { caller, epoch, to, .. } = read;
        if hosted.replica.leading_epoch() != Some(epoch) {
            self.lose_link(caller.coordinator, caller.link, false);
            return Ok(None);
        }
        let high_watermark = hosted.replica.high_watermark();
        if to.is_some_and(|to| high_watermark < to) {
            return Ok(Some(read));
        }
        let to = to.unwrap_or(high_watermark);
        let mut pieces = Vec::new();
        read.from = read.from.max(hosted.reader.log_start_offset());
        while read.from < to {
            let Ok(found) = hosted.reader.read(read.from, PIECE_BYTES, to, true) else {
                self.lose_link(caller.coordinator, caller.link, false);
                return Ok(None);
            };
            let bytes = found.slice.to_bytes().map_err(|error| Failure::Stuck(error.to_string()))?;
            if found.next_offset <= read.from {
                break;
            }
            read.from = found.next_offset;
            pieces.push(Heard::Read(bytes));
        }
        pieces.extend(read.to.map(|_| Heard::ReadEnded));
        let (from, owner) = (Party::Broker(index), Party::Coordinator(caller.coordinator));
        for heard in pieces {
            let message = Message::Heard { link: caller.link, heard };
            match self.send_in_order(from, owner, message, read.arrives_ms) {
                Some(arrives_ms) => read.arrives_ms = arrives_ms,
                None => {
                    self.lose_link(caller.coordinator, caller.link, false);
                    return Ok(None);
                }
            }
        }
        Ok(read.to.is_none().then_some(read))
    }

    /// Whoever appended under another leader epoch than the present one comes to know nothing any more.
    pub(super) fn mind_gate(&mut self, index: usize) -> Result<(), Failure> {
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let leads = hosted.replica.leading_epoch();
        if hosted.shards.leads == leads {
            return Ok(());
        }
        hosted.shards.leads = leads;
        hosted.shards.gate.close();
        self.fail_parked(index, ErrorCode::NotLeaderOrFollower)
    }
}
