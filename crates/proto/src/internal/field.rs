//! Reading single fields of internal messages, with their checks.

use bytes::Bytes;
use levada_types::{BrokerId, DirectoryId, TopicId};
use uuid::Uuid;

use super::ConversionError;

/// The field, which must be set.
pub(super) fn required<T>(field: Option<T>, what: &'static str) -> Result<T, ConversionError> {
    field.ok_or(ConversionError::Missing(what))
}

/// The `oneof`, which must be of a known kind.
pub(super) fn known<T>(kind: Option<T>, what: &'static str) -> Result<T, ConversionError> {
    kind.ok_or(ConversionError::UnknownKind(what))
}

pub(super) fn uuid(bytes: &[u8], what: &'static str) -> Result<Uuid, ConversionError> {
    Uuid::from_slice(bytes).map_err(|_| ConversionError::IdLength { what, len: bytes.len() })
}

pub(super) fn topic_id(bytes: &[u8]) -> Result<TopicId, ConversionError> {
    uuid(bytes, "a topic id").map(TopicId)
}

pub(super) fn directory_id(bytes: &[u8]) -> Result<DirectoryId, ConversionError> {
    uuid(bytes, "a directory id").map(DirectoryId)
}

pub(super) fn directory_ids(ids: &[Bytes]) -> Result<Vec<DirectoryId>, ConversionError> {
    ids.iter().map(|id| directory_id(id)).collect()
}

pub(super) fn broker_id(id: i32) -> Result<BrokerId, ConversionError> {
    if id < 0 {
        return Err(ConversionError::OutOfRange { what: "a broker id", value: id.into() });
    }
    Ok(BrokerId(id))
}

pub(super) fn not_negative(value: i32, what: &'static str) -> Result<i32, ConversionError> {
    if value < 0 { Err(ConversionError::OutOfRange { what, value: value.into() }) } else { Ok(value) }
}

/// A number that must fit a narrower type.
pub(super) fn narrow<T, V>(value: V, what: &'static str) -> Result<T, ConversionError>
where
    T: TryFrom<V>,
    V: Copy + Into<i64>,
{
    T::try_from(value).map_err(|_| ConversionError::OutOfRange { what, value: value.into() })
}

/// The 16 bytes of an identity.
pub(super) fn id_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

/// Broker numbers as they travel.
pub(super) fn broker_numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|b| b.0).collect()
}

/// Broker numbers as they arrived, each of them checked.
pub(super) fn brokers(numbers: &[i32]) -> Result<Vec<BrokerId>, ConversionError> {
    numbers.iter().map(|&n| broker_id(n)).collect()
}
