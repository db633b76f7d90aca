//! A log in memory, for tests: one record per offset.

use levada_types::{LeaderEpoch, Offset};

use crate::{EpochEnd, EpochHistory, LogEnds};

/// A record: who wrote it, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToyRecord {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u64,
}

/// A log that begins at `start`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToyLog {
    pub(crate) start: Offset,
    pub(crate) flushed: Offset,
    pub(crate) records: Vec<ToyRecord>,
}

impl ToyLog {
    /// From (epoch, number of records); their values are their offsets.
    pub(crate) fn of_runs(runs: &[(i32, i64)]) -> Self {
        let mut log = Self::default();
        for (epoch, count) in runs {
            for _ in 0..*count {
                let value = log.records.len() as u64;
                log.records.push(ToyRecord { epoch: LeaderEpoch(*epoch), value });
            }
        }
        log
    }

    pub(crate) fn end(&self) -> Offset {
        self.start + self.records.len() as i64
    }

    pub(crate) fn ends(&self) -> LogEnds {
        LogEnds { start: self.start, end: self.end(), flushed: self.flushed }
    }

    pub(crate) fn get(&self, offset: Offset) -> Option<ToyRecord> {
        usize::try_from(offset - self.start).ok().and_then(|at| self.records.get(at)).copied()
    }

    pub(crate) fn truncate(&mut self, to: Offset) {
        self.records.truncate(usize::try_from(to - self.start).unwrap_or(0));
        self.flushed = self.flushed.min(self.end());
    }

    pub(crate) fn start_at(&mut self, offset: Offset) {
        *self = Self { start: offset, flushed: offset, records: Vec::new() };
    }

    pub(crate) fn advance_start(&mut self, to: Offset) {
        let gone = usize::try_from(to - self.start).unwrap_or(0).min(self.records.len());
        self.records.drain(..gone);
        self.start = self.start.max(to);
        self.flushed = self.flushed.max(self.start);
    }
}

impl EpochHistory for ToyLog {
    fn latest(&self) -> Option<LeaderEpoch> {
        self.records.last().map(|record| record.epoch)
    }

    fn floor(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let last = self.records.iter().rposition(|record| record.epoch <= epoch)?;
        Some(EpochEnd { epoch: self.records[last].epoch, end_offset: self.start + last as i64 + 1 })
    }
}
