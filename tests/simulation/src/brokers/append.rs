//! What producers ask of a broker: appended by who leads, answered when it may be.

use levada_log::{AppendBatch, Origin};
use levada_replication::Event;
use levada_shard::machine::Outcome;
use levada_types::{ErrorCode, Offset};

use super::hosted::{Parked, WaitsFor};
use crate::clients::fingerprint_of;
use crate::message::{Acks, Message, Party, Request};
use crate::run::Failure;
use crate::universe::Universe;

impl Universe {
    /// Appends a producer's batch, if this broker leads and may take it.
    pub(super) fn append(&mut self, index: usize, request: &Request) -> Result<(), Failure> {
        let now_ms = self.now_ms;
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let epoch = match hosted.replica.admit(request.acks == Acks::All) {
            Ok(epoch) => epoch,
            Err(refusal) => return self.answer(index, request, Err(refusal.code())),
        };
        let batch = AppendBatch { records: request.records.clone() };
        let info = match hosted.writer.append(&[batch], epoch, Origin::Client, now_ms).pop() {
            Some(Ok(info)) => info,
            Some(Err(error)) => {
                self.answer(index, request, Err(error.code()))?;
                self.mind(index, &error.into());
                return Ok(());
            }
            None => return Ok(()),
        };
        if !info.duplicate {
            self.tell(index, Event::Appended { end: info.last_offset + 1 })?;
        }
        match request.acks {
            Acks::None => Ok(()),
            Acks::Leader => self.answer(index, request, Ok(info.base_offset)),
            Acks::All => self.park(index, request, info.base_offset, info.last_offset + 1),
        }
    }

    /// Answers when everything below `end` is committed; a duplicate waits for its original.
    fn park(&mut self, index: usize, request: &Request, base: Offset, end: Offset) -> Result<(), Failure> {
        let Some(hosted) = &mut self.brokers[index].hosted else { return Ok(()) };
        let fingerprint = fingerprint_of(&request.records);
        let waits = WaitsFor::Producer { producer: request.producer, number: request.number };
        hosted.parked.push(Parked { end, base, waits, fingerprint });
        self.tell(index, Event::Awaited { end })
    }

    fn answer(&mut self, index: usize, request: &Request, result: Result<Offset, ErrorCode>) -> Result<(), Failure> {
        if request.acks != Acks::None {
            let message = Message::Produced { number: request.number, result };
            self.send(Party::Broker(index), Party::Producer(request.producer), message);
        }
        Ok(())
    }

    /// Everything below `end` may be acknowledged, which is held against what is committed.
    pub(super) fn answer_parked(&mut self, index: usize, end: Offset) -> Result<(), Failure> {
        let broker = &mut self.brokers[index];
        let Some(hosted) = &mut broker.hosted else { return Ok(()) };
        let (ready, parked) = std::mem::take(&mut hosted.parked).into_iter().partition(|p: &Parked| p.end <= end);
        hosted.parked = parked;
        let topic = self.topic.as_mut().filter(|topic| topic.at.topic_id == hosted.topic && !broker.is_of_the_past);
        if let Some(topic) = topic {
            for answer in &ready {
                topic.history.acknowledged(topic.checker.committed(), answer.base, answer.fingerprint)?;
            }
        }
        ready.into_iter().try_for_each(|answer| self.answer_waiting(index, answer.waits, Ok(answer.base)))
    }

    pub(super) fn fail_parked(&mut self, index: usize, code: ErrorCode) -> Result<(), Failure> {
        let hosted = self.brokers[index].hosted.as_mut();
        let parked = hosted.map(|hosted| std::mem::take(&mut hosted.parked)).unwrap_or_default();
        parked.into_iter().try_for_each(|answer| self.answer_waiting(index, answer.waits, Err(code)))
    }

    fn answer_waiting(
        &mut self,
        index: usize,
        waits: WaitsFor,
        result: Result<Offset, ErrorCode>,
    ) -> Result<(), Failure> {
        match waits {
            WaitsFor::Producer { producer, number } => {
                self.send(Party::Broker(index), Party::Producer(producer), Message::Produced { number, result });
                Ok(())
            }
            // Nobody knows what becomes of what is in the log.
            WaitsFor::Owner { link, number } => {
                self.came_to(index, link, number, result.map_or(Outcome::Unknown, Outcome::Committed))
            }
        }
    }

    /// A client deletes the oldest third of what is committed.
    pub(super) fn delete_records(&mut self, index: usize) -> Result<(), Failure> {
        let Some(hosted) = self.brokers[index].hosted.as_mut().filter(|h| h.replica.is_leader()) else {
            return Ok(());
        };
        let start = hosted.reader.log_start_offset();
        let to = start + (hosted.replica.high_watermark() - start) / 3;
        match hosted.writer.advance_log_start(to) {
            Ok(start) => self.tell(index, Event::LogStartMoved { start }),
            Err(_) => Ok(()),
        }
    }
}
