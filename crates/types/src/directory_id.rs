//! Which data directory: the identity that tells a disk that came back from a disk that was replaced.

use std::fmt;

use uuid::Uuid;

use crate::topic_id::{decode_base64, encode_base64};

/// A data directory's identity (KIP-858), kept in its `meta.properties`. A directory that lost its contents has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DirectoryId(pub Uuid);

impl DirectoryId {
    /// The replica has not been placed in a directory yet (KIP-858's reserved id 0.0).
    pub const UNASSIGNED: Self = Self(Uuid::nil());

    /// Reads the form that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode_base64(text).map(Self)
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64(self.0))
    }
}
