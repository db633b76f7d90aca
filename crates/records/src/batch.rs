//! One record batch, in place.

use crate::checksum::crc32c;
use crate::header::CHECKSUMMED_FROM;
use crate::{BATCH_HEADER_LEN, BatchError, BatchHeader, Compression, RecordBuffer, Records};

/// A batch whose header was read and whose bytes are all there. The checksum is checked only by [`Self::verify_crc`].
#[derive(Debug, Clone, Copy)]
pub struct RecordBatch<'a> {
    header: BatchHeader,
    /// The whole batch: at least a header, exactly as long as the header says.
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// Reads the batch at the start of `bytes`; the second value is what follows it.
    ///
    /// # Errors
    /// Those of [`BatchHeader::parse`], and [`BatchError::Truncated`] if the batch is not all there.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size_in_bytes();
        let (bytes, rest) =
            bytes.split_at_checked(needed).ok_or(BatchError::Truncated { needed, available: bytes.len() })?;
        Ok((Self { header, bytes }, rest))
    }

    /// Reads a batch that fills `bytes`.
    ///
    /// # Errors
    /// Those of [`Self::parse`], and [`BatchError::InvalidLength`] if anything follows it.
    pub fn parse_only(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let (batch, rest) = Self::parse(bytes)?;
        if rest.is_empty() { Ok(batch) } else { Err(BatchError::InvalidLength { length: batch.header.batch_length }) }
    }

    /// What the batch says of itself.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records as they are in the batch, compressed if it is.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(BATCH_HEADER_LEN..).unwrap_or_default()
    }

    /// Checks the checksum.
    ///
    /// # Errors
    /// [`BatchError::WrongChecksum`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c(self.bytes.get(CHECKSUMMED_FROM..).unwrap_or_default());
        let stored = self.header.crc;
        if computed == stored { Ok(()) } else { Err(BatchError::WrongChecksum { stored, computed }) }
    }

    /// Iterates over the records. A compressed batch is decompressed into `buffer` first, an uncompressed one is read
    /// in place and leaves `buffer` alone.
    ///
    /// # Errors
    /// [`BatchError::UnknownCompression`], [`BatchError::Decompression`], and [`BatchError::DecompressedTooLarge`] at
    /// the limit of `buffer`.
    pub fn records<'b>(&self, buffer: &'b mut RecordBuffer) -> Result<Records<'b>, BatchError>
    where
        'a: 'b,
    {
        let records = match self.header.compression()? {
            Compression::None => self.payload(),
            compression => buffer.fill(compression, self.payload())?,
        };
        Ok(Records::new(self.header, records))
    }
}
