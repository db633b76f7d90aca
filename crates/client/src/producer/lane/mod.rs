//! One partition's way from records to acknowledged batches. Pure: told the time, does no I/O.
//!
//! Records fill the open batch; sealed batches wait in `ready`, are sent in order, and stand in `in_flight` until they
//! are answered in order. When one fails and may be retried, nothing more is sent until everything in flight is
//! answered; then what failed goes back to the front of `ready`, in its order. So with idempotence the order of a
//! partition never changes, whatever is lost on the way.
//!
//! A batch that failed for good leaves a gap in the sequence numbers. The lane then asks for a new identity and numbers
//! what follows from 0. A batch that may have been appended is never renumbered: it fails with what was known last.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use levada_records::{BatchBuilder, BatchError, Header};
use levada_types::{ErrorCode, Sequence, TimestampMs, TopicId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::batch::{Batch, Identity};
use super::delivery::{Appended, Delivery, Outcome};
use super::options::LaneOptions;
use crate::ClientError;

#[cfg(test)]
mod tests;

/// Which partition a lane leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: TopicId,
    pub(super) partition: i32,
}

/// A record to append, borrowed from its owner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) timestamp_ms: TimestampMs,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: &'a [Header<'a>],
    /// About how many bytes it takes, for deciding whether it still fits.
    pub(super) size: usize,
}

/// What the owner of a lane has to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing but to go on.
    Continue,
    /// Look up the leader again before the lane is ready for the next attempt.
    RefreshMetadata,
}

/// The batch that records are being added to; the bytes are in the builder.
#[derive(Debug)]
struct Open {
    at: Instant,
    outcome: Outcome,
    resolve: oneshot::Sender<Result<Appended, ClientError>>,
    memory: Option<OwnedSemaphorePermit>,
    /// Sent without waiting for more records, because somebody flushes.
    due: bool,
}

/// One partition's lane.
#[derive(Debug)]
pub(super) struct Lane {
    destination: Destination,
    options: LaneOptions,
    builder: BatchBuilder,
    open: Option<Open>,
    ready: VecDeque<Batch>,
    in_flight: VecDeque<Batch>,
    /// Answered or lost with something to retry, in order.
    retry: VecDeque<Batch>,
    /// Something failed; nothing is sent until nothing is in flight.
    draining: bool,
    /// With idempotence: under whom batches are numbered.
    identity: Option<Identity>,
    next_sequence: Sequence,
    /// A batch failed for good, and what follows needs another identity. Holds why.
    gap: Option<ClientError>,
    /// Failures since the last success.
    attempts: u32,
    /// Nothing is sent before.
    not_before: Option<Instant>,
}

