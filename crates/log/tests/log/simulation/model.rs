//! What the log should hold.

use std::collections::BTreeMap;

use levada_types::Offset;

/// A batch that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelBatch {
    pub(super) base: Offset,
    pub(super) values: Vec<String>,
    /// The records' timestamps.
    pub(super) times: Vec<i64>,
    pub(super) epoch: i32,
    /// Producer and first sequence.
    pub(super) producer: Option<(i64, i32)>,
}

impl ModelBatch {
    pub(super) fn end(&self) -> Offset {
        self.base + self.values.len() as i64
    }

    /// The greatest timestamp, which its age is told by.
    pub(super) fn time(&self) -> i64 {
        self.times.iter().copied().max().unwrap_or(-1)
    }
}

/// Whether the log should know a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It was heard of at this time, and not forgotten since.
    Heard(i64),
    /// It has expired.
    Forgotten,
    /// It had expired once when a restart, or a truncation, read the log again at this time and may have found it.
    MaybeSince(i64),
}

/// A log that may come back in place of another.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) log_start: Offset,
    pub(super) batches: Vec<ModelBatch>,
}

/// What the log should hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// Every batch since the beginning, deleted ones too.
    pub(super) batches: Vec<ModelBatch>,
    /// What a crash may bring back instead: the log as it was before truncations that were under way.
    pub(super) before: Option<Before>,
    pub(super) log_start: Offset,
    /// Where the log started when that was last noted on disk: no restart brings it back below.
    pub(super) least_start: Offset,
    /// Everything below has been flushed.
    pub(super) flushed: Offset,
    pub(super) producers: BTreeMap<i64, Known>,
    /// Where the log ended when a producer was last forgotten: what it wrote before that brings it back or not.
    pub(super) forgotten_at: BTreeMap<i64, Offset>,
    /// Where the log ended when it last read its producers from its files, which hold one batch of each.
    pub(super) reloaded_at: Offset,
}

impl Model {
    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(0, ModelBatch::end).max(self.log_start)
    }

    /// The log as it is.
    pub(super) fn so_far(&self) -> Before {
        Before { log_start: self.log_start, batches: self.batches.clone() }
    }

    /// The records at and behind `start`.
    pub(super) fn records_from(&self, start: Offset) -> Vec<(Offset, String)> {
        let all = self.batches.iter().flat_map(|batch| (batch.base..).zip(batch.values.iter().cloned()));
        all.filter(|(offset, _)| *offset >= start).collect()
    }

    /// A log end that a truncation to `offset` leads to, whether the log is opened again or not: a follower's log has gaps
    /// where the leader's was compacted, and after a restart none at its end.
    pub(super) fn outside_gaps(&self, offset: Offset) -> Offset {
        let before =
            self.batches.iter().rev().find(|batch| batch.end() <= offset).map_or(self.log_start, ModelBatch::end);
        let next = self.batches.iter().find(|batch| batch.end() > offset).map_or(before, |batch| batch.base);
        if before < next { before.max(self.log_start) } else { offset }
    }

    /// Removes everything; the next record has this offset. A log that was never flushed may lose its very directory.
    pub(super) fn reset(&mut self, offset: Offset) {
        let durable = if self.flushed > 0 { offset } else { 0 };
        *self =
            Self { log_start: offset, least_start: durable, flushed: durable, reloaded_at: offset, ..Self::default() };
    }

    /// Takes away what lies at or behind `offset`.
    pub(super) fn truncate(&mut self, offset: Offset) {
        self.batches.retain(|batch| batch.end() <= offset);
        self.flushed = self.flushed.min(self.end());
    }

    /// Where each epoch starts that has records at or behind `start`.
    pub(super) fn epochs_from(&self, start: Offset) -> Vec<(i32, Offset)> {
        let mut epochs: Vec<(i32, Offset)> = Vec::new();
        for batch in self.batches.iter().filter(|batch| batch.end() > start) {
            if epochs.last().is_none_or(|last| last.0 != batch.epoch) {
                epochs.push((batch.epoch, batch.base.max(start)));
            }
        }
        epochs
    }

    /// The last sequence of each producer that has a batch at or behind `start`.
    pub(super) fn last_sequences_from(&self, start: Offset) -> Vec<(i64, i32)> {
        let mut last = std::collections::BTreeMap::new();
        for batch in self.batches.iter().filter(|batch| batch.end() > start) {
            if let Some((producer, first)) = batch.producer {
                last.insert(producer, first + batch.values.len() as i32 - 1);
            }
        }
        last.into_iter().collect()
    }

    /// The first record at or behind `start` that is not older than `time`.
    pub(super) fn first_at(&self, time: i64, start: Offset) -> Option<Offset> {
        let all = self.batches.iter().flat_map(|batch| (batch.base..).zip(batch.times.iter().copied()));
        all.filter(|&(offset, at)| offset >= start && at >= time).map(|(offset, _)| offset).next()
    }

    /// Takes a batch that is in the log.
    pub(super) fn push(&mut self, batch: ModelBatch, now: i64) {
        if let Some((producer, _)) = batch.producer {
            self.producers.insert(producer, Known::Heard(now.max(batch.time())));
        }
        self.batches.push(batch);
    }

    /// The log has read its producers from its files again: whom it finds there was heard of now.
    pub(super) fn reload_producers(&mut self, now: i64) {
        let end = self.end();
        self.reloaded_at = end;
        self.forgotten_at.values_mut().for_each(|at| *at = end.min(*at));
        let last: BTreeMap<i64, (Offset, i64)> =
            self.batches.iter().filter_map(|batch| Some((batch.producer?.0, (batch.base, batch.time())))).collect();
        self.producers.clear();
        for (id, (base, time)) in last {
            let at = now.max(time);
            let sure = self.forgotten_at.get(&id).is_none_or(|&forgotten| base >= forgotten);
            self.producers.insert(id, if sure { Known::Heard(at) } else { Known::MaybeSince(at) });
        }
    }

    /// Forgets whom the log has to forget.
    pub(super) fn expire_producers(&mut self, now: i64, limit: i64) {
        let end = self.end();
        for (id, known) in &mut self.producers {
            if let Known::Heard(at) | Known::MaybeSince(at) = *known
                && now - at >= limit
            {
                *known = Known::Forgotten;
                self.forgotten_at.insert(*id, end);
            }
        }
    }
}
