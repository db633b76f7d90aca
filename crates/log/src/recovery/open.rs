//! Opens a log that lies on disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use arc_swap::ArcSwap;
use levada_types::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use tracing::warn;

use super::RecoveryProgress;
use super::contents::Contents;
use super::producers::rebuild_producers;
use super::segment::{finish_indexes, recover_segment};
use crate::checkpoint::{EPOCH_CHECKPOINT_FILE, MAX_CHECKPOINT_BYTES, parse_epochs};
use crate::epochs::LeaderEpochs;
use crate::log::{Durable, EpochsOnDisk, LogDir, LogState, LogWriter, WriterParts};
use crate::segment::{Position, ScanError, Segment, SegmentList};
use crate::{LogConfig, OpenError, ReadError};

/// A log to open, and what the checkpoints say of it.
pub(crate) struct OpenExisting<'a> {
    pub(crate) dir: Arc<LogDir>,
    pub(crate) config: LogConfig,
    /// Everything below is durable.
    pub(crate) recovery_point: Offset,
    /// Where the log starts, if not at its first segment.
    pub(crate) log_start: Option<Offset>,
    /// Below it the log was cleaned once.
    pub(crate) cleaned_to: Option<Offset>,
    /// Whether it was closed cleanly.
    pub(crate) clean: bool,
    /// Whether everything was synced after that.
    pub(crate) durable: bool,
    pub(crate) now_ms: i64,
    pub(crate) progress: &'a RecoveryProgress,
}

struct Loaded {
    segments: Vec<Segment>,
    epochs: LeaderEpochs,
}

/// Opens a log: as it was left, or after recovery. Without segments it is empty, and no file is created.
pub(crate) fn open_existing(request: OpenExisting<'_>) -> Result<LogWriter, OpenError> {
    let OpenExisting { dir, config, recovery_point, log_start, cleaned_to, clean, durable, now_ms, progress } = request;
    let contents = Contents::read(dir.disk(), &dir.path)?;
    let epochs_on_disk = if contents.has_epochs { read_epochs(&dir)? } else { None };
    // Without a checkpoint the epochs are read from the batches.
    let known = epochs_on_disk.is_some() || contents.segments.is_empty();
    let recovery_point = if known || clean { recovery_point } else { -1 };

    let as_left = if clean { load(&dir, &contents)? } else { None };
    let mut loaded = match as_left {
        Some(segments) => Loaded { segments, epochs: epochs_on_disk.clone().unwrap_or_default() },
        None => {
            let epochs = epochs_on_disk.clone().unwrap_or_default();
            let gaps_to = cleaned_to.unwrap_or(0).max(recovery_point);
            recover(&dir, &contents, &config, (recovery_point, gaps_to), epochs, progress)?
        }
    };
    let epochs_on_disk = match epochs_on_disk {
        Some(epochs) if durable => EpochsOnDisk::Durable(epochs),
        Some(epochs) => EpochsOnDisk::Written(epochs),
        None if contents.has_epochs => EpochsOnDisk::Unknown,
        None => EpochsOnDisk::Absent,
    };

    for segment in &loaded.segments {
        segment.set_has_transaction_index(contents.transaction_indexes.contains(&segment.base_offset()));
    }
    let first = loaded.segments.first().map(Segment::base_offset);
    let start = log_start.unwrap_or(0).max(first.unwrap_or(0));
    let active = loaded.segments.pop().unwrap_or_else(|| Segment::empty(Arc::clone(&dir), start));
    let end = active.end_offset();
    // What is appended now, where records were lost or a truncation was cut off, is not what was durable there.
    // And a checkpoint of the cleaner that lies behind the end is not of this log, whatever it says.
    let cleaned_to = cleaned_to.filter(|&cleaned_to| cleaned_to <= end).unwrap_or(0);
    let checkpoints = &dir.directory.checkpoints;
    let recovery_points = checkpoints.recovery_points.lower(dir.disk(), &dir.partition, end);
    let lowered = recovery_points.and_then(|()| checkpoints.cleaned.lower(dir.disk(), &dir.partition, cleaned_to));
    lowered.map_err(|error| io_error(&dir.path, error))?;
    loaded.epochs.truncate_end(end.max(start));
    loaded.epochs.truncate_start(start);
    let closed = loaded.segments.into_iter().map(Arc::new).collect();
    let state = Arc::new(LogState {
        segments: ArcSwap::from_pointee(SegmentList::new(closed, Arc::new(active))),
        epochs: ArcSwap::from_pointee(loaded.epochs),
        log_start: AtomicI64::new(start),
        // Not up to the log start: that may lie within a batch, of which nothing was synced yet.
        recovery_point: AtomicI64::new(if durable { end } else { recovery_point.clamp(0, end) }),
        cleaned_to: AtomicI64::new(cleaned_to),
        first_open_transaction: AtomicI64::new(i64::MAX),
        durable: Mutex::new(Durable { epochs: epochs_on_disk, identity: durable }),
        truncations: AtomicU64::new(0),
        file_delete_delay_ms: AtomicI64::new(config.file_delete_delay_ms),
        names_dirty: AtomicBool::new(!durable),
        deleted: AtomicBool::new(false),
        released: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        dir,
    });
    let rebuilt = producers(&state, contents.snapshots, clean, recovery_point, now_ms)?;
    // Deleted records that a crash has brought back may have been cut off the checkpoint already.
    let first_epoch = state.epochs.load().entries().first().map(|entry| entry.start);
    if end > start && (!known || first_epoch.is_none_or(|first| first > start)) {
        match rebuild_epochs(&state) {
            Err(ReadError::Corrupt { base_offset, position, reason }) => {
                warn!(partition = %state.dir.partition, base_offset, position, %reason, "not all leader epochs are known");
            }
            result => result.map_err(|error| read_error(&state.dir, error))?,
        }
    }
    let mut writer = LogWriter::new(WriterParts {
        state,
        config,
        producers: rebuilt.producers,
        last_snapshot: rebuilt.snapshot,
        now_ms,
    });
    if end < start {
        // Records behind the log start offset were lost with the machine: the log goes on where it starts.
        warn!(partition = %writer.topic_partition(), end, start, "the log ends before it starts: it is emptied");
        writer
            .truncate_fully_and_start_at(start, now_ms)
            .map_err(|error| OpenError::Corrupt { path: writer.path().to_path_buf(), reason: error.to_string() })?;
    }
    Ok(writer)
}

