//! Which cluster: the identity that a data directory and its cluster share.

use std::fmt;

use uuid::Uuid;

use crate::topic_id::{decode_base64, encode_base64};

/// A cluster's identity, chosen once when the first controller bootstraps. Written like Kafka's: 22 characters of
/// URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub Uuid);

impl ClusterId {
    /// Reads the form that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode_base64(text).map(Self)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64(self.0))
    }
}
