//! Deleting the head of a log.

use levada_types::{Offset, TopicIdPartition};

/// Move the log start offset up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteRecords {
    /// Which partition.
    pub partition: TopicIdPartition,
    /// Delete everything before this offset; `None` means up to the high watermark (-1 on the wire).
    pub before: Option<Offset>,
}
