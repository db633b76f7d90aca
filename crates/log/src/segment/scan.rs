//! Walks over the batch headers of a segment without reading the records.

use std::io;

use levada_records::{BATCH_HEADER_LEN, BatchError, BatchHeader};

use crate::disk::OpenFile;

/// Bytes read at a time while batches are small: the usual distance of two index entries.
const READ_AHEAD: usize = 4096;

/// Walks over the batch headers between two positions of a segment's file.
pub(crate) struct HeaderScan<'a> {
    file: &'a OpenFile,
    /// Where the next batch starts.
    position: u64,
    end: u64,
    buffer: [u8; READ_AHEAD],
    /// Where the buffer's bytes lie in the file.
    buffer_at: u64,
    buffered: usize,
    last_size: usize,
}

/// Why a scan stopped before the end.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// There is no batch where one should start.
    Corrupt {
        /// Where.
        position: u64,
        /// What is there instead.
        reason: BatchError,
    },
    /// The system refused.
    Io(io::Error),
}

impl<'a> HeaderScan<'a> {
    /// A scan from `position`, where a batch starts, up to `end`.
    pub(crate) fn new(file: &'a OpenFile, position: u64, end: u64) -> Self {
        Self { file, position, end, buffer: [0; READ_AHEAD], buffer_at: position, buffered: 0, last_size: 0 }
    }

    /// The next batch: where it starts and its header. It is all there, as far as lengths can tell.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, BatchHeader)>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let corrupt = |reason| ScanError::Corrupt { position, reason };
        let offset = self.fill().map_err(ScanError::Io)?;
        let header = BatchHeader::parse(self.buffer.get(offset..self.buffered).unwrap_or_default()).map_err(corrupt)?;
        let size = header.size_in_bytes();
        let available = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        if size > available {
            return Err(corrupt(BatchError::Truncated { needed: size, available }));
        }
        self.position += size as u64;
        self.last_size = size;
        Ok(Some((position, header)))
    }

    /// Makes sure that the header at the current position is in the buffer, as far as the file has it; returns where.
    fn fill(&mut self) -> io::Result<usize> {
        let within = self.position - self.buffer_at;
        if within + BATCH_HEADER_LEN as u64 <= self.buffered as u64 {
            return Ok(within as usize);
        }
        // Behind a large batch another large one is likely: then only its header is read.
        let want = if self.last_size > READ_AHEAD { BATCH_HEADER_LEN } else { READ_AHEAD };
        let want = want.min(usize::try_from(self.end - self.position).unwrap_or(usize::MAX));
        self.buffered = self.file.read_up_to(&mut self.buffer[..want], self.position)?;
        self.buffer_at = self.position;
        Ok(0)
    }
}
