//! Copies the batches of one partition.
//!
//! Records, offsets and timestamps stay. Two things of the old cluster's go, because they would be taken for this one's:
//! the leader epochs, which here begin at 0, and the ids of producers, of which this cluster gives out its own; a new
//! producer that got an old one's id would find its records taken for duplicates.

use bytes::Bytes;
use levada_log::LogWriter;
use levada_records::{RecordBatch, STAMP_LEN, stamp, with_producer};
use levada_types::{Offset, TimestampMs};
use serde::Serialize;

use super::source::SourcePartition;
use super::target::failed;
use crate::CliError;
use crate::segment_reader::{Next, SegmentReader};

/// The first leader epoch of a topic.
const LEADER_EPOCH: i32 = 0;

/// A batch has no producer id, epoch or sequence: Kafka's mark for each of them.
const NO_PRODUCER: (i64, i16, i32) = (-1, -1, -1);

/// Bytes that are appended at once, unless a single batch is larger.
const APPEND_BYTES: usize = 1 << 20;

/// What was copied of one partition.
#[derive(Debug, Serialize)]
pub(super) struct Copied {
    pub(super) partition: String,
    /// The first offset that a consumer may see.
    pub(super) start: Offset,
    /// The offset that the next record gets.
    pub(super) end: Offset,
    pub(super) batches: u64,
    pub(super) bytes: u64,
    /// Bytes behind the last whole batch of a log that Kafka had not closed. They were left out, as Kafka would have cut
    /// them off.
    pub(super) torn_bytes: u64,
}

/// Copies a partition into an empty log. On failure what was copied is in the log.
pub(super) fn copy(from: &SourcePartition, into: &mut LogWriter, now_ms: TimestampMs) -> Result<Copied, CliError> {
    let mut copy = Copy { from, into, now_ms, pending: Vec::new(), batches: 0, bytes: 0, torn_bytes: 0 };
    copy.segments()?;
    copy.finish()
}

fn is_damaged(batch: &[u8]) -> bool {
    RecordBatch::parse_only(batch).is_ok_and(|batch| batch.verify_crc().is_err())
}

struct Copy<'a> {
    from: &'a SourcePartition,
    into: &'a mut LogWriter,
    now_ms: TimestampMs,
    /// Batches that are to be appended.
    pending: Vec<u8>,
    batches: u64,
    bytes: u64,
    torn_bytes: u64,
}

impl Copy<'_> {
    fn segments(&mut self) -> Result<(), CliError> {
        let from = self.from;
        let mut bytes = Vec::new();
        for (path, is_last) in from.files() {
            let mut segment = SegmentReader::open(path)?;
            loop {
                match segment.next(&mut bytes)? {
                    // Written in part when the machine stopped.
                    Next::Batch(_) if is_last && !from.clean && is_damaged(&bytes) => {
                        self.torn_bytes = segment.left() + bytes.len() as u64;
                        break;
                    }
                    Next::Batch(position) => {
                        self.batch(&bytes).map_err(|reason| {
                            CliError::Failed(format!("{}: batch at byte {position}: {reason}", path.display()))
                        })?;
                    }
                    // Likewise, or cut short by the broker's end.
                    Next::Torn(_) if is_last && !from.clean => {
                        self.torn_bytes = segment.left();
                        break;
                    }
                    Next::Torn(reason) => return Err(CliError::Failed(format!("{}: {reason}", path.display()))),
                    Next::End => break,
                }
            }
        }
        self.append().map_err(|reason| CliError::Failed(format!("{}: {reason}", from.name)))
    }

    fn batch(&mut self, bytes: &[u8]) -> Result<(), String> {
        let batch = RecordBatch::parse_only(bytes).map_err(|error| error.to_string())?;
        let header = batch.header();
        if header.last_offset() < self.from.start {
            return Ok(());
        }
        batch.verify_crc().map_err(|error| error.to_string())?;
        if header.is_transactional() || header.is_control() {
            return Err("it belongs to a transaction, which Levada does not have yet; leave the topic out".to_owned());
        }
        if self.batches == 0 && header.base_offset != self.into.log_end_offset() {
            self.start_at(header.base_offset).map_err(|error| error.to_string())?;
        }
        let (id, epoch, sequence) = NO_PRODUCER;
        let anonymous = with_producer(&batch, id, epoch, sequence);
        self.pending.extend(stamp(header.base_offset, header.batch_length, LEADER_EPOCH));
        self.pending.extend_from_slice(anonymous.get(STAMP_LEN..).unwrap_or_default());
        self.batches += 1;
        self.bytes += bytes.len() as u64;
        if self.pending.len() >= APPEND_BYTES { self.append() } else { Ok(()) }
    }

    fn append(&mut self) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let batches = Bytes::from(std::mem::take(&mut self.pending));
        self.into.append_as_follower(&batches, self.now_ms).map(drop).map_err(|error| error.to_string())
    }

    fn start_at(&mut self, offset: Offset) -> Result<(), levada_log::LogError> {
        self.into.truncate_fully_and_start_at(offset, self.now_ms)
    }

    fn finish(mut self) -> Result<Copied, CliError> {
        let name = &self.from.name;
        let (start, end) = (self.from.start, self.from.least_end());
        if self.batches == 0 && end > 0 {
            self.start_at(end).map_err(failed(name))?;
        }
        if self.into.log_end_offset() < end {
            let copied = self.into.log_end_offset();
            return Err(CliError::Failed(format!(
                "{name}: offsets {copied} to {end} hold no records any more, and a log cannot end in such a gap; produce one \
                 record to it with Kafka and import again"
            )));
        }
        let start = self.into.advance_log_start(start).map_err(failed(name))?;
        Ok(Copied {
            partition: name.to_string(),
            start,
            end: self.into.log_end_offset(),
            batches: self.batches,
            bytes: self.bytes,
            torn_bytes: self.torn_bytes,
        })
    }
}
