//! What a producer was told of its records.

use std::collections::BTreeMap;

/// The header that carries a record's number, counted from 0 in the order of sending.
pub const RECORD_NUMBER_HEADER: &str = "n";

/// The offset of a record that was acknowledged as one that was there already: librdkafka is told so by
/// DUPLICATE_SEQUENCE_NUMBER, and does not know where.
const SOMEWHERE: i64 = -1001;

/// Where an acknowledged record is, as the server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl Acknowledged {
    /// Whether the server said that the record is in a partition, and did not say where.
    pub fn is_somewhere(&self) -> bool {
        self.offset == SOMEWHERE
    }

    /// Whether this may be the place where the record was read.
    pub fn may_be(&self, read: Self) -> bool {
        *self == read || self.is_somewhere() && self.partition == read.partition
    }
}

/// What a producer was told of its records, by record number.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Acknowledged records.
    pub acknowledged: BTreeMap<u64, Acknowledged>,
    /// Records that failed, with the reason. Such a record may be in the log or not.
    pub failed: BTreeMap<u64, String>,
}
