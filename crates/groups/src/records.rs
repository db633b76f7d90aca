//! The formats of `__consumer_offsets`, as Kafka has them.
//!
//! A key begins with a number that says which kind of record it is (Kafka calls it the version of the key); a value begins
//! with the version of its format. Both come from Kafka's message definitions. What is not known is left alone.

mod consumer;
mod group_metadata;
mod offset_commit;
mod reader;
mod writer;

use bytes::Bytes;

pub use consumer::{
    Change, ClassicMember, ConsumerMember, ConsumerRecord, CurrentAssignment, GroupEpoch, MemberState, OwnedPartitions,
    Partitions, ResolvedRegex, TargetEpoch,
};
pub use group_metadata::{GroupMetadata, MemberMetadata};
pub use offset_commit::{OffsetKey, OffsetValue};
pub use reader::{Reader, RecordError};
pub use writer::Writer;

/// A record of `__consumer_offsets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// The committed offset of a partition; `None` forgets it. Kinds 0 and 1.
    Offset(OffsetKey<'a>, Option<OffsetValue<'a>>),
    /// A generation of a group of the classic protocol; `None` forgets the group. Kind 2.
    Group(&'a str, Option<GroupMetadata>),
    /// Something of a group of the next-generation protocol. Kinds 3 to 8 and 16.
    Consumer(ConsumerRecord),
}

impl<'a> Record<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] for kinds and versions that are not known, and for what is cut off or damaged.
    pub fn read(key: &'a [u8], value: Option<&'a [u8]>) -> Result<Self, RecordError> {
        let mut key = Reader::new(key);
        let kind = key.i16()?;
        match kind {
            0 | 1 => Ok(Self::Offset(OffsetKey::read(&mut key)?, value.map(OffsetValue::read).transpose()?)),
            2 => Ok(Self::Group(key.string()?, value.map(GroupMetadata::read).transpose()?)),
            _ => ConsumerRecord::read(kind, &mut key, value).map(Self::Consumer),
        }
    }

    /// Its key and its value, in the versions that Kafka 4 writes.
    #[must_use]
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        match self {
            Self::Offset(key, value) => (key.encode(), value.as_ref().map(OffsetValue::encode)),
            Self::Group(group_id, value) => {
                let mut key = Writer::new();
                key.i16(2);
                key.string(group_id);
                (key.finish(), value.as_ref().map(GroupMetadata::encode))
            }
            Self::Consumer(record) => record.encode(),
        }
    }

    /// The group that it is of.
    #[must_use]
    pub fn group_id(&self) -> &str {
        match self {
            Self::Offset(key, _) => key.group,
            Self::Group(group_id, _) => group_id,
            Self::Consumer(record) => record.group_id(),
        }
    }
}

#[cfg(test)]
mod tests;
