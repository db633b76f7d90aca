//! Finding records by time, and the aborted transactions of a range.

use levada_records::{BatchHeader, RecordBatch, RecordBuffer, TimestampType};
use levada_types::{Offset, TimestampMs};

use super::{AbortedTransaction, LogReader, TimestampOffset};
use crate::ReadError;
use crate::disk::OpenFile;
use crate::index::{MAX_TRANSACTION_INDEX_BYTES, decode_aborted};
use crate::segment::{FileKind, ScanError, Segment};

impl LogReader {
    /// The first record below `upper_bound` whose timestamp is at least `timestamp`.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn offset_for_timestamp(
        &self,
        timestamp: TimestampMs,
        upper_bound: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let start = self.log_start_offset();
        let segments = self.state.segments.load_full();
        for segment in segments.starting_at(start).take_while(|segment| segment.base_offset() < upper_bound) {
            let failure = |error| self.state.scan_failure(segment, error);
            if segment.size() == 0 || segment.max_timestamp().map_err(failure)?.timestamp < timestamp {
                continue;
            }
            let wanted = |header: &BatchHeader| header.max_record_timestamp() >= timestamp;
            let record = |found: &TimestampOffset| found.timestamp >= timestamp && found.offset >= start;
            if let Some(found) = search(segment, timestamp, wanted, record).map_err(failure)? {
                return Ok(Some(self.with_epoch(found)).filter(|found| found.offset < upper_bound));
            }
        }
        Ok(None)
    }

    /// The first record that has the greatest timestamp of all below `upper_bound` (KIP-734). `None` if there is no
    /// record with a timestamp.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn max_timestamp_offset(&self, upper_bound: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        let start = self.log_start_offset();
        let segments = self.state.segments.load_full();
        let mut best: Option<(TimestampMs, &Segment)> = None;
        for segment in segments.starting_at(start).take_while(|segment| segment.base_offset() < upper_bound) {
            let failure = |error| self.state.scan_failure(segment, error);
            let whole = segment.base_offset() >= start && segment.end_offset() <= upper_bound;
            let max = if whole {
                segment.max_timestamp().map_err(failure)?.timestamp
            } else {
                max_between(segment, start, upper_bound).map_err(failure)?
            };
            if max >= 0 && best.is_none_or(|(timestamp, _)| max > timestamp) {
                best = Some((max, segment));
            }
        }
        let Some((timestamp, segment)) = best else { return Ok(None) };
        let wanted = |header: &BatchHeader| header.max_record_timestamp() == timestamp && header.last_offset() >= start;
        let record = |found: &TimestampOffset| found.timestamp == timestamp && found.offset >= start;
        let found = search(segment, timestamp, wanted, record)
            .map_err(|error| self.state.scan_failure(segment, error))?
            .filter(|found| found.offset < upper_bound);
        Ok(found.map(|found| self.with_epoch(found)))
    }

    fn with_epoch(&self, found: TimestampOffset) -> TimestampOffset {
        TimestampOffset { leader_epoch: self.epoch_for_offset(found.offset), ..found }
    }

    /// The aborted transactions that overlap `[from, to)`, by the offset of their markers.
    ///
    /// # Errors
    /// If the transaction indexes cannot be read.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut aborted = Vec::new();
        let segments = self.state.segments.load_full();
        // A transaction is in the index of the segment that has its marker, which may lie behind the range.
        for segment in segments.starting_at(from).filter(|segment| segment.has_transaction_index()) {
            let path = FileKind::TransactionIndex.path(&self.state.dir.path, segment.base_offset());
            let bytes = match self.state.dir.disk().read(&path, MAX_TRANSACTION_INDEX_BYTES) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.state.read_failure(segment, error)),
            };
            let entries = decode_aborted(&bytes);
            if entries.is_empty() {
                segment.set_has_transaction_index(false);
            }
            // Behind an entry whose last stable offset has passed the range nothing can start within it.
            let complete = entries.iter().any(|entry| entry.last_stable_offset >= to);
            // Truncation leaves the index alone: markers behind the end are gone.
            let live = entries.into_iter().filter(|entry| entry.last_offset < segment.end_offset());
            aborted.extend(live.filter(|entry| entry.last_offset >= from && entry.first_offset < to));
            if complete {
                break;
            }
        }
        Ok(aborted)
    }
}

/// The first record of the segment that `record` is true for, in the first batch that `wanted` is true for and that has
/// one. Starts where the indexes say that older records end.
fn search(
    segment: &Segment,
    timestamp: TimestampMs,
    wanted: impl Fn(&BatchHeader) -> bool,
    record: impl Fn(&TimestampOffset) -> bool,
) -> Result<Option<TimestampOffset>, ScanError> {
    let end = segment.end();
    let file = segment.log_file().map_err(ScanError::Io)?;
    let before = segment
        .with_index(FileKind::TimeIndex, |at| {
            segment
                .time_index()
                .last_where(at, |entry| entry.timestamp < timestamp && entry.relative_offset < end.relative_offset)
        })
        .map_err(ScanError::Io)?;
    let from = before.map_or(segment.base_offset(), |entry| segment.base_offset() + i64::from(entry.relative_offset));
    let Some((position, _)) = segment.find(&file, from, end)? else { return Ok(None) };
    let mut scan = segment.scan(&file, position as u32, end.bytes);
    let mut buffer = RecordBuffer::new();
    while let Some((position, header)) = scan.next()? {
        if wanted(&header)
            && let Some(found) = search_batch(&file, position, &header, &mut buffer, &record)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn search_batch(
    file: &OpenFile,
    position: u64,
    header: &BatchHeader,
    buffer: &mut RecordBuffer,
    record: impl Fn(&TimestampOffset) -> bool,
) -> Result<Option<TimestampOffset>, ScanError> {
    if header.timestamp_type() == TimestampType::LogAppendTime {
        // All its records have the batch's time.
        let found = TimestampOffset { offset: header.base_offset, timestamp: header.max_timestamp, leader_epoch: None };
        if record(&found) {
            return Ok(Some(found));
        }
    }
    let corrupt = |reason| ScanError::Corrupt { position, reason };
    let mut bytes = vec![0; header.size_in_bytes()];
    file.read_exact_at(&mut bytes, position).map_err(ScanError::Io)?;
    let batch = RecordBatch::parse_only(&bytes).map_err(corrupt)?;
    for found in batch.records(buffer).map_err(corrupt)? {
        let found = found.map_err(corrupt)?;
        let found = TimestampOffset { offset: found.offset, timestamp: found.timestamp, leader_epoch: None };
        if record(&found) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The greatest timestamp of the batches between two offsets.
fn max_between(segment: &Segment, start: Offset, upper_bound: Offset) -> Result<TimestampMs, ScanError> {
    let end = segment.end();
    if end.bytes == 0 {
        return Ok(-1);
    }
    let file = segment.log_file().map_err(ScanError::Io)?;
    let mut max = -1;
    let Some((position, _)) = segment.find(&file, start, end)? else { return Ok(max) };
    let mut scan = segment.scan(&file, position as u32, end.bytes);
    while let Some((_, header)) = scan.next()?.filter(|(_, header)| header.base_offset < upper_bound) {
        max = max.max(header.max_record_timestamp());
    }
    Ok(max)
}
