//! What a producer was told of its records.

use std::collections::BTreeMap;

/// The header that carries a record's number, counted from 0 in the order of sending.
pub const RECORD_NUMBER_HEADER: &str = "n";

/// Where an acknowledged record is, as the server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What a producer was told of its records, by record number.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Acknowledged records.
    pub acknowledged: BTreeMap<u64, Acknowledged>,
    /// Records that failed, with the reason. Such a record may be in the log or not.
    pub failed: BTreeMap<u64, String>,
}
