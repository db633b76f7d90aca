//! What clients were told, held against what is committed.

use std::collections::BTreeMap;

use levada_replication::invariants::Batch;
use levada_types::{Offset, ProducerId, Sequence};

use crate::run::Failure;

/// Everything that clients were told.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// What was acknowledged to those who had asked for all replicas: base offset and fingerprint.
    acknowledged: BTreeMap<Offset, u64>,
    /// What idempotent producers have made, by fingerprint.
    made: BTreeMap<u64, Made>,
    /// Where each of those was committed.
    placed: BTreeMap<u64, Offset>,
    /// The sequence that comes next of each idempotent producer.
    next: BTreeMap<ProducerId, Sequence>,
    /// Everything committed below is compared.
    compared_until: Offset,
}

/// A batch of an idempotent producer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) producer: ProducerId,
    pub(crate) first: Sequence,
    pub(crate) count: i32,
}

impl History {
    /// An idempotent producer has made a batch.
    pub(crate) fn made(&mut self, fingerprint: u64, made: Made) {
        self.made.insert(fingerprint, made);
    }

    /// A producer that had asked for all replicas is told that its batch is at `base`.
    pub(crate) fn acknowledged(&mut self, committed: &[Batch], base: Offset, fingerprint: u64) -> Result<(), Failure> {
        if find(committed, base).is_none_or(|batch| batch.fingerprint != fingerprint) {
            return Err(Failure::Untrue(format!("a batch was acknowledged at {base} and is not committed there")));
        }
        self.acknowledged.insert(base, fingerprint);
        Ok(())
    }

    /// A consumer has read a batch.
    pub(crate) fn consumed(&self, committed: &[Batch], base: Offset, fingerprint: u64) -> Result<(), Failure> {
        match find(committed, base) {
            Some(batch) if batch.fingerprint == fingerprint => Ok(()),
            _ => Err(Failure::Untrue(format!("a consumer read at {base} what is not committed there"))),
        }
    }

    /// Looks at what was committed since the last time: nothing of an idempotent producer comes twice, or out of order.
    /// One whose original is below `deleted_until` may, since nobody remembers that.
    pub(crate) fn compare(&mut self, committed: &[Batch], deleted_until: Offset) -> Result<(), Failure> {
        let from = committed.partition_point(|batch| batch.base < self.compared_until);
        for batch in &committed[from..] {
            self.compared_until = batch.end;
            let Some(made) = self.made.get(&batch.fingerprint).copied() else { continue };
            if let Some(earlier) = self.placed.insert(batch.fingerprint, batch.base) {
                if earlier < deleted_until {
                    continue;
                }
                return Err(Failure::Untrue(format!("a batch is committed at {earlier} and again at {}", batch.base)));
            }
            let next = self.next.insert(made.producer, made.first + made.count);
            if let Some(next) = next.filter(|next| *next != made.first) {
                let (producer, first, base) = (made.producer, made.first, batch.base);
                let text = format!("sequence {first} of producer {producer} is committed at {base} in place of {next}");
                return Err(Failure::Untrue(text));
            }
        }
        Ok(())
    }

    /// Everything that was acknowledged from `start` on, in order.
    pub(crate) fn acknowledged_from(&self, start: Offset) -> impl Iterator<Item = (Offset, u64)> {
        self.acknowledged.range(start..).map(|(base, fingerprint)| (*base, *fingerprint))
    }

    /// What lies at and behind `end` may be lost.
    pub(crate) fn admit_loss(&mut self, end: Offset) {
        self.acknowledged.split_off(&end);
        self.placed.retain(|_, base| *base < end);
        self.next.clear();
        self.compared_until = self.compared_until.min(end);
    }
}

fn find(committed: &[Batch], base: Offset) -> Option<&Batch> {
    let at = committed.binary_search_by_key(&base, |batch| batch.base).ok()?;
    committed.get(at)
}
