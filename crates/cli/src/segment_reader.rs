//! Reads the batches of a segment's file in order, one at a time.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use levada_records::{BATCH_HEADER_LEN, BatchHeader};

use crate::CliError;

/// Bytes read from the file at once.
const READ_BYTES: usize = 1 << 20;

/// A segment's file that is being read.
pub(crate) struct SegmentReader {
    path: String,
    file: BufReader<File>,
    len: u64,
    position: u64,
}

/// What comes next in a segment.
pub(crate) enum Next {
    /// A batch, as far as its length goes, which starts at this byte.
    Batch(u64),
    /// Nothing.
    End,
    /// Bytes that are no whole batch, from the first on; the text says why.
    Torn(String),
}

impl SegmentReader {
    /// Opens the file.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let shown = path.display().to_string();
        let file = File::open(path).map_err(CliError::io(&shown))?;
        let len = file.metadata().map_err(CliError::io(&shown))?.len();
        Ok(Self { path: shown, file: BufReader::with_capacity(READ_BYTES, file), len, position: 0 })
    }

    /// How long the file was when it was opened.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that were not read yet.
    pub(crate) const fn left(&self) -> u64 {
        self.len - self.position
    }

    /// Reads the next batch into `batch`. Nothing follows what is torn.
    pub(crate) fn next(&mut self, batch: &mut Vec<u8>) -> Result<Next, CliError> {
        let (position, left) = (self.position, self.left());
        batch.clear();
        if left == 0 {
            return Ok(Next::End);
        }
        let head = left.min(BATCH_HEADER_LEN as u64);
        self.read(head, batch)?;
        let size = match BatchHeader::parse(batch).map(|header| header.size_in_bytes() as u64) {
            Ok(size) if size <= left => size,
            Ok(size) => {
                return Ok(Next::Torn(format!("torn at byte {position}: a batch of {size} bytes, {left} are there")));
            }
            Err(error) => {
                return Ok(Next::Torn(format!("no batch at byte {position}, {left} bytes before the end: {error}")));
            }
        };
        self.read(size - head, batch)?;
        self.position += size;
        Ok(Next::Batch(position))
    }

    fn read(&mut self, bytes: u64, into: &mut Vec<u8>) -> Result<(), CliError> {
        self.file.by_ref().take(bytes).read_to_end(into).map_err(CliError::io(&self.path))?;
        Ok(())
    }
}
