//! An open file with the loops around its short reads and writes.

use std::io::{self, IoSlice};
use std::ops::Deref;

use super::{DiskFile, MAX_BUFFERS};

/// An open file, shared by those who read it. Whoever holds it keeps it alive, whatever happens to its name.
#[derive(Debug)]
pub struct OpenFile(Box<dyn DiskFile>);

impl OpenFile {
    /// Wraps a file of a disk.
    #[must_use]
    pub fn new(file: Box<dyn DiskFile>) -> Self {
        Self(file)
    }

    /// Writes all the buffers at `position`.
    ///
    /// # Errors
    /// The first error. How much of the buffers was written then is unknown; the caller cuts the file back.
    pub fn write_all_vectored_at(&self, mut buffers: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
        // Empty buffers at the front would look like a write of nothing.
        IoSlice::advance_slices(&mut buffers, 0);
        while !buffers.is_empty() {
            let count = buffers.len().min(MAX_BUFFERS);
            match self.0.write_vectored_at(&buffers[..count], position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut buffers, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `position`.
    ///
    /// # Errors
    /// As [`Self::write_all_vectored_at`].
    pub fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.write_all_vectored_at(&mut [IoSlice::new(bytes)], position)
    }

    /// Reads until `buffer` is full or the file ends, and returns how many bytes it read.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_up_to(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Fills `buffer`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        if self.read_up_to(buffer, position)? == buffer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

impl Deref for OpenFile {
    type Target = dyn DiskFile;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
