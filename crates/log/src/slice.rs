//! What a read returns: record batches, pinned where they lie.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::disk::OpenFile;

/// Whole record batches: a range of a segment file, or bytes in memory. Cheap to clone.
///
/// The file stays open as long as the slice lives, so deleting the segment or the topic takes nothing away from it.
/// Truncation (a follower that gives up a diverging tail) shortens the file in place: a read of the lost part then ends
/// early, with [`io::ErrorKind::UnexpectedEof`] here and with a short `sendfile` at a face, which has to close the
/// connection since it has promised a length; once the log has grown again, it finds the batches that took their
/// place. Only bytes at or above the high watermark are ever truncated, so a slice that was read below it is safe; who
/// reads above it checks the batches.
#[derive(Clone)]
pub struct Slice(Source);

#[derive(Clone)]
enum Source {
    File { file: Arc<OpenFile>, position: u64, len: usize },
    Memory(Bytes),
}

impl Slice {
    /// A range of an open file.
    pub(crate) fn of_file(file: Arc<OpenFile>, position: u64, len: usize) -> Self {
        Self(Source::File { file, position, len })
    }

    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self(Source::Memory(Bytes::new()))
    }

    /// Bytes that lie in memory.
    #[must_use]
    pub fn of_bytes(bytes: Bytes) -> Self {
        Self(Source::Memory(bytes))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::File { len, .. } => *len,
            Source::Memory(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Descriptor, position and length for `sendfile`; `None` if it is not in a file that has a descriptor.
    #[must_use]
    pub fn as_file(&self) -> Option<(BorrowedFd<'_>, u64, usize)> {
        match &self.0 {
            Source::File { file, position, len } => file.as_fd().map(|fd| (fd, *position, *len)),
            Source::Memory(_) => None,
        }
    }

    /// The bytes; reads them if they are in a file.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` if the log was truncated below the end of this slice.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        match &self.0 {
            Source::Memory(bytes) => Ok(bytes.clone()),
            Source::File { .. } => {
                let mut buffer = BytesMut::new();
                self.read_into(&mut buffer)?;
                Ok(buffer.freeze())
            }
        }
    }

    /// Appends the bytes to `buffer`.
    ///
    /// # Errors
    /// As [`Self::to_bytes`]; `buffer` is then as it was.
    pub fn read_into(&self, buffer: &mut BytesMut) -> io::Result<()> {
        match &self.0 {
            Source::Memory(bytes) => buffer.extend_from_slice(bytes),
            Source::File { file, position, len } => {
                let start = buffer.len();
                buffer.resize(start + len, 0);
                if let Err(error) = file.read_exact_at(&mut buffer[start..], *position) {
                    buffer.truncate(start);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Reads into `buffer` from `offset` bytes behind the start of the slice, and returns how many bytes it read: as
    /// many as fit. For sending a large slice in pieces.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.len().saturating_sub(offset));
        match &self.0 {
            Source::Memory(bytes) => buffer[..count].copy_from_slice(&bytes[offset..offset + count]),
            Source::File { file, position, .. } => {
                file.read_exact_at(&mut buffer[..count], position + offset as u64)?;
            }
        }
        Ok(count)
    }

    /// Whether the first and the last page can be read without waiting for a device, which is a good sign for those
    /// between. A hint for whoever must not block: read it elsewhere if this is false.
    #[must_use]
    pub fn is_likely_cached(&self) -> bool {
        match &self.0 {
            Source::Memory(_) => true,
            Source::File { file, position, len } => {
                *len == 0 || (file.is_cached(*position) && file.is_cached(position + *len as u64 - 1))
            }
        }
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File { position, len, .. } => write!(f, "Slice({len} bytes of a file at {position})"),
            Source::Memory(bytes) => write!(f, "Slice({} bytes in memory)", bytes.len()),
        }
    }
}
