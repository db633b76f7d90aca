//! The types that openraft is told to work with.

use std::fmt;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use openraft::impls::leader_id_adv::LeaderId;
use thiserror::Error;

use super::snapshot_file::SnapshotFile;

openraft::declare_raft_types!(
    /// Raft over encoded metadata entries.
    pub(crate) TypeConfig:
        D = EntryData,
        R = ApplyOutcome,
        NodeId = u64,
        Node = QuorumNode,
);

pub(super) type RaftLeaderId = LeaderId<u64, u64>;
pub(super) type RaftLogId = openraft::alias::LogIdOf<TypeConfig>;
pub(super) type RaftVote = openraft::alias::VoteOf<TypeConfig>;
pub(super) type RaftEntry = openraft::alias::EntryOf<TypeConfig>;
pub(super) type RaftMembership = openraft::Membership<u64, QuorumNode>;
pub(super) type RaftStoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(super) type RaftSnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub(super) type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotFile>;
pub(super) type Raft = openraft::Raft<TypeConfig, super::state_machine::StateMachine>;

/// An encoded `levada.internal.v1.Entry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryData(pub(crate) Bytes);

impl fmt::Display for EntryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry of {} bytes", self.0.len())
    }
}

/// What applying an entry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApplyOutcome {
    /// Whether it took effect; an entry that does not follow in its run does not.
    pub(crate) applied: bool,
}

impl fmt::Display for ApplyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.applied { "applied" } else { "skipped" })
    }
}

/// A member of the quorum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct QuorumNode {
    /// Where its internal services are reached.
    pub(crate) internal_address: String,
}

/// The controller's storage failed or holds what it cannot hold.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The store of the Raft log cannot be opened.
    #[error(
        "the metadata log in {path} cannot be opened: {source}; if it is corrupt, move the directory away and let this controller join anew under another node.id"
    )]
    Open {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: sled::Error,
    },
    /// A file operation failed.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory belongs to another node.
    #[error(
        "{path} holds the metadata log of controller {found}, and this is controller {expected}; set node.id or metadata.log.dir right"
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: u64,
        /// Who we are.
        expected: u64,
    },
    /// Something is stored that no version has written.
    #[error("the metadata log in {path} is damaged: {what}")]
    Damaged {
        /// Its directory.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}
