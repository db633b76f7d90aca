//! Which records stay, batch by batch.

use std::collections::HashSet;

use levada_records::{
    BatchError, BatchHeader, BatchRetainer, DeleteHorizon, Record, RecordBatch, RecordBuffer, Retained,
};
use levada_types::{Offset, ProducerId};

use super::LastOffsets;
use super::offset_map::OffsetMap;
use super::outcomes::Outcomes;
use crate::epochs::LeaderEpochs;

/// Decides which records stay. To be asked of every batch of a log, from the first one on.
pub(super) struct Keeper<'a> {
    /// The newest offset of each key that has a record in what is new.
    pub(super) map: &'a OffsetMap,
    /// From here on everything stays as it is.
    pub(super) map_end: Offset,
    pub(super) outcomes: Option<&'a Outcomes>,
    pub(super) epochs: &'a LeaderEpochs,
    /// The producers that the log knows, and where the last batch of each is.
    pub(super) last_offsets: &'a LastOffsets,
    pub(super) now_ms: i64,
    /// Until when tombstones and markers stay that are come by for the first time.
    pub(super) horizon_ms: i64,
    /// Producers of which there was a batch since their last marker.
    pub(super) in_transaction: HashSet<ProducerId>,
    pub(super) counts: Counts,
}

/// What became of the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) kept: u64,
    /// Those without a key.
    pub(super) invalid: u64,
}

/// What is left of a batch.
pub(super) enum Left {
    /// It stays as it is.
    Whole,
    /// What was appended to the output takes its place: a batch with this header.
    Instead(BatchHeader),
    /// Nothing.
    Nothing,
}

/// Room that one thread uses again and again.
#[derive(Default)]
pub(super) struct Room {
    pub(super) buffer: RecordBuffer,
    pub(super) retainer: BatchRetainer,
}

impl Keeper<'_> {
    /// What is left of the next batch. `is_last` says that a segment ends with it.
    pub(super) fn judge(
        &mut self,
        batch: &RecordBatch<'_>,
        is_last: bool,
        room: &mut Room,
        output: &mut Vec<u8>,
    ) -> Result<Left, BatchError> {
        let header = *batch.header();
        let start = output.len();
        let retained = if header.is_control() {
            self.retain_marker(batch, room, output)?
        } else {
            self.retain_data(batch, room, output)?
        };
        match retained {
            Retained::Unchanged => return Ok(Left::Whole),
            Retained::Rewritten(_) => {}
            Retained::Nothing if self.holds_place(&header, is_last) => {
                if header.records_count == 0 {
                    return Ok(Left::Whole);
                }
                output.extend_from_slice(&header.without_records());
            }
            Retained::Nothing => return Ok(Left::Nothing),
        }
        Ok(Left::Instead(BatchHeader::parse(output.get(start..).unwrap_or_default())?))
    }

    /// Whether a replay of the log would miss this batch, be there records in it or not.
    fn holds_place(&self, header: &BatchHeader, is_last: bool) -> bool {
        let is_producers_last =
            || self.last_offsets.get(&header.producer_id).copied().flatten() == Some(header.last_offset());
        is_last
            || self.epochs.has_start_within(header.base_offset, header.last_offset())
            || (header.has_producer_id() && !header.is_control() && is_producers_last())
    }

    fn retain_data(
        &mut self,
        batch: &RecordBatch<'_>,
        room: &mut Room,
        output: &mut Vec<u8>,
    ) -> Result<Retained, BatchError> {
        let header = *batch.header();
        if header.is_transactional() {
            self.in_transaction.insert(header.producer_id);
        }
        if header.base_offset >= self.map_end {
            self.count_whole(&header);
            return Ok(Retained::Unchanged);
        }
        if self.outcomes.is_some_and(|outcomes| outcomes.is_aborted(&header)) {
            self.counts.read += u64::from(header.records_count.unsigned_abs());
            return Ok(Retained::Nothing);
        }
        let keeps_tombstones = header.delete_horizon().is_none_or(|horizon| self.now_ms < horizon);
        let (map, map_end, counts) = (self.map, self.map_end, &mut self.counts);
        let keep = |record: &Record<'_>| {
            counts.read += 1;
            let stays = match record.key {
                _ if record.offset >= map_end => true,
                Some(key) => {
                    let is_newest = map.get(key).is_none_or(|newest| record.offset >= newest);
                    is_newest && (record.value.is_some() || keeps_tombstones)
                }
                None => {
                    counts.invalid += 1;
                    false
                }
            };
            counts.kept += u64::from(stays);
            stays
        };
        // Behind the map older records of a tombstone's key may still be there: its time has not begun.
        let is_mapped = header.last_offset() < self.map_end;
        let horizon = if is_mapped { DeleteHorizon::ForTombstones(self.horizon_ms) } else { DeleteHorizon::AsItIs };
        room.retainer.retain(batch, keep, horizon, &mut room.buffer, output)
    }

    /// A marker stays while a batch of its transaction is there, and for a time after that. That of a producer whose last
    /// one it is stays as long as the producer is known: it tells the producer's epoch, and its coordinator's.
    fn retain_marker(
        &mut self,
        batch: &RecordBatch<'_>,
        room: &mut Room,
        output: &mut Vec<u8>,
    ) -> Result<Retained, BatchError> {
        let header = *batch.header();
        let has_batches = self.in_transaction.remove(&header.producer_id);
        let is_last = self.last_offsets.contains_key(&header.producer_id)
            && self.outcomes.is_none_or(|outcomes| outcomes.is_last_marker(&header));
        if has_batches || is_last || !header.has_producer_id() || header.base_offset >= self.map_end {
            self.count_whole(&header);
            return Ok(Retained::Unchanged);
        }
        let has_passed = header.delete_horizon().is_some_and(|horizon| horizon <= self.now_ms);
        let horizon = DeleteHorizon::For(self.horizon_ms);
        let retained = room.retainer.retain(batch, |_| !has_passed, horizon, &mut room.buffer, output)?;
        let records = u64::from(header.records_count.unsigned_abs());
        self.counts.read += records;
        self.counts.kept += if has_passed { 0 } else { records };
        Ok(retained)
    }

    fn count_whole(&mut self, header: &BatchHeader) {
        let records = u64::from(header.records_count.unsigned_abs());
        self.counts.read += records;
        self.counts.kept += records;
    }
}
