//! Recovers one segment: checks its batches, cuts off a torn tail, rebuilds its indexes.

use std::io;
use std::sync::Arc;

use levada_records::BatchError;
use levada_types::{LeaderEpoch, Offset};
use tracing::warn;

use super::RecoveryProgress;
use super::batch_scan::BatchScan;
use crate::disk::is_full;
use crate::epochs::LeaderEpochs;
use crate::index::{IndexFile, OffsetEntry, SparseIndex, TimeEntry};
use crate::log::LogDir;
use crate::segment::{FileKind, MaxTimestamp, Position, ScanError, Segment};

/// How a segment came out of recovery.
pub(super) struct Recovered {
    pub(super) segment: Segment,
    /// Whether bytes were cut off: what lies in later segments then no longer continues it.
    pub(super) truncated: bool,
}

/// Recovers the segment at `base_offset`, whose file has `len` bytes. What is below `recovery_point` was made durable
/// with its indexes, so the scan starts at the last index entry below it. The newest index entries are in memory
/// afterwards, as those of a segment that is appended to; what goes on behind another segment is for [`finish_indexes`].
pub(super) fn recover_segment(
    dir: &Arc<LogDir>,
    base_offset: Offset,
    len: u32,
    recovery_point: Offset,
    index_interval_bytes: u64,
    epochs: &mut LeaderEpochs,
    progress: &RecoveryProgress,
) -> io::Result<Recovered> {
    let whole = Position { bytes: len, relative_offset: u32::MAX };
    let segment = Segment::existing(Arc::clone(dir), base_offset, whole);
    let file = segment.log_file()?;
    let durable = u32::try_from(recovery_point.saturating_sub(base_offset).max(0)).unwrap_or(u32::MAX);
    let start = trust_index(&segment, &file, durable, len)?;
    let mut max = trust_time_index(&segment, start, durable)?;
    if max.relative_offset < start.relative_offset {
        // The time index may have lost entries that the offset index has kept: what lies between is looked at.
        let from = match segment.find(&file, base_offset + i64::from(max.relative_offset), segment.end()) {
            Ok(Some((position, _))) if max.timestamp >= 0 => position as u32,
            _ => 0,
        };
        let mut scan = segment.scan(&file, from, start.position);
        while let Ok(Some((_, header))) = scan.next() {
            if header.max_record_timestamp() > max.timestamp {
                let relative_offset = segment.relative(header.last_offset());
                max = MaxTimestamp { timestamp: header.max_record_timestamp(), relative_offset };
            }
        }
    }

    progress.add_bytes(u64::from(len - start.position));
    let mut scan = BatchScan::new(&file, u64::from(start.position), u64::from(len));
    let mut since_index = 0u64;
    let mut next_offset = base_offset + i64::from(start.relative_offset);
    let mut damage = None;
    loop {
        let (position, header) = match scan.next() {
            Ok(Some(found)) => found,
            Ok(None) => break,
            Err(ScanError::Io(error)) => return Err(error),
            Err(ScanError::Corrupt { reason, .. }) => {
                if !matches!(reason, BatchError::Truncated { .. }) {
                    progress.found_loss();
                }
                damage = Some(reason.to_string());
                break;
            }
        };
        let relative_offset = segment.relative(header.last_offset());
        if header.base_offset < next_offset || header.last_offset() - base_offset > i64::from(i32::MAX) {
            damage = Some(format!("offset {} follows {next_offset}", header.base_offset));
            progress.found_loss();
            // The batch was read, but it does not belong here.
            scan.rewind(position);
            break;
        }
        next_offset = header.next_offset();
        if header.max_record_timestamp() > max.timestamp {
            max = MaxTimestamp { timestamp: header.max_record_timestamp(), relative_offset };
        }
        if since_index > index_interval_bytes {
            push(&segment, OffsetEntry { relative_offset, position: position as u32 }, max)?;
            since_index = 0;
        }
        since_index += header.size_in_bytes() as u64;
        // The scan begins a little before the recovery point, where the epochs are known, later ones included.
        if header.base_offset >= recovery_point {
            epochs.assign(LeaderEpoch(header.partition_leader_epoch), header.base_offset);
        }
        progress.bytes_scanned(header.size_in_bytes() as u64);
    }
    let end = scan.position();
    let truncated = end < u64::from(len);
    if truncated {
        warn!(partition = %dir.partition, base_offset, position = end, lost_bytes = u64::from(len) - end,
            reason = damage.unwrap_or_default(), "cut off the torn tail of a log");
        progress.bytes_scanned(u64::from(len) - end);
        file.set_len(end)?;
        // Old batches must not come back with the next crash, behind new ones that end where they begin.
        file.sync()?;
    }
    segment.set_end(Position { bytes: end as u32, relative_offset: segment.relative(next_offset) });
    segment.set_max_timestamp(max);
    Ok(Recovered { segment, truncated })
}

