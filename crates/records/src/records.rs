//! Iterates over the records of a batch without allocating per record.

use crate::header::sequence_after;
use crate::input::Input;
use crate::record::{Headers, Record};
use crate::{BatchError, BatchHeader, Compression, MAX_DECOMPRESSED_BYTES, TimestampType};

/// Bytes that a [`RecordBuffer`] keeps for the next batch: what batches of the usual sizes take, so that one large batch
/// does not hold its memory for good.
const KEPT_BYTES: usize = 4 << 20;

/// Room for the decompressed records of one batch at a time; keep one per thread or task and use it again. It never
/// grows past its limit, and gives back what an unusually large batch took when the next one comes.
#[derive(Debug)]
pub struct RecordBuffer {
    decompressed: Vec<u8>,
    limit: usize,
}

impl RecordBuffer {
    /// A buffer that holds up to [`MAX_DECOMPRESSED_BYTES`]. Allocates nothing until a compressed batch comes.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(MAX_DECOMPRESSED_BYTES)
    }

    /// A buffer that holds up to `limit` bytes.
    #[must_use]
    pub const fn with_limit(limit: usize) -> Self {
        Self { decompressed: Vec::new(), limit }
    }

    /// Decompresses `bytes` in place of what the buffer held.
    pub(crate) fn fill(&mut self, compression: Compression, bytes: &[u8]) -> Result<&[u8], BatchError> {
        self.decompressed.clear();
        if self.decompressed.capacity() > KEPT_BYTES {
            self.decompressed = Vec::new();
        }
        compression.decompress(bytes, self.limit, &mut self.decompressed)?;
        Ok(&self.decompressed)
    }
}

impl Default for RecordBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The records of one batch, in order. Each is checked as it is reached: its lengths, its headers, that its offset
/// follows the one before, and at the end that there were as many as the header counts and nothing after them. An
/// error ends the iteration.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    header: BatchHeader,
    rest: Input<'a>,
    /// Records read so far.
    index: i32,
    /// Offset delta of the last record read, -1 before the first.
    last_delta: i32,
    done: bool,
}

impl<'a> Records<'a> {
    pub(crate) const fn new(header: BatchHeader, records: &'a [u8]) -> Self {
        Self { header, rest: Input(records), index: 0, last_delta: -1, done: false }
    }

    /// The encoded records that were not read yet.
    pub(crate) const fn remaining(&self) -> &'a [u8] {
        self.rest.0
    }

    fn read(&mut self) -> Result<Record<'a>, BatchError> {
        let malformed = |reason| BatchError::MalformedRecord { index: self.index, reason };
        let mut body = Input(self.rest.sized().ok_or_else(|| malformed("its length does not fit the batch"))?);
        // No bit of a record's own attributes has a meaning.
        body.byte().ok_or_else(|| malformed("it ends within its attributes"))?;
        let timestamp_delta = body.varlong().ok_or_else(|| malformed("its timestamp is not a valid number"))?;
        let delta = body.varint().ok_or_else(|| malformed("its offset is not a valid number"))?;
        let key = body.nullable().ok_or_else(|| malformed("its key does not fit the record"))?;
        let value = body.nullable().ok_or_else(|| malformed("its value does not fit the record"))?;
        let headers = Headers::read(&mut body).ok_or_else(|| malformed("its headers do not fill the record"))?;
        if delta <= self.last_delta || delta > self.header.last_offset_delta {
            return Err(malformed("its offset does not lie between its neighbours"));
        }
        self.last_delta = delta;
        self.index += 1;
        Ok(Record {
            offset: self.header.base_offset.saturating_add(i64::from(delta)),
            timestamp: match self.header.timestamp_type() {
                // Wraps as the encoder does, so that every timestamp comes back as it went in.
                TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(timestamp_delta),
                TimestampType::LogAppendTime => self.header.max_timestamp,
            },
            sequence: if self.header.has_producer_id() { sequence_after(self.header.base_sequence, delta) } else { -1 },
            key,
            value,
            headers,
        })
    }

    /// The record count of the header, checked against what was there.
    fn finish(&self) -> Result<(), BatchError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(BatchError::MalformedRecord { index: self.index, reason: "bytes follow the last record" })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.index >= self.header.records_count {
            self.done = true;
            return self.finish().err().map(Err);
        }
        let record = self.read();
        self.done = record.is_err();
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The header's count is a claim: no lower bound, so that `collect` does not allocate for it.
        (0, None)
    }
}
