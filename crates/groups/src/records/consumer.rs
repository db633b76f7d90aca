//! What is written of groups of the next-generation protocol (KIP-848).

use bytes::Bytes;

use super::{Reader, RecordError};

/// A record of a group of the next-generation protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerRecord {}

impl ConsumerRecord {
    /// Reads the record whose key began with `kind`.
    ///
    /// # Errors
    /// [`RecordError`] for kinds and versions that are not known, and for what is cut off or damaged.
    pub fn read(kind: i16, _key: &mut Reader<'_>, _value: Option<&[u8]>) -> Result<Self, RecordError> {
        Err(RecordError::UnknownKind(kind))
    }

    /// Its key and its value.
    #[must_use]
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        match *self {}
    }

    /// The group that it is of.
    #[must_use]
    pub fn group_id(&self) -> &str {
        match *self {}
    }
}
