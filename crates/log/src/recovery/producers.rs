//! Rebuilds what a log knows of its producers: an older snapshot, and what the log says since.

use std::io;

use levada_records::{BatchHeader, EndTxnMarker, RecordBatch, RecordBuffer};
use levada_types::Offset;
use tracing::warn;

use crate::ReadError;
use crate::disk::OpenFile;
use crate::log::{LogDir, LogState, read_marker};
use crate::producers::{MAX_SNAPSHOT_BYTES, ProducerEntry, ProducerStates, decode_snapshot};
use crate::segment::{FileKind, ScanError, SegmentFileName};

/// Bytes that the batch of a marker may have. It holds one record of a few bytes.
const MAX_MARKER_BATCH_BYTES: usize = 1 << 20;

/// The producers of a log as of an offset.
pub(crate) struct Rebuilt {
    pub(crate) producers: ProducerStates,
    /// Where the newest snapshot stands that is left.
    pub(crate) snapshot: Option<Offset>,
}

/// Where there are snapshots in a log's directory, ascending.
pub(crate) fn snapshots_in(dir: &LogDir) -> io::Result<Vec<Offset>> {
    let mut snapshots = Vec::new();
    for entry in dir.disk().list(&dir.path)? {
        if let SegmentFileName::Live(offset, FileKind::ProducerSnapshot) = SegmentFileName::parse(&entry.name) {
            snapshots.push(offset);
        }
    }
    snapshots.sort_unstable();
    Ok(snapshots)
}

/// Rebuilds the producers as of `end`: those of the newest good snapshot among `snapshots` that is not behind `end`, and
/// the batches of the log from there on. Snapshots behind `end`, which tell of batches that are gone, are removed, and
/// so are damaged ones.
pub(crate) fn rebuild_producers(
    state: &LogState,
    snapshots: Vec<Offset>,
    end: Offset,
    now_ms: i64,
) -> Result<Rebuilt, ReadError> {
    let mut newest = None;
    for offset in snapshots.into_iter().rev() {
        match read_snapshot(state, offset, end)? {
            Some(entries) => {
                newest = Some((offset, entries));
                break;
            }
            None => remove_snapshot(state, offset)?,
        }
    }
    let snapshot = newest.as_ref().map(|(offset, _)| *offset);
    let from = snapshot.unwrap_or(0);
    let mut producers = ProducerStates::restore(newest.map(|(_, entries)| entries).unwrap_or_default(), now_ms);
    if from < end {
        replay(state, &mut producers, from, end, now_ms)?;
    }
    Ok(Rebuilt { producers, snapshot })
}

/// The producers in a snapshot; `None` if it is of no use.
fn read_snapshot(state: &LogState, offset: Offset, end: Offset) -> Result<Option<Vec<ProducerEntry>>, ReadError> {
    // Behind the end it tells of batches that are gone. Before the first segment it is out of date, and batches that
    // would bring it up to date are gone: to forget a producer is safe, to misremember it would refuse its next batch.
    if offset > end || offset < state.segments.load().first().base_offset() {
        return Ok(None);
    }
    let path = FileKind::ProducerSnapshot.path(&state.dir.path, offset);
    let bytes = match state.dir.disk().read(&path, MAX_SNAPSHOT_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => return Ok(None),
        Err(error) => return Err(state.failure(error).into()),
    };
    match decode_snapshot(&bytes) {
        Ok(entries) => Ok(Some(entries)),
        Err(reason) => {
            warn!(path = %path.display(), %reason, "a producer snapshot is damaged: an older one is used");
            Ok(None)
        }
    }
}

fn remove_snapshot(state: &LogState, offset: Offset) -> Result<(), ReadError> {
    match state.dir.disk().remove_file(&FileKind::ProducerSnapshot.path(&state.dir.path, offset)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(state.failure(error).into()),
        _ => Ok(()),
    }
}

fn replay(
    state: &LogState,
    producers: &mut ProducerStates,
    from: Offset,
    end: Offset,
    now_ms: i64,
) -> Result<(), ReadError> {
    let segments = state.segments.load_full();
    let mut buffer = RecordBuffer::new();
    for segment in segments.starting_at(from).filter(|segment| segment.size() > 0 && segment.base_offset() < end) {
        let failure = |error| state.scan_failure(segment, error);
        let file = segment.log_file().map_err(|error| failure(ScanError::Io(error)))?;
        let segment_end = segment.end();
        let Some((position, _)) = segment.find(&file, from, segment_end).map_err(failure)? else { continue };
        let mut scan = segment.scan(&file, position as u32, segment_end.bytes);
        while let Some((position, header)) = scan.next().map_err(failure)? {
            if header.base_offset < from || header.base_offset >= end || !header.has_producer_id() {
                continue;
            }
            if !header.is_control() {
                producers.apply(&header, now_ms);
            } else if let Some(marker) = marker_at(&file, position, &header, &mut buffer).map_err(failure)? {
                producers.apply_marker(&header, &marker, now_ms);
            }
        }
    }
    Ok(())
}

fn marker_at(
    file: &OpenFile,
    position: u64,
    header: &BatchHeader,
    buffer: &mut RecordBuffer,
) -> Result<Option<EndTxnMarker>, ScanError> {
    let size = header.size_in_bytes();
    if size > MAX_MARKER_BATCH_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, position).map_err(ScanError::Io)?;
    let batch = RecordBatch::parse_only(&bytes).map_err(|reason| ScanError::Corrupt { position, reason })?;
    // A control record of an unknown shape ends no transaction that is known here.
    Ok(read_marker(&batch, buffer).unwrap_or_default())
}
