//! Who a member of the quorum is: a node with the directory of its log and its vote (KIP-853).

use std::fmt;
use std::io;

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_types::DirectoryId;
use uuid::Uuid;

use super::wire::malformed;

/// A member of the quorum. A node that lost its disk comes back under another directory, and so as another member: it
/// has forgotten what it voted for, and what it had acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VoterKey {
    /// The node.
    pub(crate) id: u64,
    /// The identity of its directory.
    pub(crate) directory: DirectoryId,
}

impl VoterKey {
    /// Whether this is `other`. A directory that is not known may be any.
    pub(super) fn is(self, other: Self) -> bool {
        let unknown = [self.directory, other.directory].contains(&DirectoryId::UNASSIGNED);
        self.id == other.id && (unknown || self.directory == other.directory)
    }

    pub(super) fn to_message(self) -> pb::RaftMember {
        pb::RaftMember { node_id: self.id, directory: directory_to(self.directory) }
    }

    pub(super) fn from_message(message: Option<pb::RaftMember>) -> io::Result<Self> {
        let message = message.ok_or_else(|| malformed("it does not say whom it is for or from"))?;
        Ok(Self { id: message.node_id, directory: directory_from(&message.directory)? })
    }
}

impl fmt::Display for VoterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "controller {} with directory {}", self.id, self.directory)
    }
}

pub(super) fn directory_to(directory: DirectoryId) -> Bytes {
    Bytes::copy_from_slice(directory.0.as_bytes())
}

/// Reads a directory's identity. One that is absent was written before directories had one: that voter is known by its
/// number alone.
pub(super) fn directory_from(bytes: &[u8]) -> io::Result<DirectoryId> {
    if bytes.is_empty() {
        return Ok(DirectoryId::UNASSIGNED);
    }
    Uuid::from_slice(bytes).map(DirectoryId).map_err(|_| malformed("a directory id is not 16 bytes long"))
}
