//! What a shard has decided and is not committed yet.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use levada_records::{BatchBuilder, BatchError, Compression};
use levada_types::{Offset, TimestampMs};

use super::Limits;
use crate::{Core, KeyValue, Token, TransactionalProducer, Write};

/// Room for what the encoding of a record takes beside its key and its value.
const RECORD_OVERHEAD: usize = 32;

/// One batch, and those who wait for it.
pub(super) struct Batch<C: Core> {
    /// The state from before the first thing that was decided in it. `None` if what comes before it, in another batch, was
    /// decided together with it: then there is no going back to before this one alone.
    pub(super) before: Option<C>,
    /// Requests from this one on are not known to `before`.
    pub(super) first: Token,
    /// The request that was decided, unless it was a tick. Its own answer may rest on a later batch, if it wrote several.
    pub(super) request: Option<Token>,
    /// Answers that rest on it.
    pub(super) parked: Vec<(Token, C::Response)>,
    producer: Option<TransactionalProducer>,
    records: Vec<KeyValue>,
    bytes: usize,
    pub(super) sent: Option<Sent>,
}

/// An append that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) expected: Offset,
    pub(super) at: TimestampMs,
}

/// The batches that are under way, in order: those that were sent, then those that wait for room.
pub(super) struct UnderWay<C: Core> {
    batches: VecDeque<Batch<C>>,
    sent: usize,
    /// The offset of the next batch that is sent.
    end: Offset,
    next_number: u64,
    bytes: usize,
}

impl<C: Core> UnderWay<C> {
    /// Nothing, in a log that ends at `end`.
    pub(super) fn none(end: Offset) -> Self {
        Self { batches: VecDeque::new(), sent: 0, end, next_number: 0, bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes of records that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest batch.
    pub(super) fn front(&self) -> Option<&Batch<C>> {
        self.batches.front()
    }

    /// The newest batch.
    pub(super) fn back_mut(&mut self) -> Option<&mut Batch<C>> {
        self.batches.back_mut()
    }

    /// The end of what is committed.
    pub(super) fn committed_end(&self) -> Offset {
        self.front().and_then(|batch| batch.sent).map_or(self.end, |sent| sent.expected)
    }

    /// Adds what was decided together about these requests, one or none, by a state of which `before` is the copy from before.
    pub(super) fn add(&mut self, writes: Vec<Write>, before: C, tokens: &Range<Token>, limits: &Limits) {
        let mut before = Some(before);
        for write in writes {
            let bytes = size_of_write(&write);
            self.bytes += bytes;
            let joins = self.batches.len() > self.sent
                && self.batches.back().is_some_and(|last| {
                    last.producer.is_none()
                        && write.producer.is_none()
                        && last.bytes.saturating_add(bytes) <= limits.max_batch_bytes
                });
            if joins && let Some(last) = self.batches.back_mut() {
                last.records.extend(write.records);
                last.bytes += bytes;
                before = None;
                continue;
            }
            self.batches.push_back(Batch {
                before: before.take(),
                first: tokens.start,
                request: (!tokens.is_empty()).then_some(tokens.start),
                parked: Vec::new(),
                producer: write.producer,
                records: write.records,
                bytes,
                sent: None,
            });
        }
    }

    /// The next batch to send, if there is one and room for it.
    ///
    /// # Errors
    /// [`BatchError`] if it cannot be encoded; it counts as sent.
    pub(super) fn next_to_send(
        &mut self,
        now: TimestampMs,
        limits: &Limits,
    ) -> Option<(Sent, Result<Bytes, BatchError>)> {
        if self.sent >= limits.appends_under_way {
            return None;
        }
        let batch = self.batches.get_mut(self.sent)?;
        let sent = Sent { number: self.next_number, expected: self.end, at: now };
        self.next_number += 1;
        self.sent += 1;
        self.end += Offset::try_from(batch.records.len()).unwrap_or(Offset::MAX);
        batch.sent = Some(sent);
        Some((sent, encode(batch.producer, &std::mem::take(&mut batch.records), batch.bytes)))
    }

    /// Takes the oldest batch, which is committed.
    pub(super) fn commit(&mut self) -> Option<Batch<C>> {
        let batch = self.batches.pop_front()?;
        self.sent = self.sent.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(batch.bytes);
        Some(batch)
    }

    /// Drops everything, and what is sent next is to lie at `end`.
    pub(super) fn set_back(&mut self, end: Offset) -> VecDeque<Batch<C>> {
        self.sent = 0;
        self.end = end;
        self.bytes = 0;
        std::mem::take(&mut self.batches)
    }
}

/// Bytes that a write takes in a batch, and no less.
pub(super) fn size_of_write(write: &Write) -> usize {
    let size = |record: &KeyValue| record.key.len() + record.value.as_ref().map_or(0, Bytes::len) + RECORD_OVERHEAD;
    write.records.iter().map(size).sum()
}

fn encode(producer: Option<TransactionalProducer>, records: &[KeyValue], bytes: usize) -> Result<Bytes, BatchError> {
    let mut builder = BatchBuilder::with_capacity(bytes);
    if let Some(TransactionalProducer { id, epoch }) = producer {
        builder.set_producer(id, epoch, -1).set_transactional(true);
    }
    for record in records {
        builder.append(record.timestamp, Some(&record.key), record.value.as_deref(), &[])?;
    }
    builder.build(Compression::None, None)
}
