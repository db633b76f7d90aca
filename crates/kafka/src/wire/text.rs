//! Text between the house and the wire.

use kafka_protocol::messages::TopicName as WireName;
use kafka_protocol::protocol::StrBytes;
use levada_types::TopicName;

/// Text that is owned by the response.
pub(crate) fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}

/// A topic's name in a response.
pub(crate) fn wire_name(name: &TopicName) -> WireName {
    WireName(text(name.as_str()))
}