/// The producers, from a snapshot that can be trusted: of a log that was not closed, one that lies below the recovery
/// point. What later ones tell may never have reached the disk.
fn producers(
    state: &LogState,
    snapshots: Vec<Offset>,
    clean: bool,
    recovery_point: Offset,
    now_ms: i64,
) -> Result<super::producers::Rebuilt, OpenError> {
    let end = state.end_offset();
    // Before the first segment there is nothing left that could contradict a snapshot, or replace it.
    let durable = recovery_point.max(state.segments.load().first().base_offset());
    let (trusted, doubtful): (Vec<_>, Vec<_>) = snapshots.into_iter().partition(|&offset| clean || offset <= durable);
    for offset in doubtful {
        let path = crate::segment::FileKind::ProducerSnapshot.path(&state.dir.path, offset);
        match state.dir.disk().remove_file(&path) {
            // It went with its segment.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&path, error)),
            _ => {}
        }
    }
    rebuild_producers(state, trusted, end, now_ms).map_err(|error| read_error(&state.dir, error))
}

/// The segments as they were left; `None` if they are not as a clean close leaves them.
fn load(dir: &Arc<LogDir>, contents: &Contents) -> Result<Option<Vec<Segment>>, OpenError> {
    let mut segments = Vec::with_capacity(contents.segments.len());
    for (index, &base_offset) in contents.segments.iter().enumerate() {
        let bytes = file_len(dir, base_offset)?;
        let next = contents.segments.get(index + 1);
        let relative_offset = match next {
            Some(&next) => relative(dir, base_offset, next)?,
            // Behind an empty last segment the log ends where the one before it ends.
            None if bytes == 0
                && !continues(dir, &segments, base_offset).map_err(|error| io_error(&dir.path, error))? =>
            {
                return Ok(None);
            }
            None => match find_end(dir, base_offset, bytes) {
                Ok(Some(relative_offset)) => relative_offset,
                Ok(None) => return Ok(None),
                Err(error) => return Err(io_error(&dir.path, error)),
            },
        };
        let end = Position { bytes, relative_offset };
        // Without records there is nothing to look up.
        segments.push(if bytes == 0 {
            let segment = Segment::empty(Arc::clone(dir), base_offset);
            segment.set_end(end);
            segment
        } else {
            Segment::existing(Arc::clone(dir), base_offset, end)
        });
    }
    Ok(Some(segments))
}

fn relative(dir: &LogDir, base_offset: Offset, next: Offset) -> Result<u32, OpenError> {
    u32::try_from(next - base_offset).map_err(|_| OpenError::Corrupt {
        path: dir.path.clone(),
        reason: format!("the segment at {base_offset} is followed by one at {next}, too far away"),
    })
}

fn file_len(dir: &LogDir, base_offset: Offset) -> Result<u32, OpenError> {
    let path = crate::segment::FileKind::Log.path(&dir.path, base_offset);
    let len = dir.disk().stat(&path).map_err(|error| io_error(&path, error))?.len;
    u32::try_from(len)
        .map_err(|_| OpenError::Corrupt { path, reason: format!("it has {len} bytes, more than a segment can have") })
}

/// Whether the last of `segments` really ends at `next`, or if there is none.
fn continues(dir: &Arc<LogDir>, segments: &[Segment], next: Offset) -> io::Result<bool> {
    let Some(last) = segments.last() else { return Ok(true) };
    let end = find_end(dir, last.base_offset(), last.end().bytes)?;
    Ok(end.is_some_and(|end| last.base_offset() + i64::from(end) <= next))
}

