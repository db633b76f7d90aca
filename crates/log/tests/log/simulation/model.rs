//! What the log should hold.

use levada_types::Offset;

/// A batch that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelBatch {
    pub(super) base: Offset,
    pub(super) values: Vec<String>,
    pub(super) epoch: i32,
    /// Producer and first sequence.
    pub(super) producer: Option<(i64, i32)>,
}

impl ModelBatch {
    pub(super) fn end(&self) -> Offset {
        self.base + self.values.len() as i64
    }
}

/// What the log should hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// Every batch since the beginning, deleted ones too.
    pub(super) batches: Vec<ModelBatch>,
    /// What a crash may bring back instead: the log as it was before truncations that were under way.
    pub(super) before: Option<Vec<ModelBatch>>,
    pub(super) log_start: Offset,
    /// Everything below has been flushed.
    pub(super) flushed: Offset,
}

impl Model {
    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(0, ModelBatch::end).max(self.log_start)
    }

    /// The records at and behind `start`.
    pub(super) fn records_from(&self, start: Offset) -> Vec<(Offset, String)> {
        let all = self.batches.iter().flat_map(|batch| (batch.base..).zip(batch.values.iter().cloned()));
        all.filter(|(offset, _)| *offset >= start).collect()
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
}
