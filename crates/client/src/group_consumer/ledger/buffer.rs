//! Records that have come and wait for the program.

use std::collections::VecDeque;

use levada_types::Offset;

use super::held::Key;
use crate::ConsumedRecord;

/// What a record takes beside its key, value and headers, roughly.
const RECORD_OVERHEAD: usize = 128;

/// Records of one response.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) key: Key,
    pub(super) records: VecDeque<ConsumedRecord>,
    /// Behind the last of them, and behind what lies after it that is no record.
    pub(super) next_offset: Offset,
}

/// Chunks in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

/// What was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: Key,
    /// Nothing where a response had no records.
    pub(super) record: Option<ConsumedRecord>,
    /// Behind what was taken.
    pub(super) next_offset: Offset,
}

impl Buffer {
    /// How much memory they take, roughly.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.records.iter().map(size).sum::<usize>();
        self.chunks.push_back(chunk);
    }

    /// Takes the oldest record.
    pub(super) fn take(&mut self) -> Option<Taken> {
        let chunk = self.chunks.front_mut()?;
        let (key, record, end) = (chunk.key, chunk.records.pop_front(), chunk.next_offset);
        let is_last = chunk.records.is_empty();
        if is_last {
            self.chunks.pop_front();
        }
        let next_offset = match &record {
            Some(record) if !is_last => record.offset.saturating_add(1),
            _ => end,
        };
        if let Some(record) = &record {
            self.bytes -= size(record);
        }
        Some(Taken { key, record, next_offset })
    }

    /// Drops what waits of a partition.
    pub(super) fn drop_all_of(&mut self, key: Key) {
        let bytes = &mut self.bytes;
        self.chunks.retain(|chunk| {
            if chunk.key == key {
                *bytes -= chunk.records.iter().map(size).sum::<usize>();
            }
            chunk.key != key
        });
    }
}

fn size(record: &ConsumedRecord) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = record.headers.iter().map(|header| header.key.len() + length(&header.value)).sum();
    RECORD_OVERHEAD + length(&record.key) + length(&record.value) + headers
}