/// Where the last segment ends in offsets: behind the last index entry it is batch by batch. `None` if a batch is not
/// whole.
fn find_end(dir: &Arc<LogDir>, base_offset: Offset, bytes: u32) -> io::Result<Option<u32>> {
    if bytes == 0 {
        return Ok(Some(0));
    }
    let segment = Segment::existing(Arc::clone(dir), base_offset, Position { bytes, relative_offset: u32::MAX });
    let file = segment.log_file()?;
    let from = segment.last_indexed(&file)?;
    let mut scan = segment.scan(&file, from, bytes);
    let mut end = 0;
    loop {
        match scan.next() {
            Ok(Some((_, header))) => end = segment.relative(header.next_offset()),
            Ok(None) => return Ok(Some(end)),
            Err(ScanError::Corrupt { .. }) => return Ok(None),
            Err(ScanError::Io(error)) => return Err(error),
        }
    }
}

/// Recovers the segments from the recovery point on. Up to `gaps_to` compaction may have left a gap between two of them (not
/// ours, but Kafka's does).
fn recover(
    dir: &Arc<LogDir>,
    contents: &Contents,
    config: &LogConfig,
    (recovery_point, gaps_to): (Offset, Offset),
    mut epochs: LeaderEpochs,
    progress: &RecoveryProgress,
) -> Result<Loaded, OpenError> {
    // Later ones come from the batches.
    epochs.truncate_end(recovery_point);
    let bases = &contents.segments;
    let from = bases.partition_point(|&base| base <= recovery_point).saturating_sub(1);
    let mut segments = Vec::with_capacity(bases.len());
    for (index, &base_offset) in bases.iter().enumerate() {
        let len = file_len(dir, base_offset)?;
        if index < from {
            let relative_offset = relative(dir, base_offset, bases[index + 1])?;
            segments.push(Segment::existing(Arc::clone(dir), base_offset, Position { bytes: len, relative_offset }));
            continue;
        }
        let interval = config.index_interval_bytes;
        let recovered = recover_segment(dir, base_offset, len, recovery_point, interval, &mut epochs, progress)
            .map_err(|error| io_error(&dir.path, error))?;
        let end = recovered.segment.end_offset();
        // A file can have lost its tail in one piece, at the end of a batch: then the next segment tells.
        let parted = bases.get(index + 1).is_some_and(|&next| next > gaps_to && next != end);
        let ends_here = recovered.truncated || parted;
        if !ends_here && index + 1 < bases.len() {
            finish_indexes(&recovered.segment).map_err(|error| io_error(&dir.path, error))?;
        }
        segments.push(recovered.segment);
        if ends_here {
            if index + 1 < bases.len() {
                // Nobody goes on in another segment before this one is whole.
                progress.found_loss();
            }
            for &lost in bases[index + 1..].iter().rev() {
                warn!(partition = %dir.partition, base_offset = lost, "removed a segment behind a torn one");
                let segment = Segment::empty(Arc::clone(dir), lost);
                segment.mark_deleted().map_err(|error| io_error(&dir.path, error))?;
            }
            if index + 1 < bases.len() {
                // The next crash must not bring them back behind the records that take their place.
                dir.disk().sync_dir(&dir.path).map_err(|error| io_error(&dir.path, error))?;
            }
            break;
        }
    }
    Ok(Loaded { segments, epochs })
}

/// The epochs in the checkpoint; `None` if it is damaged.
fn read_epochs(dir: &LogDir) -> Result<Option<LeaderEpochs>, OpenError> {
    let path = dir.path.join(EPOCH_CHECKPOINT_FILE);
    let bytes = dir.disk().read(&path, MAX_CHECKPOINT_BYTES).map_err(|error| io_error(&path, error))?;
    match parse_epochs(&String::from_utf8_lossy(&bytes)) {
        Ok(epochs) => Ok(Some(epochs)),
        Err(reason) => {
            warn!(path = %path.display(), %reason, "the leader epochs are read from the batches");
            Ok(None)
        }
    }
}

fn rebuild_epochs(state: &LogState) -> Result<(), ReadError> {
    let mut epochs = LeaderEpochs::default();
    let segments = state.segments.load_full();
    for segment in segments.iter().filter(|segment| segment.size() > 0) {
        let failure = |error| state.scan_failure(segment, error);
        let file = segment.log_file().map_err(|error| failure(ScanError::Io(error)))?;
        let mut scan = segment.scan(&file, 0, segment.end().bytes);
        while let Some((_, header)) = scan.next().map_err(failure)? {
            epochs.assign(LeaderEpoch(header.partition_leader_epoch), header.base_offset);
        }
    }
    epochs.truncate_start(state.log_start_offset());
    state.epochs.store(Arc::new(epochs));
    Ok(())
}

fn io_error(path: &std::path::Path, error: io::Error) -> OpenError {
    OpenError::Io { path: path.to_path_buf(), source: Arc::new(error) }
}

fn read_error(dir: &LogDir, error: ReadError) -> OpenError {
    match error {
        ReadError::Io(source) => OpenError::Io { path: dir.path.clone(), source },
        ReadError::DirectoryOffline => OpenError::DirectoryOffline,
        other => OpenError::Corrupt { path: dir.path.clone(), reason: other.to_string() },
    }
}
