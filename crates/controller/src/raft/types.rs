//! The types that openraft is told to work with.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use levada_types::DirectoryId;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuorumNode {
    /// The identity of the directory that its log and its vote are in.
    pub(crate) directory: DirectoryId,
    /// Where its internal services are reached.
    pub(crate) internal_address: String,
}

impl Default for QuorumNode {
    fn default() -> Self {
        Self { directory: DirectoryId::UNASSIGNED, internal_address: String::new() }
    }
}

/// The controller's storage failed or holds what it cannot hold.
#[derive(Debug, Error)]
pub enum StorageError {
    /// Somebody else has the Raft log open.
    #[error("the metadata log in {path} is in use by another process; stop that one, or set another metadata.log.dir")]
    Locked {
        /// Its directory.
        path: PathBuf,
    },
    /// There is no space to open the Raft log, nor is there a reserve any more.
    #[error(
        "the metadata log in {path} cannot be opened because its disk is full, and no reserve is left; enlarge the disk or remove files from it that are not this node's, then start again. The log is sound: leave it where it is"
    )]
    Full {
        /// Its directory.
        path: PathBuf,
        /// What the system said.
        source: sled::Error,
    },
    /// The store of the Raft log is not as it was written.
    #[error(
        "the metadata log in {path} is corrupt: {source}; if other controllers hold the metadata, move the directory away and let this one join anew under another node.id, and restore it from a backup otherwise"
    )]
    Corrupt {
        /// Its directory.
        path: PathBuf,
        /// What is wrong.
        source: sled::Error,
    },
    /// The store of the Raft log cannot be opened for another reason.
    #[error("the metadata log in {path} cannot be opened: {source}")]
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

impl StorageError {
    /// What it means that the database in `path` cannot be opened.
    pub(super) fn of_open(path: &Path, source: sled::Error) -> Self {
        let path = path.to_owned();
        match &source {
            sled::Error::Io(error) if is_locked(error) => Self::Locked { path },
            sled::Error::Io(error) if is_full(error) => Self::Full { path, source },
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => Self::Corrupt { path, source },
            _ => Self::Open { path, source },
        }
    }
}

/// Whether a database is open elsewhere. sled says so in words alone.
pub(super) fn is_locked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Whether the disk, or what this user may have of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_open(error: sled::Error) -> StorageError {
        StorageError::of_open(Path::new("log"), error)
    }

    #[test]
    fn only_corruption_advises_to_move_the_log_away() {
        let full = of_open(sled::Error::Io(nix::errno::Errno::ENOSPC.into()));
        assert!(matches!(full, StorageError::Full { .. }));
        let quota = of_open(sled::Error::Io(nix::errno::Errno::EDQUOT.into()));
        assert!(matches!(quota, StorageError::Full { .. }));
        let denied = of_open(sled::Error::Io(nix::errno::Errno::EACCES.into()));
        assert!(matches!(denied, StorageError::Open { .. }));
        let corrupt = of_open(sled::Error::Corruption { at: None, bt: () });
        assert!(matches!(corrupt, StorageError::Corrupt { .. }));
        for other in [full, quota, denied] {
            assert!(!other.to_string().contains("move the directory"), "{other}");
        }
        assert!(corrupt.to_string().contains("move the directory away"));
    }
}