impl Lane {
    pub(super) fn new(destination: Destination, options: LaneOptions, identity: Option<Identity>) -> Self {
        Self {
            destination,
            options,
            builder: BatchBuilder::new(),
            open: None,
            ready: VecDeque::new(),
            in_flight: VecDeque::new(),
            retry: VecDeque::new(),
            draining: false,
            identity,
            next_sequence: 0,
            gap: None,
            attempts: 0,
            not_before: None,
        }
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether a batch has begun that more records can join.
    pub(super) fn has_open(&self) -> bool {
        self.open.is_some()
    }

    /// Adds a record. The second value says whether the owner should look whether something is to be sent.
    pub(super) fn append(
        &mut self,
        now: Instant,
        entry: Entry<'_>,
        memory: Option<OwnedSemaphorePermit>,
    ) -> Result<(Delivery, bool), ClientError> {
        let mut look = false;
        if !self.builder.is_empty() && self.builder.size_in_bytes() + entry.size > self.options.batch_size {
            self.seal()?;
            look = true;
        }
        self.builder
            .append(entry.timestamp_ms, entry.key, entry.value, entry.headers)
            .map_err(|error| unbuildable(&error))?;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                look = true;
                let (resolve, outcome) = oneshot::channel();
                self.open.insert(Open { at: now, outcome: outcome.shared(), resolve, memory: None, due: false })
            }
        };
        match (&mut open.memory, memory) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
        let delivery = Delivery::new(open.outcome.clone(), self.destination.partition, self.builder.len() - 1);
        if self.builder.size_in_bytes() >= self.options.batch_size {
            self.seal()?;
            look = true;
        }
        Ok((delivery, look))
    }

    /// Closes the open batch, if there is one: it is numbered and ready to be sent.
    fn seal(&mut self) -> Result<(), ClientError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let records = i32::try_from(self.builder.len()).unwrap_or(i32::MAX);
        if let Some(Identity { producer_id, producer_epoch }) = self.identity {
            self.builder.set_producer(producer_id, producer_epoch, self.next_sequence);
        }
        let (compression, level) = self.options.compression;
        let bytes = match self.builder.build(compression, level) {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = unbuildable(&error);
                let _ = open.resolve.send(Err(error.clone()));
                return Err(error);
            }
        };
        self.next_sequence = sequence_after(self.next_sequence, records);
        self.ready.push_back(Batch {
            bytes,
            records,
            opened_at: open.at,
            maybe_appended: false,
            outcome: open.outcome,
            resolve: open.resolve,
            _memory: open.memory,
        });
        Ok(())
    }

    /// Has the open batch sent without waiting for more records, and tells the outcomes of all that is under way.
    pub(super) fn flush(&mut self) -> Vec<Outcome> {
        if let Some(open) = &mut self.open {
            open.due = true;
        }
        let sealed = self.in_flight.iter().chain(&self.retry).chain(&self.ready).map(|batch| batch.outcome.clone());
        sealed.chain(self.open.as_ref().map(|open| open.outcome.clone())).collect()
    }

    /// The next batch to send now, which counts as in flight from here on.
    pub(super) fn next(&mut self, now: Instant) -> Option<Bytes> {
        if self.draining || self.gap.is_some() || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        if self.in_flight.len() >= self.options.max_in_flight {
            return None;
        }
        let linger = self.options.linger;
        if self.ready.is_empty() && self.open.as_ref().is_some_and(|open| open.due || now >= open.at + linger) {
            // A batch that cannot be built has told its records already.
            self.seal().ok()?;
        }
        let batch = self.ready.pop_front()?;
        let bytes = batch.bytes.clone();
        self.in_flight.push_back(batch);
        Some(bytes)
    }

    /// Whether there is something that could be sent if a leader is known.
    pub(super) fn wants_to_send(&self, now: Instant) -> bool {
        let blocked = self.draining
            || self.gap.is_some()
            || self.not_before.is_some_and(|at| now < at)
            || self.in_flight.len() >= self.options.max_in_flight;
        let linger = self.options.linger;
        let open_due = || self.open.as_ref().is_some_and(|open| open.due || now >= open.at + linger);
        !blocked && (!self.ready.is_empty() || open_due())
    }

    /// When the owner has to look again although nothing happened until then: for a batch that has lingered, a pause
    /// that is over, or something that waited too long.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let blocked = self.draining || self.gap.is_some() || self.in_flight.len() >= self.options.max_in_flight;
        let opened = self.open.as_ref().map(|open| open.at);
        let send = match self.not_before {
            _ if blocked || self.is_idle() => None,
            Some(pause) => Some(pause),
            None if self.ready.is_empty() => opened.map(|at| at + self.options.linger),
            None => None,
        };
        let oldest = self.ready.front().map(|batch| batch.opened_at).or(opened);
        let expiry = oldest.filter(|_| self.in_flight.is_empty()).map(|at| at + self.options.delivery_timeout);
        [send, expiry].into_iter().flatten().min()
    }

    /// No leader is known: nothing is sent for a while.
    pub(super) fn wait_for_leader(&mut self, now: Instant, pause: Duration) {
        self.attempts = self.attempts.saturating_add(1);
        self.not_before = Some(now + pause);
    }

    /// Whether batches are in flight.
    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether there is nothing that somebody waits for.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none() && self.ready.is_empty() && self.in_flight.is_empty() && self.retry.is_empty()
    }

    /// The answer to the oldest batch in flight.
    pub(super) fn answered(&mut self, now: Instant, pause: Duration, answer: Result<Appended, ClientError>) -> Next {
        let Some(batch) = self.in_flight.pop_front() else { return Next::Continue };
        let mut next = Next::Continue;
        match answer {
            Ok(appended) => {
                self.attempts = 0;
                batch.resolve(Ok(appended));
            }
            Err(error) if error.code() == ErrorCode::DuplicateSequenceNumber => {
                batch.resolve(Ok(Appended { base_offset: None, log_append_time_ms: None }));
            }
            Err(error) if self.is_consequence(&error) => self.retry.push_back(batch),
            Err(error) if self.may_retry(now, &batch, &error) => {
                if error.is_stale_metadata() {
                    next = Next::RefreshMetadata;
                }
                self.back_off(now, pause);
                self.retry
                    .push_back(Batch { maybe_appended: batch.maybe_appended || unknown_outcome(&error), ..batch });
            }
            Err(error) => {
                if self.identity.is_some() {
                    self.gap.get_or_insert_with(|| error.clone());
                    self.draining = true;
                }
                batch.resolve(Err(error));
            }
        }
        self.settle();
        next
    }

    /// The stream broke under everything that is in flight.
    pub(super) fn broken(&mut self, now: Instant, pause: Duration, error: &ClientError) {
        for batch in mem::take(&mut self.in_flight) {
            if self.may_retry(now, &batch, error) {
                self.retry.push_back(Batch { maybe_appended: true, ..batch });
            } else {
                if self.identity.is_some() {
                    self.gap.get_or_insert_with(|| error.clone());
                }
                batch.resolve(Err(error.clone()));
            }
        }
        self.back_off(now, pause);
        self.settle();
    }

    /// Takes note of the time: ends a pause that is over, and gives up what has waited longer than
    /// `delivery.timeout.ms` and is not in flight.
    pub(super) fn advance(&mut self, now: Instant) {
        self.not_before = self.not_before.filter(|at| now < *at);
        let limit = self.options.delivery_timeout;
        let timed_out = || ClientError::TimedOut { option: "delivery.timeout.ms", limit };
        let expired = |batch: &Batch| now >= batch.opened_at + limit;
        // Without anything in flight, so that no answer can still change what is given up here.
        if self.in_flight.is_empty() {
            while self.ready.front().is_some_and(expired) {
                if let Some(batch) = self.ready.pop_front() {
                    if self.identity.is_some() {
                        self.gap.get_or_insert_with(timed_out);
                    }
                    batch.resolve(Err(timed_out()));
                }
            }
        }
        if self.ready.is_empty()
            && self.in_flight.is_empty()
            && self.open.as_ref().is_some_and(|open| now >= open.at + limit)
            && let Some(open) = self.open.take()
        {
            self.builder = BatchBuilder::new();
            let _ = open.resolve.send(Err(timed_out()));
        }
        self.settle();
    }

    /// Fails everything, because the topic is gone or the producer is closed.
    pub(super) fn fail(&mut self, error: &ClientError) {
        let numbered = !(self.in_flight.is_empty() && self.retry.is_empty() && self.ready.is_empty());
        if numbered && self.identity.is_some() {
            self.gap.get_or_insert_with(|| error.clone());
        }
        let sealed = mem::take(&mut self.in_flight).into_iter().chain(mem::take(&mut self.retry));
        for batch in sealed.chain(mem::take(&mut self.ready)) {
            batch.resolve(Err(error.clone()));
        }
        if let Some(open) = self.open.take() {
            self.builder = BatchBuilder::new();
            let _ = open.resolve.send(Err(error.clone()));
        }
    }

    /// Whether the owner should get a new identity for [`Self::renew`].
    pub(super) fn needs_identity(&self) -> bool {
        self.gap.is_some() && self.in_flight.is_empty() && !self.is_idle()
    }

    /// Goes on under a new identity, from sequence 0.
    pub(super) fn renew(&mut self, identity: Identity) {
        self.gap = None;
        self.identity = Some(identity);
        self.next_sequence = 0;
        for batch in &mut self.ready {
            batch.renumber(identity, self.next_sequence);
            self.next_sequence = sequence_after(self.next_sequence, batch.records);
        }
    }

    /// A batch that is refused only because one before it was.
    fn is_consequence(&self, error: &ClientError) -> bool {
        let follows_a_failure = !self.retry.is_empty() || self.gap.is_some();
        self.identity.is_some() && follows_a_failure && error.code() == ErrorCode::OutOfOrderSequenceNumber
    }

    fn may_retry(&self, now: Instant, batch: &Batch, error: &ClientError) -> bool {
        error.retriable() && now < batch.opened_at + self.options.delivery_timeout
    }

    /// Something failed: nothing is sent until nothing is in flight, and for a while.
    fn back_off(&mut self, now: Instant, pause: Duration) {
        self.draining = true;
        self.wait_for_leader(now, pause);
    }

    /// How many times in a row something failed; for choosing the next pause.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Once nothing is in flight: puts what is to be retried back to the front.
    fn settle(&mut self) {
        if !self.in_flight.is_empty() {
            return;
        }
        self.draining = false;
        while let Some(batch) = self.retry.pop_back() {
            self.ready.push_front(batch);
        }
        // What may have been appended cannot get another number, and its old one follows a gap.
        if let Some(gap) = &self.gap {
            let (uncertain, certain) = mem::take(&mut self.ready).into_iter().partition(|batch| batch.maybe_appended);
            self.ready = certain;
            let uncertain: VecDeque<Batch> = uncertain;
            for batch in uncertain {
                batch.resolve(Err(gap.clone()));
            }
        }
    }
}

/// Errors with which the records may be there although the append failed.
fn unknown_outcome(error: &ClientError) -> bool {
    matches!(
        error.code(),
        ErrorCode::RequestTimedOut
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::NetworkException
            | ErrorCode::UnknownServerError
    )
}

fn unbuildable(error: &BatchError) -> ClientError {
    ClientError::Broker {
        code: error.code(),
        message: format!("the batch could not be built: {error}"),
        leader: None,
        partition: None,
    }
}

/// Sequences wrap from `i32::MAX` to 0.
fn sequence_after(base: Sequence, records: i32) -> Sequence {
    (base.wrapping_add(records)) & i32::MAX
}
