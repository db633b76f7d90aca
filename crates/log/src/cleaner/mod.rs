//! Compaction: of each key the newest record stays, with its offset.
//!
//! A partition's log has one writer, its actor. So a [`Cleaner`] reads closed segments, which never change, on a thread of
//! its own, writes what is left of them beside them, and hands each result over ([`CleanedSegment`]) to be put in their
//! place by [`crate::LogWriter::swap`], which looks whether the log is still the one that was read. Readers go on with
//! the list of segments that they have; what they have read stays theirs.
//!
//! Nothing is cleaned that is not durable, or not yet committed and decided: a record goes only if a newer one of its key
//! outlives whatever may happen to the machine.
//!
//! What stays of a log, beside the newest record of each key:
//! - Tombstones and the markers of transactions, for `delete.retention.ms` after a cleaning has first come by them with
//!   nothing left of what they speak of. That time is written into their batch (KIP-534).
//! - What a replay of the log has to find: the last batch of each producer that is known, with its sequence, and its last
//!   marker; the first batch of each leader epoch; and the last batch of each segment, so that segments go on following
//!   each other without a gap. If they have no record left, they stay as a header (61 bytes).
//!
//! Records of aborted transactions go, and so do records without a key, from the time before the topic was compacted.

mod batch_reader;
mod cleanable;
mod cleaned_files;
mod cleaned_segment;
#[allow(clippy::module_inception, reason = "the room is named after its main type")]
mod cleaner;
mod error;
mod grouping;
mod keeper;
mod offset_map;
mod outcomes;
mod snapshot;

pub use cleanable::Cleanable;
pub use cleaned_segment::CleanedSegment;
pub use cleaner::{Cleaned, Cleaner, CleanerOptions, CleaningStats, Guide};
pub use error::CleanError;
pub use snapshot::CleaningSnapshot;
pub(crate) use snapshot::LastOffsets;