/// Cuts the offset index to the entries below the recovery point; returns the last of them, where the scan starts.
fn trust_index(segment: &Segment, file: &crate::disk::OpenFile, durable: u32, len: u32) -> io::Result<OffsetEntry> {
    let start = OffsetEntry { relative_offset: 0, position: 0 };
    segment.with_index(FileKind::OffsetIndex, |at| {
        let index = segment.offset_index();
        let valid = index.count_valid(at, |entry| entry.relative_offset < durable && entry.position < len)?;
        index.truncate(at, valid)?;
        let Some(last) = index.last(at)? else { return Ok(start) };
        // The index tells where a batch ends in offsets; the scan has to know where it begins.
        match segment.scan(file, last.position, len).next() {
            Ok(Some((_, header)))
                if header.base_offset >= segment.base_offset()
                    && header.last_offset() <= segment.base_offset() + i64::from(last.relative_offset) =>
            {
                let relative_offset = segment.relative(header.base_offset);
                Ok(OffsetEntry { relative_offset, position: last.position })
            }
            _ => {
                index.truncate(at, 0)?;
                Ok(start)
            }
        }
    })
}

/// Cuts the time index to the entries that the scan will not see again; returns the greatest timestamp of them.
fn trust_time_index(segment: &Segment, start: OffsetEntry, durable: u32) -> io::Result<MaxTimestamp> {
    segment.with_index(FileKind::TimeIndex, |at| {
        let index = segment.time_index();
        let trusted = |entry: &TimeEntry| start.position > 0 && entry.relative_offset < durable;
        index.truncate(at, index.count_valid(at, trusted)?)?;
        let last = index.last(at)?;
        Ok(last.map_or(MaxTimestamp::NONE, |entry| MaxTimestamp {
            timestamp: entry.timestamp,
            relative_offset: entry.relative_offset,
        }))
    })
}

fn push(segment: &Segment, entry: OffsetEntry, max: MaxTimestamp) -> io::Result<()> {
    segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().push(at, entry)).or_else(ignore_full)?;
    segment.with_index(FileKind::TimeIndex, |at| push_time(segment.time_index(), at, max)).or_else(ignore_full)
}

fn push_time(index: &SparseIndex<TimeEntry>, at: IndexFile<'_>, max: MaxTimestamp) -> io::Result<()> {
    let newer = index.last(at)?.map_or(max.timestamp >= 0, |last| max.timestamp > last.timestamp);
    if newer {
        index.push(at, TimeEntry { timestamp: max.timestamp, relative_offset: max.relative_offset })
    } else {
        Ok(())
    }
}

/// Writes the indexes of a recovered segment out, behind which the log goes on in another one. The time index ends with the
/// greatest timestamp, as that of every closed segment does. The active segment is left alone: creating its index files
/// would cost more than all the rest of its recovery, and the next flush, roll or close writes them.
pub(super) fn finish_indexes(segment: &Segment) -> io::Result<()> {
    let max = match segment.max_timestamp() {
        Ok(max) => max,
        Err(ScanError::Io(error)) => return Err(error),
        // Recovery noted it; nothing is looked up.
        Err(ScanError::Corrupt { .. }) => MaxTimestamp::NONE,
    };
    segment
        .with_index(FileKind::TimeIndex, |at| {
            push_time(segment.time_index(), at, max).and_then(|()| segment.time_index().finish(at))
        })
        .or_else(ignore_full)?;
    segment.with_index(FileKind::OffsetIndex, |at| segment.offset_index().finish(at)).or_else(ignore_full)
}

/// A full disk keeps no log from opening: the indexes are whole in memory, and are built again next time.
fn ignore_full(error: io::Error) -> io::Result<()> {
    if is_full(&error) { Ok(()) } else { Err(error) }
}
