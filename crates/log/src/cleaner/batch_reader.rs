//! Reads a segment batch by batch, in large pieces, and checks every byte.

use std::ops::ControlFlow;

use levada_records::{BATCH_HEADER_LEN, BatchError, BatchHeader, RecordBatch};

use super::cleaner::Guide;
use crate::disk::OpenFile;
use crate::segment::ScanError;

/// Reads a segment batch by batch. What it brought into the page cache, it takes out again: what others want there stays.
pub(super) struct BatchReader<'a> {
    file: &'a OpenFile,
    end: u64,
    buffer: &'a mut Vec<u8>,
    piece: usize,
    /// Where the buffer's bytes lie in the file.
    buffer_at: u64,
    /// How far the batches that were read go, in the file.
    position: u64,
    /// Which regions of the file were in the page cache before anything was read: reading brings in what lies ahead, too.
    hot: Vec<bool>,
}

/// How finely the page cache is minded.
const REGION: u64 = 8 << 20;

/// Why there is no next batch.
pub(super) enum Stop {
    /// Something is wrong with the segment.
    Scan(ScanError),
    /// The cleaning is over.
    CalledOff,
}

impl<'a> BatchReader<'a> {
    /// A reader from `position`, where a batch starts, to `end`; `piece` bytes at a time, more if a batch is larger.
    pub(super) fn new(file: &'a OpenFile, position: u64, end: u64, buffer: &'a mut Vec<u8>, piece: usize) -> Self {
        buffer.clear();
        let piece = piece.max(BATCH_HEADER_LEN);
        let middle = |region: u64| (region * REGION + REGION / 2).min(end.saturating_sub(1));
        let hot = (0..end.div_ceil(REGION)).map(|region| file.is_cached(middle(region))).collect();
        Self { file, end, buffer, piece, buffer_at: position, position, hot }
    }

    /// Whether others seem to read the segment.
    pub(super) fn is_hot(&self) -> bool {
        self.hot.contains(&true)
    }

    /// Where the next batch starts in the file.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// The next batch; its checksum is right.
    pub(super) fn next(&mut self, guide: &mut dyn Guide) -> Result<Option<RecordBatch<'_>>, Stop> {
        if self.position >= self.end {
            self.let_go();
            return Ok(None);
        }
        let position = self.position;
        let corrupt = |reason| Stop::Scan(ScanError::Corrupt { position, reason });
        self.fill(BATCH_HEADER_LEN, guide)?;
        let header = BatchHeader::parse(self.rest()).map_err(corrupt)?;
        let size = header.size_in_bytes();
        let available = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        if size > available {
            return Err(corrupt(BatchError::Truncated { needed: size, available }));
        }
        self.fill(size, guide)?;
        self.position += size as u64;
        let from = (position - self.buffer_at) as usize;
        let bytes = self.buffer.get(from..).unwrap_or_default();
        let (batch, _) = RecordBatch::parse(bytes).map_err(corrupt)?;
        batch.verify_crc().map_err(corrupt)?;
        if header.last_offset_delta < 0 {
            let (records_count, last_offset_delta) = (header.records_count, header.last_offset_delta);
            return Err(corrupt(BatchError::InvalidCounts { records_count, last_offset_delta }));
        }
        Ok(Some(batch))
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get((self.position - self.buffer_at) as usize..).unwrap_or_default()
    }

    /// Has at least `count` bytes in the buffer, or all that there are up to the end.
    fn fill(&mut self, count: usize, guide: &mut dyn Guide) -> Result<(), Stop> {
        if self.rest().len() >= count {
            return Ok(());
        }
        self.let_go();
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let want = self.piece.max(count).min(left);
        if guide.spend(want as u64) == ControlFlow::Break(()) {
            return Err(Stop::CalledOff);
        }
        if self.buffer.capacity() > want.max(self.piece) * 2 {
            // What one very large batch took is given back.
            *self.buffer = Vec::new();
        }
        self.buffer.resize(want, 0);
        let read =
            self.file.read_up_to(self.buffer, self.position).map_err(|error| Stop::Scan(ScanError::Io(error)))?;
        self.buffer.truncate(read);
        self.buffer_at = self.position;
        Ok(())
    }

    /// Gives the memory of the piece that was read back to the system, if it was not in use before.
    fn let_go(&self) {
        let region = usize::try_from(self.buffer_at / REGION).unwrap_or(usize::MAX);
        if self.position > self.buffer_at && self.hot.get(region) == Some(&false) {
            self.file.forget(self.buffer_at, self.position - self.buffer_at);
        }
    }
}
