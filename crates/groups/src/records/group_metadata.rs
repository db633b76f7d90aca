//! A generation of a group of the classic protocol: Kafka's `GroupMetadataKey` and `GroupMetadataValue`.

use bytes::Bytes;
use levada_types::TimestampMs;

use super::{Reader, RecordError, Writer};

const KIND: i16 = 2;

/// What Kafka writes since 2.3.
const VERSION: i16 = 3;

/// A generation of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The kind of the group: `consumer`, `connect`, or anything; empty where none was ever told.
    pub protocol_type: String,
    /// The generation.
    pub generation: i32,
    /// The protocol that all members support; `None` without members.
    pub protocol: Option<String>,
    /// The member that assigned; `None` without members.
    pub leader: Option<String>,
    /// Since when the group is in the state that this record tells.
    pub state_since: Option<TimestampMs>,
    /// The members.
    pub members: Vec<MemberMetadata>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Its id.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// How long the others wait for it in a rebalance, in milliseconds.
    pub rebalance_timeout_ms: i32,
    /// After how long a silence it counts as gone, in milliseconds.
    pub session_timeout_ms: i32,
    /// What it said in the chosen protocol.
    pub subscription: Bytes,
    /// What it was told.
    pub assignment: Bytes,
}

impl GroupMetadata {
    pub(super) fn read(value: &[u8]) -> Result<Self, RecordError> {
        let mut value = Reader::new(value);
        let version = value.i16()?;
        match version {
            0..=3 => Self::read_fields(&mut value, version),
            4 => Self::read_flexible(&mut value),
            _ => Err(RecordError::UnknownVersion { kind: KIND, version }),
        }
    }

    fn read_fields(value: &mut Reader<'_>, version: i16) -> Result<Self, RecordError> {
        let protocol_type = value.string()?.to_owned();
        let generation = value.i32()?;
        let protocol = value.nullable_string()?.map(str::to_owned);
        let leader = value.nullable_string()?.map(str::to_owned);
        let state_since = if version >= 2 { value.i64()? } else { -1 };
        // Five lengths and a number at least.
        let count = value.array_length(18)?;
        let members = (0..count).map(|_| MemberMetadata::read_fields(value, version)).collect::<Result<_, _>>()?;
        Ok(Self { protocol_type, generation, protocol, leader, state_since: known(state_since), members })
    }

    fn read_flexible(value: &mut Reader<'_>) -> Result<Self, RecordError> {
        let protocol_type = value.compact_string()?.to_owned();
        let generation = value.i32()?;
        let protocol = value.nullable_compact_string()?.map(str::to_owned);
        let leader = value.nullable_compact_string()?.map(str::to_owned);
        let state_since = value.i64()?;
        // Six lengths, two numbers and the count of tagged fields at least.
        let count = value.compact_array_length(15)?;
        let members = (0..count).map(|_| MemberMetadata::read_flexible(value)).collect::<Result<_, _>>()?;
        value.skip_tagged_fields()?;
        Ok(Self { protocol_type, generation, protocol, leader, state_since: known(state_since), members })
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut value = Writer::new();
        value.i16(VERSION);
        value.string(&self.protocol_type);
        value.i32(self.generation);
        value.nullable_string(self.protocol.as_deref());
        value.nullable_string(self.leader.as_deref());
        value.i64(self.state_since.unwrap_or(-1));
        value.array_length(self.members.len());
        for member in &self.members {
            member.write(&mut value);
        }
        value.finish()
    }
}

impl MemberMetadata {
    fn read_fields(value: &mut Reader<'_>, version: i16) -> Result<Self, RecordError> {
        let member_id = value.string()?.to_owned();
        let group_instance_id = if version >= 3 { value.nullable_string()?.map(str::to_owned) } else { None };
        let client_id = value.string()?.to_owned();
        let client_host = value.string()?.to_owned();
        let rebalance_timeout_ms = if version >= 1 { Some(value.i32()?) } else { None };
        let session_timeout_ms = value.i32()?;
        Ok(Self {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            // Before there was a rebalance timeout, the session timeout was it.
            rebalance_timeout_ms: rebalance_timeout_ms.filter(|ms| *ms >= 0).unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription: Bytes::copy_from_slice(value.bytes()?),
            assignment: Bytes::copy_from_slice(value.bytes()?),
        })
    }

    fn read_flexible(value: &mut Reader<'_>) -> Result<Self, RecordError> {
        let member = Self {
            member_id: value.compact_string()?.to_owned(),
            group_instance_id: value.nullable_compact_string()?.map(str::to_owned),
            client_id: value.compact_string()?.to_owned(),
            client_host: value.compact_string()?.to_owned(),
            rebalance_timeout_ms: value.i32()?,
            session_timeout_ms: value.i32()?,
            subscription: Bytes::copy_from_slice(value.compact_bytes()?),
            assignment: Bytes::copy_from_slice(value.compact_bytes()?),
        };
        value.skip_tagged_fields()?;
        Ok(member)
    }

    fn write(&self, value: &mut Writer) {
        value.string(&self.member_id);
        value.nullable_string(self.group_instance_id.as_deref());
        value.string(&self.client_id);
        value.string(&self.client_host);
        value.i32(self.rebalance_timeout_ms);
        value.i32(self.session_timeout_ms);
        value.bytes(&self.subscription);
        value.bytes(&self.assignment);
    }
}

/// A time, where one is told.
fn known(time: TimestampMs) -> Option<TimestampMs> {
    (time >= 0).then_some(time)
}
