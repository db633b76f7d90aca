//! The leader of the partition, with its log: the gate that ships, and a high watermark that lags behind.

use std::ops::Range;

use bytes::Bytes;
use levada_records::{BatchHeader, Batches, RecordBuffer, STAMP_LEN, stamp};
use levada_types::{ErrorCode, LeaderEpoch, Offset};

use super::counters::read_record;
use crate::machine::{Opened, Outcome, RefusalReason};
use crate::{AppendGate, AppendRefusal, AppendSession, AppendTicket, Rules};

/// Who waits for an append to be committed: an owner, its attempt and the number of the append.
pub(super) type Waiting = (usize, u64, u64);

struct Entry {
    range: Range<Offset>,
    bytes: Bytes,
    waiting: Option<Waiting>,
}

/// A leader that takes over from itself: what is committed stays.
pub(super) struct Leader {
    pub(super) epoch: LeaderEpoch,
    epoch_start: Offset,
    gate: AppendGate,
    sessions: u64,
    log: Vec<Entry>,
    committed: usize,
    /// Whether enough replicas are in sync to append.
    pub(super) has_minimum: bool,
}

/// A committed record: the counter, its sum, who has raised it.
pub(super) type Committed = (u8, u64, u64);

impl Leader {
    pub(super) fn new(rules: Rules) -> Self {
        let (gate, log) = (AppendGate::new(rules), Vec::new());
        Self { epoch: LeaderEpoch(0), epoch_start: 0, gate, sessions: 0, log, committed: 0, has_minimum: true }
    }

    pub(super) fn end(&self) -> Offset {
        self.log.last().map_or(0, |entry| entry.range.end)
    }

    pub(super) fn high_watermark(&self) -> Offset {
        self.committed.checked_sub(1).map_or(0, |last| self.log[last].range.end)
    }

    pub(super) fn open(&mut self, epoch: LeaderEpoch) -> Option<Opened> {
        if epoch != self.epoch {
            return None;
        }
        self.sessions += 1;
        let session = AppendSession(self.sessions);
        self.gate.open(epoch, session);
        Some(Opened { session, start: 0, end: self.end(), epoch_start: self.epoch_start })
    }

    pub(super) fn is_newest(&self, epoch: LeaderEpoch, session: AppendSession) -> bool {
        epoch == self.epoch && self.gate.is_newest(epoch, session)
    }

    /// Appends, or says at once what has become of it.
    pub(super) fn append(&mut self, ticket: AppendTicket, records: &Bytes, waiting: Waiting) -> Option<Outcome> {
        let end = self.end();
        if let Err(refusal) = self.gate.admit(ticket, end) {
            let reason = match refusal {
                AppendRefusal::Session => RefusalReason::Session,
                AppendRefusal::Offset => RefusalReason::Offset,
            };
            return Some(Outcome::Refused(reason, ErrorCode::InvalidRequest));
        }
        if !self.has_minimum {
            return Some(Outcome::Refused(RefusalReason::NotTaken, ErrorCode::NotEnoughReplicas));
        }
        let header = BatchHeader::parse(records).unwrap();
        let stamped = [&stamp(end, header.batch_length, self.epoch.0)[..], &records[STAMP_LEN..]].concat();
        let range = end..end + Offset::from(header.records_count);
        self.log.push(Entry { range, bytes: stamped.into(), waiting: Some(waiting) });
        None
    }

    /// Commits the next batch; gives who waits for it, and what he is told.
    pub(super) fn commit(&mut self) -> Option<(Waiting, Outcome)> {
        let entry = self.log.get_mut(self.committed)?;
        self.committed += 1;
        entry.waiting.take().map(|waiting| (waiting, Outcome::Committed(entry.range.start)))
    }

    /// Another term: some of what was not committed is gone, and nobody hears of the rest. Gives who waited in vain.
    pub(super) fn change(&mut self, keeps: usize) -> Vec<(Waiting, Outcome)> {
        self.log.truncate(self.committed + keeps);
        self.next_epoch();
        self.gate.close();
        self.has_minimum = true;
        let waited = self.log.iter_mut().filter_map(|entry| entry.waiting.take());
        waited.map(|waiting| (waiting, Outcome::Unknown)).collect()
    }

    /// The shard moves: a new leader epoch for the same leader, whose log stays as it is.
    pub(super) fn next_epoch(&mut self) {
        self.epoch = LeaderEpoch(self.epoch.0 + 1);
        self.epoch_start = self.end();
    }

    /// What is committed between two offsets, if all of it is.
    pub(super) fn read(&self, range: &Range<Offset>) -> Option<Vec<Bytes>> {
        let wanted = |entry: &&Entry| range.contains(&entry.range.start);
        (self.high_watermark() >= range.end).then(|| self.log.iter().filter(wanted).map(|e| e.bytes.clone()).collect())
    }

    /// Every committed record.
    pub(super) fn committed(&self) -> Vec<Committed> {
        let mut found = Vec::new();
        for entry in &self.log[..self.committed] {
            let mut buffer = RecordBuffer::default();
            for batch in Batches::new(&entry.bytes) {
                for record in batch.unwrap().records(&mut buffer).unwrap() {
                    let record = record.unwrap();
                    found.push(read_record(record.key.unwrap(), record.value.unwrap()));
                }
            }
        }
        found
    }
}
