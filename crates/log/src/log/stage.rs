//! Batches that are ready to be written, all in one go.

use std::io::{self, IoSlice};

use bytes::Bytes;
use levada_records::{BatchHeader, EndTxnMarker, STAMP_LEN, stamp};

use crate::disk::OpenFile;
use crate::producers::Savepoint;

/// A batch with its place in the log, and what to undo if it cannot be written.
pub(super) struct Staged {
    /// Its header, offsets and leader epoch as they will be on disk.
    pub(super) header: BatchHeader,
    pub(super) marker: Option<EndTxnMarker>,
    pub(super) log_append_time: i64,
    /// Its producer as it was before.
    pub(super) undo: Option<Savepoint>,
    /// Which of the caller's batches it is.
    pub(super) index: usize,
    stamp: [u8; STAMP_LEN],
    bytes: Bytes,
}

impl Staged {
    /// A batch at its place: `header` bears the offsets and the epoch that it gets.
    pub(super) fn new(header: BatchHeader, bytes: Bytes) -> Self {
        let stamp = stamp(header.base_offset, header.batch_length, header.partition_leader_epoch);
        Self { header, marker: None, log_append_time: -1, undo: None, index: 0, stamp, bytes }
    }

    /// Its size on disk.
    pub(super) fn size(&self) -> u32 {
        self.bytes.len() as u32
    }
}

/// Writes the batches one after the other at `position`: of each the stamp, then the rest of its bytes where they lie.
pub(super) fn write(staged: &[Staged], file: &OpenFile, position: u64) -> io::Result<()> {
    let mut buffers = Vec::with_capacity(staged.len() * 2);
    for batch in staged {
        buffers.push(IoSlice::new(&batch.stamp));
        buffers.push(IoSlice::new(batch.bytes.get(STAMP_LEN..).unwrap_or_default()));
    }
    file.write_all_vectored_at(&mut buffers, position)
}
