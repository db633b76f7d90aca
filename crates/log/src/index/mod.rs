//! The sparse indexes of a segment: where an offset lies, where a time lies, which transactions were aborted.
//!
//! An index is a hint. What it says is checked against the segment before it is believed, and one that is missing or
//! damaged costs a longer scan, never a wrong answer.

mod aborted;
mod entry;
mod sparse_index;

pub(crate) use aborted::MAX_TRANSACTION_INDEX_BYTES;
pub use aborted::{ABORTED_ENTRY_LEN, decode_aborted, encode_aborted};
pub use entry::{IndexEntry, OffsetEntry, TimeEntry};
pub(crate) use sparse_index::{IndexFile, SparseIndex};
