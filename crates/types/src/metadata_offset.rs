//! Where the cluster's metadata stands.

use std::fmt;

/// A position in the metadata log: the Raft index of the entry that made a change. An image at offset n holds the
/// effect of every entry up to and including n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MetadataOffset(pub u64);

impl fmt::Display for MetadataOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
