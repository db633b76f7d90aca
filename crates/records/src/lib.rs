//! Record batch v2 (KIP-98): parse, check, build, iterate, compress.
//!
//! A batch is 61 bytes of header followed by the records, which may be compressed as a whole. The first 16 bytes (base
//! offset, batch length, leader epoch) lie outside the checksum, so a leader stamps them without touching the rest:
//! see [`stamp`]. Everything that a header claims is checked before it is believed, and nothing here allocates more
//! than a named limit allows.
//!
//! Floor 0: no I/O, no clock, no randomness; times come in as arguments.
//!
//! - Read: [`Batches`] walks concatenated batches, [`RecordBatch`] is one of them in place, [`Records`] iterates over
//!   its records without allocating per record.
//! - Write: [`BatchBuilder`], [`EndTxnMarker`].
//! - Rewrite, where a topic's settings ask for it: [`with_log_append_time`], [`with_max_timestamp`], [`recompress`];
//!   and where compaction drops records: [`BatchRetainer`].

mod attributes;
mod batch;
mod batches;
mod builder;
mod checksum;
mod compaction;
mod compression;
mod control;
mod error;
mod header;
mod input;
mod limits;
mod record;
mod records;
mod rewrite;
mod seal;
mod validation;
mod varint;

pub use attributes::{Attributes, TimestampType};
pub use batch::RecordBatch;
pub use batches::Batches;
pub use builder::BatchBuilder;
pub use checksum::crc32c;
pub use compaction::{BatchRetainer, DeleteHorizon, Retained};
pub use compression::Compression;
pub use control::{ControlRecord, EndTxnMarker, TransactionOutcome};
pub use error::BatchError;
pub use header::{BATCH_HEADER_LEN, BatchHeader, LENGTH_PREFIX_LEN, MAGIC_V2, STAMP_LEN, stamp};
pub use limits::{Limits, MAX_DECOMPRESSED_BYTES, TimestampWindow};
pub use record::{Header, Headers, Record};
pub use records::{RecordBuffer, Records};
pub use rewrite::{recompress, with_log_append_time, with_max_timestamp, with_producer};
pub use validation::{KeyRule, RecordsSummary};
