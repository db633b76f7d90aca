//! A producer: one batch under way, sent again and again if it is idempotent.

use bytes::Bytes;
use levada_records::{BatchBuilder, BatchHeader, Compression};
use levada_types::{ErrorCode, Offset, ProducerId, Sequence};

use crate::happening::Happening;
use crate::history::Made;
use crate::message::{Acks, Message, Party, Request};
use crate::universe::Universe;

/// After how long without an answer a producer sends again, or gives up.
const TIMEOUT_MS: i64 = 400;

/// What its records say of the time; they are never deleted for their age.
const MAX_RECORDS: i64 = 3;

pub(crate) struct Producer {
    acks: Acks,
    is_idempotent: bool,
    /// Its id, once it has one.
    id: Option<ProducerId>,
    next: Sequence,
    pending: Option<Pending>,
}

/// A batch without an answer.
struct Pending {
    records: Bytes,
    count: i32,
    /// The last attempt.
    number: u64,
    sent_ms: i64,
}

impl Producer {
    pub(crate) fn new(acks: Acks, is_idempotent: bool) -> Self {
        Self { acks, is_idempotent, id: None, next: 0, pending: None }
    }

    /// Forgets what is under way, and comes back as another producer.
    pub(crate) fn begin_anew(&mut self) {
        (self.id, self.next, self.pending) = (None, 0, None);
    }

    /// Whether a promise is open.
    pub(crate) fn waits(&self) -> bool {
        self.pending.is_some() && self.is_idempotent
    }
}

impl Universe {
    /// A producer makes a batch, or goes on with the one that it has.
    pub(crate) fn produce(&mut self, index: usize) {
        let delay = self.between(20, 250);
        self.after(delay, Happening::Produce { producer: index });
        let producer = &mut self.producers[index];
        if producer.pending.as_ref().is_some_and(|p| self.now_ms - p.sent_ms <= TIMEOUT_MS) {
            return;
        }
        if !producer.is_idempotent {
            producer.pending = None;
        }
        if producer.pending.is_none() && (self.quiet || !self.make_batch(index)) {
            return;
        }
        self.send_batch(index);
    }

    /// Makes the next batch of a producer.
    fn make_batch(&mut self, index: usize) -> bool {
        let count = self.between(1, MAX_RECORDS) as i32;
        let id = self.producers[index].id.unwrap_or_else(|| self.fresh_number() as ProducerId);
        let mut builder = BatchBuilder::new();
        if self.producers[index].is_idempotent {
            builder.set_producer(id, 0, self.producers[index].next);
        }
        for _ in 0..count {
            let value = self.fresh_value();
            if builder.append(self.now_ms, None, Some(value.as_bytes()), &[]).is_err() {
                return false;
            }
        }
        let Ok(records) = builder.build(Compression::None, None) else { return false };
        let producer = &mut self.producers[index];
        if let Some(topic) = self.topic.as_mut().filter(|_| producer.is_idempotent) {
            topic.history.made(fingerprint_of(&records), Made { producer: id, first: producer.next, count });
        }
        producer.id = Some(id);
        producer.pending = Some(Pending { records, count, number: 0, sent_ms: 0 });
        true
    }

    /// Sends the batch to one of those who think that they lead.
    fn send_batch(&mut self, index: usize) {
        let leads = |broker: &crate::brokers::Broker| broker.hosted.as_ref().is_some_and(|h| h.replica.is_leader());
        let leaders: Vec<usize> = (0..self.brokers.len()).filter(|at| leads(&self.brokers[*at])).collect();
        let Some(topic) = self.topic.as_ref().map(|topic| topic.at.topic_id).filter(|_| !leaders.is_empty()) else {
            return;
        };
        let to = leaders[self.below(leaders.len())];
        let number = self.fresh_number();
        let producer = &mut self.producers[index];
        let Some(pending) = &mut producer.pending else { return };
        (pending.number, pending.sent_ms) = (number, self.now_ms);
        let records = pending.records.clone();
        let request = Request { topic, producer: index, number, acks: producer.acks, records };
        if producer.acks == Acks::None {
            producer.pending = None;
        }
        self.send(Party::Producer(index), Party::Broker(to), Message::Produce(request));
    }

    /// A producer gets an answer. One to an earlier attempt says nothing.
    pub(crate) fn produced(&mut self, index: usize, number: u64, result: Result<Offset, ErrorCode>) {
        let producer = &mut self.producers[index];
        let Some(pending) = producer.pending.take_if(|pending| pending.number == number) else { return };
        match result {
            Ok(_) => {
                producer.next += pending.count;
                self.acknowledged += u64::from(producer.acks == Acks::All);
            }
            // What it builds on may be lost. If nothing is, it was told so by one who does not lead any more: again.
            Err(ErrorCode::OutOfOrderSequenceNumber) if self.topic.as_ref().is_some_and(|topic| topic.losses > 0) => {
                producer.begin_anew();
            }
            Err(_) if producer.is_idempotent => producer.pending = Some(Pending { sent_ms: 0, ..pending }),
            Err(_) => {}
        }
    }
}

/// What tells a batch from every other: no two records have the same value. It is the same wherever the batch lies.
pub(crate) fn fingerprint_of(records: &[u8]) -> u64 {
    BatchHeader::parse(records).map_or(0, |header| u64::from(header.crc))
}
