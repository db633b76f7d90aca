//! Shows a core what was read.

use levada_records::{BatchError, Batches, ControlRecord, RecordBuffer, TransactionOutcome};
use levada_types::Offset;

use crate::{Core, Replayed, TransactionalProducer};

/// A state that is being loaded.
#[derive(Debug, Clone)]
pub(super) struct Loading<C> {
    pub(super) core: C,
    /// Where it began.
    pub(super) from: Offset,
    /// Everything below was replayed.
    pub(super) position: Offset,
    /// Where it ends.
    pub(super) end: Offset,
    /// Records and markers that were replayed.
    pub(super) replayed: u64,
    pub(super) losses: u32,
}

impl<C: Core> Loading<C> {
    /// Replays whole batches that follow those before. What lies below the position or beyond the end is left out.
    ///
    /// # Errors
    /// [`BatchError`]: the batch cannot be read; those before it were replayed.
    pub(super) fn replay(&mut self, bytes: &[u8]) -> Result<(), BatchError> {
        let mut buffer = RecordBuffer::default();
        for batch in Batches::new(bytes) {
            let batch = batch?;
            batch.verify_crc()?;
            let header = *batch.header();
            let wanted = self.position..self.end;
            let producer = header
                .is_transactional()
                .then_some(TransactionalProducer { id: header.producer_id, epoch: header.producer_epoch });
            for record in batch.records(&mut buffer)? {
                let record = record?;
                if !wanted.contains(&record.offset) {
                    continue;
                }
                let replayed = if header.is_control() {
                    let ControlRecord::EndTxn(marker) = ControlRecord::parse(&record)? else { continue };
                    Replayed::Marker {
                        offset: record.offset,
                        producer_id: header.producer_id,
                        producer_epoch: header.producer_epoch,
                        commit: marker.outcome == TransactionOutcome::Commit,
                    }
                } else {
                    // A topic that is compacted has no records without a key; one that was not always may.
                    let Some(key) = record.key else { continue };
                    let (offset, timestamp, value) = (record.offset, record.timestamp, record.value);
                    Replayed::Record { offset, timestamp, producer, key, value }
                };
                self.core.replay(replayed);
                self.replayed += 1;
            }
            self.position = self.position.max(header.next_offset()).min(self.end);
        }
        Ok(())
    }
}
