//! The committed offset of a partition: Kafka's `OffsetCommitKey` and `OffsetCommitValue`.

use bytes::Bytes;
use levada_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

use super::{Reader, RecordError, Writer};

/// Kind 0 was written before Kafka 0.9 and has the same fields.
const KIND: i16 = 1;

/// What Kafka writes since 2.1, and the newest that its neighbours' tools read.
const VERSION: i16 = 3;

/// The version with a time at which the offset expires: what an old client's retention asks for.
const VERSION_WITH_EXPIRY: i16 = 1;

/// Which offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OffsetKey<'a> {
    /// The group.
    pub group: &'a str,
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: PartitionIndex,
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetValue<'a> {
    /// The offset of the next record to be consumed.
    pub offset: Offset,
    /// The leader epoch of the last one that was.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the client wanted to keep with it.
    pub metadata: &'a str,
    /// When it was committed.
    pub committed_at: TimestampMs,
    /// When it expires, where an old client asked for it.
    pub expires_at: Option<TimestampMs>,
    /// The topic's id: only in what newer releases of Kafka write (version 4), never written here.
    pub topic_id: Option<TopicId>,
}

impl<'a> OffsetKey<'a> {
    pub(super) fn read(key: &mut Reader<'a>) -> Result<Self, RecordError> {
        Ok(Self { group: key.string()?, topic: key.string()?, partition: key.i32()? })
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut key = Writer::new();
        key.i16(KIND);
        key.string(self.group);
        key.string(self.topic);
        key.i32(self.partition);
        key.finish()
    }
}

impl<'a> OffsetValue<'a> {
    pub(super) fn read(value: &'a [u8]) -> Result<Self, RecordError> {
        let mut value = Reader::new(value);
        let version = value.i16()?;
        if !(0..=4).contains(&version) {
            return Err(RecordError::UnknownVersion { kind: KIND, version });
        }
        let offset = value.i64()?;
        let leader_epoch = if version >= 3 { value.i32()? } else { -1 };
        let metadata = if version >= 4 { value.compact_string()? } else { value.string()? };
        let committed_at = value.i64()?;
        let expires_at = if version == VERSION_WITH_EXPIRY { value.i64()? } else { -1 };
        let mut topic_id = TopicId::ZERO;
        if version >= 4 {
            value.tagged_fields(|tag, field| {
                if tag == 0 {
                    topic_id = TopicId(field.uuid()?);
                }
                Ok(())
            })?;
        }
        Ok(Self {
            offset,
            leader_epoch: (leader_epoch >= 0).then_some(LeaderEpoch(leader_epoch)),
            metadata,
            committed_at,
            expires_at: (expires_at >= 0).then_some(expires_at),
            topic_id: (topic_id != TopicId::ZERO).then_some(topic_id),
        })
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut value = Writer::new();
        value.i16(if self.expires_at.is_some() { VERSION_WITH_EXPIRY } else { VERSION });
        value.i64(self.offset);
        if self.expires_at.is_none() {
            value.i32(self.leader_epoch.map_or(-1, |epoch| epoch.0));
        }
        value.string(self.metadata);
        value.i64(self.committed_at);
        if let Some(expires_at) = self.expires_at {
            value.i64(expires_at);
        }
        value.finish()
    }
}
