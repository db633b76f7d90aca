//! Moving replicas between the data directories of one broker (KIP-113).

use levada_types::TopicIdPartition;

/// Move a replica into another data directory of this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveReplica {
    /// Whose replica.
    pub partition: TopicIdPartition,
    /// The path of the directory, as `log.dirs` and [`super::DescribedLogDir::path`] name it. That of the directory where
    /// the replica lies calls a move off.
    pub directory: String,
}
