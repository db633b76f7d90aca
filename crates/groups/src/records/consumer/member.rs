//! What a member has told of itself.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{
    api::Protocol,
    records::{Reader, RecordError, Writer},
};

/// What a member has told of itself. Kind 5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerMember {
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// Where it stands.
    pub rack_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// The topics that it subscribes to by name.
    pub topic_names: BTreeSet<String>,
    /// The topics that it subscribes to by a regular expression; never empty.
    pub topic_regex: Option<String>,
    /// How long it may take to give partitions up, in milliseconds; -1 if it has never told.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it wants.
    pub server_assignor: Option<String>,
    /// What a member that speaks the classic protocol has told beside that.
    pub classic: Option<ClassicMember>,
}

/// What a member that speaks the classic protocol has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassicMember {
    /// After how long a silence it counts as gone, in milliseconds.
    pub session_timeout_ms: i32,
    /// What it supports, the best first.
    pub protocols: Vec<Protocol>,
}

/// The tag of what a member of the classic protocol has told.
const CLASSIC: u32 = 0;

/// Kafka marks a structure that may be null, and is not, with this number.
const PRESENT: i8 = 1;

impl ConsumerMember {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let instance_id = reader.nullable_compact_string()?.map(str::to_owned);
        let rack_id = reader.nullable_compact_string()?.map(str::to_owned);
        let client_id = reader.compact_string()?.to_owned();
        let client_host = reader.compact_string()?.to_owned();
        let mut topic_names = BTreeSet::new();
        for _ in 0..reader.compact_array_length(1)? {
            topic_names.insert(reader.compact_string()?.to_owned());
        }
        let topic_regex = reader.nullable_compact_string()?.filter(|regex| !regex.is_empty()).map(str::to_owned);
        let rebalance_timeout_ms = reader.i32()?;
        let server_assignor = reader.nullable_compact_string()?.map(str::to_owned);
        let mut classic = None;
        reader.tagged_fields(|tag, field| {
            if tag == CLASSIC && field.i8()? == PRESENT {
                classic = Some(ClassicMember::read(field)?);
            }
            Ok(())
        })?;
        Ok(Self {
            instance_id,
            rack_id,
            client_id,
            client_host,
            topic_names,
            topic_regex,
            rebalance_timeout_ms,
            server_assignor,
            classic,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.nullable_compact_string(self.instance_id.as_deref());
        writer.nullable_compact_string(self.rack_id.as_deref());
        writer.compact_string(&self.client_id);
        writer.compact_string(&self.client_host);
        writer.compact_array_length(self.topic_names.len());
        for name in &self.topic_names {
            writer.compact_string(name);
        }
        writer.nullable_compact_string(self.topic_regex.as_deref());
        writer.i32(self.rebalance_timeout_ms);
        writer.nullable_compact_string(self.server_assignor.as_deref());
        match &self.classic {
            None => writer.no_tagged_fields(),
            Some(classic) => {
                let mut field = Writer::new();
                field.i8(PRESENT);
                classic.write(&mut field);
                writer.tagged_fields(&[(CLASSIC, field.finish())]);
            }
        }
    }
}

impl ClassicMember {
    fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let session_timeout_ms = reader.i32()?;
        let mut protocols = Vec::new();
        for _ in 0..reader.compact_array_length(3)? {
            let name = reader.compact_string()?.to_owned();
            let metadata = Bytes::copy_from_slice(reader.compact_bytes()?);
            reader.skip_tagged_fields()?;
            protocols.push(Protocol { name, metadata });
        }
        reader.skip_tagged_fields()?;
        Ok(Self { session_timeout_ms, protocols })
    }

    fn write(&self, writer: &mut Writer) {
        writer.i32(self.session_timeout_ms);
        writer.compact_array_length(self.protocols.len());
        for protocol in &self.protocols {
            writer.compact_string(&protocol.name);
            writer.compact_bytes(&protocol.metadata);
            writer.no_tagged_fields();
        }
        writer.no_tagged_fields();
    }
}
