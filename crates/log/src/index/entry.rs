//! The entries of `.index` and `.timeindex`, as Kafka writes them: big-endian, offsets relative to the segment's base.

use bytes::{Buf, BufMut};
use levada_types::TimestampMs;

/// An entry of a sparse index. Entries of one index ascend.
pub trait IndexEntry: Copy + Send + Sync + 'static {
    /// Bytes of an entry on disk.
    const SIZE: usize;

    /// Appends the entry as it is on disk.
    fn encode(self, target: &mut Vec<u8>);

    /// Reads an entry from exactly [`Self::SIZE`] bytes; `None` if there are fewer or if it cannot be one.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// Whether this entry may come right after `previous`.
    fn may_follow(&self, previous: &Self) -> bool;
}

/// Where a batch lies: the offset is its last one, the position is where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base.
    pub relative_offset: u32,
    /// Where the batch starts in the segment's file.
    pub position: u32,
}

/// What time it was: no record up to the offset is newer than the timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// The greatest timestamp so far.
    pub timestamp: TimestampMs,
    /// Last offset of the batch that has it, relative to the segment's base.
    pub relative_offset: u32,
}

impl IndexEntry for OffsetEntry {
    const SIZE: usize = 8;

    fn encode(self, target: &mut Vec<u8>) {
        target.put_u32(self.relative_offset);
        target.put_u32(self.position);
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let entry = Self { relative_offset: bytes.try_get_u32().ok()?, position: bytes.try_get_u32().ok()? };
        // Both are signed and never negative in Kafka.
        (entry.relative_offset <= i32::MAX as u32 && entry.position <= i32::MAX as u32).then_some(entry)
    }

    fn may_follow(&self, previous: &Self) -> bool {
        self.relative_offset > previous.relative_offset && self.position > previous.position
    }
}

impl IndexEntry for TimeEntry {
    const SIZE: usize = 12;

    fn encode(self, target: &mut Vec<u8>) {
        target.put_i64(self.timestamp);
        target.put_u32(self.relative_offset);
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let entry = Self { timestamp: bytes.try_get_i64().ok()?, relative_offset: bytes.try_get_u32().ok()? };
        (entry.relative_offset <= i32::MAX as u32).then_some(entry)
    }

    fn may_follow(&self, previous: &Self) -> bool {
        self.timestamp > previous.timestamp && self.relative_offset >= previous.relative_offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_bytes_as_kafka_writes_them() {
        let mut bytes = Vec::new();
        OffsetEntry { relative_offset: 0x0102_0304, position: 0x0506_0708 }.encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            OffsetEntry::decode(&bytes),
            Some(OffsetEntry { relative_offset: 0x0102_0304, position: 0x0506_0708 })
        );

        let mut bytes = Vec::new();
        TimeEntry { timestamp: 0x0102_0304_0506_0708, relative_offset: 9 }.encode(&mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9]);
        assert_eq!(TimeEntry::decode(&bytes), Some(TimeEntry { timestamp: 0x0102_0304_0506_0708, relative_offset: 9 }));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(OffsetEntry::decode(&[0xff; 8]), None);
        assert_eq!(OffsetEntry::decode(&[0; 7]), None);
        assert_eq!(TimeEntry::decode(&[0xff; 12]), None);
        assert_eq!(TimeEntry::decode(&[0; 11]), None);
    }
}
