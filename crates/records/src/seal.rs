//! Puts a header with the right length and checksum in front of encoded records.

use crate::checksum::crc32c;
use crate::header::{CHECKSUMMED_FROM, CRC_AT};
use crate::{BATCH_HEADER_LEN, BatchError, BatchHeader, LENGTH_PREFIX_LEN};

/// Overwrites the first [`BATCH_HEADER_LEN`] bytes of `batch`, which must be there, with `header`, its length field set
/// to what follows and its checksum computed.
///
/// # Errors
/// [`BatchError::BuilderFull`] if the batch is longer than the length field can say.
pub(crate) fn seal(batch: &mut [u8], header: BatchHeader) -> Result<(), BatchError> {
    let size = i32::try_from(batch.len()).map_err(|_| BatchError::BuilderFull)?;
    write_checksummed(batch, BatchHeader { batch_length: size - LENGTH_PREFIX_LEN as i32, ..header });
    Ok(())
}

/// Like [`seal`] for a batch whose length did not change.
pub(crate) fn write_checksummed(batch: &mut [u8], header: BatchHeader) {
    debug_assert!(batch.len() >= BATCH_HEADER_LEN, "the caller left room for the header");
    if let Some(target) = batch.first_chunk_mut::<BATCH_HEADER_LEN>() {
        header.write_to(target);
    }
    let crc = crc32c(batch.get(CHECKSUMMED_FROM..).unwrap_or_default());
    if let Some(field) = batch.get_mut(CRC_AT..CHECKSUMMED_FROM) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
}
