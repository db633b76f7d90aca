//! Reads a segment batch by batch and checks every byte.

use std::io;

use crc_fast::{CrcAlgorithm, Digest};
use levada_records::{BATCH_HEADER_LEN, BatchError, BatchHeader, RecordBatch};

use crate::disk::OpenFile;
use crate::segment::ScanError;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// Where the checksummed bytes of a batch start: after the checksum itself.
const CHECKSUMMED_FROM: usize = 21;

/// Reads a segment batch by batch and checks every byte. Takes a fixed amount of memory, however large a damaged header
/// says that its batch is.
pub(super) struct BatchScan<'a> {
    file: &'a OpenFile,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer's bytes lie in the file.
    buffer_at: u64,
}

impl<'a> BatchScan<'a> {
    /// A scan from `position`, where a batch starts, to `end`.
    pub(super) fn new(file: &'a OpenFile, position: u64, end: u64) -> Self {
        Self { file, position, end, buffer: Vec::new(), buffer_at: position }
    }

    /// Where the batches end that were read: what is before is whole.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Takes the batch at `position` back, the last one that was read.
    pub(super) const fn rewind(&mut self, position: u64) {
        self.position = position;
    }

    /// The next batch: where it starts and its header. Its checksum is right.
    pub(super) fn next(&mut self) -> Result<Option<(u64, BatchHeader)>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let corrupt = |reason| ScanError::Corrupt { position, reason };
        let header = BatchHeader::parse(self.bytes(BATCH_HEADER_LEN).map_err(ScanError::Io)?).map_err(corrupt)?;
        let size = header.size_in_bytes();
        let available = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        if size > available {
            return Err(corrupt(BatchError::Truncated { needed: size, available }));
        }
        if size <= CHUNK {
            let bytes = self.bytes(size).map_err(ScanError::Io)?;
            RecordBatch::parse_only(bytes).and_then(|batch| batch.verify_crc()).map_err(corrupt)?;
        } else {
            self.check_large(&header, size)?;
        }
        if header.last_offset_delta < 0 {
            let (records_count, last_offset_delta) = (header.records_count, header.last_offset_delta);
            return Err(corrupt(BatchError::InvalidCounts { records_count, last_offset_delta }));
        }
        self.position += size as u64;
        Ok(Some((position, header)))
    }

    /// The next `count` bytes, at most a chunk; fewer at the end of the file.
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        let within = (self.position - self.buffer_at) as usize;
        if within + count > self.buffer.len() {
            let want = CHUNK.min(usize::try_from(self.end - self.position).unwrap_or(usize::MAX));
            self.buffer.resize(want, 0);
            let read = self.file.read_up_to(&mut self.buffer, self.position)?;
            self.buffer.truncate(read);
            self.buffer_at = self.position;
        }
        let from = (self.position - self.buffer_at) as usize;
        let to = (from + count).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }

    /// Checks a batch that is larger than a chunk, chunk by chunk.
    fn check_large(&mut self, header: &BatchHeader, size: usize) -> Result<(), ScanError> {
        let (start, end) = (self.position, self.position + size as u64);
        let corrupt = |reason| ScanError::Corrupt { position: start, reason };
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        let mut at = start + CHECKSUMMED_FROM as u64;
        while at < end {
            let want = CHUNK.min((end - at) as usize);
            self.buffer.resize(want, 0);
            let read = self.file.read_up_to(&mut self.buffer, at).map_err(ScanError::Io)?;
            if read == 0 {
                let available = (at - start) as usize;
                return Err(corrupt(BatchError::Truncated { needed: size, available }));
            }
            digest.update(&self.buffer[..read]);
            at += read as u64;
        }
        self.buffer.clear();
        self.buffer_at = start;
        let computed = digest.finalize() as u32;
        if computed == header.crc {
            Ok(())
        } else {
            Err(corrupt(BatchError::WrongChecksum { stored: header.crc, computed }))
        }
    }
}
