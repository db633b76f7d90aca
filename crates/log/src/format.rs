//! The files of a data directory as plain functions over their contents: for tools that print and check them, and for
//! fuzzing. Everything here is Kafka's format.

use levada_types::{BrokerId, ClusterId, DirectoryId, LeaderEpoch, Offset, TopicId, TopicPartition};

use crate::ActiveProducer;
use crate::checkpoint::{self, MetaProperties};
use crate::producers::ProducerEntry;
use crate::segment::SegmentFileName;

pub use crate::index::{ABORTED_ENTRY_LEN, IndexEntry, OffsetEntry, TimeEntry, decode_aborted, encode_aborted};
pub use crate::segment::FileKind;

/// What a file in a log's directory is, by its name: the segment's base offset and what it holds. `None` if it is no
/// file of a live segment.
#[must_use]
pub fn segment_file(name: &str) -> Option<(Offset, FileKind)> {
    match SegmentFileName::parse(name) {
        SegmentFileName::Live(base_offset, kind) => Some((base_offset, kind)),
        _ => None,
    }
}

/// The producers in a `.snapshot`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_snapshot(bytes: &[u8]) -> Result<Vec<ActiveProducer>, String> {
    Ok(crate::producers::decode_snapshot(bytes)?.iter().map(ProducerEntry::describe).collect())
}

/// The epochs and their start offsets in a `leader-epoch-checkpoint`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_leader_epochs(text: &str) -> Result<Vec<(LeaderEpoch, Offset)>, String> {
    let epochs = checkpoint::parse_epochs(text)?;
    Ok(epochs.entries().iter().map(|entry| (entry.epoch, entry.start)).collect())
}

/// The topic's id in a `partition.metadata`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_partition_metadata(text: &str) -> Result<TopicId, String> {
    checkpoint::parse_partition_metadata(text)
}

/// The offsets in a checkpoint of a data directory, by partition.
///
/// # Errors
/// What is wrong with it.
pub fn parse_offset_checkpoint(text: &str) -> Result<Vec<(TopicPartition, Offset)>, String> {
    let mut offsets: Vec<_> = checkpoint::parse_offsets(text)?.into_iter().collect();
    offsets.sort_unstable();
    Ok(offsets)
}

/// Whose data directory it is, as its `meta.properties` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// The cluster, if the node has joined one.
    pub cluster_id: Option<ClusterId>,
    /// The node.
    pub node_id: Option<BrokerId>,
    /// The directory itself.
    pub directory_id: Option<DirectoryId>,
}

/// Whose data directory it is, from its `meta.properties`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_meta_properties(text: &str) -> Result<DirectoryIdentity, String> {
    let MetaProperties { cluster_id, node_id, directory_id } = MetaProperties::parse(text)?;
    Ok(DirectoryIdentity { cluster_id, node_id, directory_id })
}

/// The broker epoch in a clean-shutdown file; -1 if it says none.
#[must_use]
pub fn parse_clean_shutdown(text: &str) -> i64 {
    checkpoint::clean_shutdown_epoch(text)
}
