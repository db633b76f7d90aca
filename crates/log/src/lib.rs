//! The segmented log on disk: append, read, index, recover, retain, compact.
//!
//! Floor 2: synchronous code over a small [`Disk`] trait. Knows no protocol, no replication and no clock: every time is
//! an argument in milliseconds. On disk everything is Kafka's, byte for byte, so that a data directory of Kafka opens
//! here and Kafka's tools read ours.
//!
//! - [`LogStore`] owns the data directories of a broker: their identity, their checkpoints, which partitions they hold.
//! - [`LogWriter`] is the one writer of a partition's log. It is not `Clone`; whoever holds it is the only one who
//!   changes the log, so appending takes no lock.
//! - [`LogReader`] is what everybody else holds: cloneable, usable from any thread, never waits for the writer.
//! - [`Cleaner`] compacts closed segments beside the writer, which puts the result in their place.
//! - [`Slice`] is what a read returns: a range of a segment file, pinned, so that it outlives truncation and deletion.
//! - [`mod@format`] has the files' formats as plain functions, for tools; [`sim`] a disk that fails as tests tell it.
//!
//! Invariants:
//! 1. Bytes below a log's end offset are whole, checked batches; a failed write leaves nothing behind.
//! 2. Everything below the recovery point has been fsynced, with its indexes.
//! 3. Producer state and leader epochs equal a replay of the log, at every moment.
//! 4. An index is a hint: a missing or damaged one costs time, never data.

mod checkpoint;
mod cleaner;
mod config;
mod directory;
pub mod disk;
mod epochs;
mod error;
pub mod format;
mod graveyard;
mod index;
mod log;
mod producers;
mod recovery;
mod segment;
pub mod sim;
mod slice;
mod state_listener;
mod store;

pub use cleaner::{
    CleanError, Cleanable, Cleaned, CleanedSegment, Cleaner, CleanerOptions, CleaningSnapshot, CleaningStats, Guide,
};
pub use config::{LogConfig, TopicCompression};
pub use directory::DirectoryState;
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{AppendError, LogError, OpenError, PromotionError, ReadError, StoreError};
pub use log::{
    AbortedTransaction, ActiveProducer, AppendBatch, AppendInfo, DeletedSegment, DeletionReason, EpochEnd, FlushTicket,
    Flushed, FollowerAppend, LogReader, LogWriter, Origin, ReadInfo, TimestampOffset,
};
pub use recovery::RecoveryProgress;
pub use slice::Slice;
pub use store::{DEFAULT_MAX_OPEN_FILES, DirectoryInfo, FoundPartition, LogStore, OpenLog, OpenedLog, StoreOptions};
