//! Why an operation on a log failed, one enum per operation, and the code a client is told.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use levada_records::BatchError;
use levada_types::{DirectoryId, ErrorCode, Offset, ProducerEpoch, ProducerId, Sequence, TopicId};
use thiserror::Error;

/// Why a batch was not appended. Nothing of it is in the log then, and the producer state is as before; but for
/// [`Self::NotFlushed`].
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// The batch is not acceptable.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// What was to be appended is not exactly one batch, or its base offset is not 0.
    #[error("{0}")]
    InvalidRecord(&'static str),
    /// The batch does not fit a segment.
    #[error("the batch is {size} bytes, larger than a segment of the topic ({limit}, segment.bytes)")]
    LargerThanSegment {
        /// Its size in bytes.
        size: usize,
        /// The topic's `segment.bytes`.
        limit: u64,
    },
    /// A newer incarnation of the producer has written already.
    #[error("producer {producer_id} has epoch {current} here; epoch {epoch} is fenced")]
    InvalidProducerEpoch {
        /// Whose batch it is.
        producer_id: ProducerId,
        /// The batch's producer epoch.
        epoch: ProducerEpoch,
        /// The newest epoch seen.
        current: ProducerEpoch,
    },
    /// A batch before this one is missing, or this one is older than the batches that are remembered.
    #[error("producer {producer_id} (epoch {epoch}) sent sequence {sequence} after {last}")]
    OutOfOrderSequence {
        /// Whose batch it is.
        producer_id: ProducerId,
        /// The batch's producer epoch.
        epoch: ProducerEpoch,
        /// The batch's first sequence.
        sequence: Sequence,
        /// The last sequence in the log; -1 if there is none in this epoch.
        last: Sequence,
    },
    /// A marker comes from a transaction coordinator that was replaced.
    #[error("the marker of producer {producer_id} bears coordinator epoch {epoch}; {current} has been seen")]
    CoordinatorFenced {
        /// Whose transaction it ends.
        producer_id: ProducerId,
        /// The marker's coordinator epoch.
        epoch: i32,
        /// The newest seen.
        current: i32,
    },
    /// A replicated batch does not continue this log.
    #[error("the batch starts at offset {found}; the log ends at {expected}")]
    UnexpectedOffset {
        /// The log end offset.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
    /// The volume is full. Reads and deletes go on, and appends resume by themselves once there is space.
    #[error("the data directory is full; free space or let retention delete, and send again")]
    DiskFull,
    /// The data directory failed; the broker serves its other directories.
    #[error("the data directory is offline after an I/O error; see the broker's log")]
    DirectoryOffline,
    /// The write failed and could not be taken back, or the log was closed: nobody may write it before it is reopened.
    #[error("the log accepts no writes before it is opened again")]
    Closed,
    /// The batch is in the log, but not known to be durable although `flush.messages` asks for it. Readers may have seen
    /// it, and a crash of the machine may take it. A retry of an idempotent producer is known again, and is answered
    /// once a flush has succeeded.
    #[error("the records were written, but the flush that flush.messages asks for failed: {0}")]
    NotFlushed(#[source] LogError),
    /// The system refused the write.
    #[error("writing to the log failed: {0}")]
    Io(Arc<io::Error>),
}

impl AppendError {
    /// Whether the data directory is offline, so that nothing in it is served before the broker starts again.
    #[must_use]
    pub const fn is_offline(&self) -> bool {
        matches!(self, Self::DirectoryOffline | Self::NotFlushed(LogError::DirectoryOffline))
    }

    /// What a client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Batch(error) => error.code(),
            Self::InvalidRecord(_) => ErrorCode::InvalidRecord,
            Self::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
            Self::UnexpectedOffset { .. } => ErrorCode::UnknownServerError,
            Self::DiskFull | Self::DirectoryOffline | Self::Closed | Self::NotFlushed(_) | Self::Io(_) => {
                ErrorCode::KafkaStorageError
            }
        }
    }
}

/// Why nothing could be read.
#[derive(Debug, Clone, Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset {offset} is outside the log, which has [{start}, {end}]")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// What lies at the offset is no record batch. The rest of the log is served.
    #[error("the segment at {base_offset} is damaged at byte {position}: {reason}")]
    Corrupt {
        /// The segment's base offset.
        base_offset: Offset,
        /// Where in its file.
        position: u64,
        /// What is wrong.
        reason: BatchError,
    },
    /// The log was deleted while it was being read.
    #[error("the log has been deleted")]
    Deleted,
    /// The data directory failed.
    #[error("the data directory is offline after an I/O error; see the broker's log")]
    DirectoryOffline,
    /// The system refused the read.
    #[error("reading the log failed: {0}")]
    Io(Arc<io::Error>),
}

impl ReadError {
    /// What a client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Corrupt { .. } => ErrorCode::CorruptMessage,
            Self::Deleted => ErrorCode::UnknownTopicOrPartition,
            Self::DirectoryOffline | Self::Io(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why maintenance of a log (flush, roll, truncation, retention, close) failed.
#[derive(Debug, Clone, Error)]
pub enum LogError {
    /// The offset is not in the log.
    #[error("offset {offset} is outside the log, which has [{start}, {end}]")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// The volume is full.
    #[error("the data directory is full; free space or let retention delete")]
    DiskFull,
    /// The data directory failed.
    #[error("the data directory is offline after an I/O error; see the broker's log")]
    DirectoryOffline,
    /// The log accepts no writes before it is opened again.
    #[error("the log accepts no writes before it is opened again")]
    Closed,
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The system refused.
    #[error("the log's files cannot be changed: {0}")]
    Io(Arc<io::Error>),
}

impl LogError {
    /// What a client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::Read(error) => error.code(),
            Self::DiskFull | Self::DirectoryOffline | Self::Closed | Self::Io(_) => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why a log could not be opened, created or deleted.
#[derive(Debug, Clone, Error)]
pub enum OpenError {
    /// The store holds this partition of another topic of the same name.
    #[error("the directory of {partition} belongs to topic id {found}, not {expected}; mark it stray first")]
    InconsistentTopicId {
        /// Name and number of the partition.
        partition: String,
        /// The id in the directory.
        found: TopicId,
        /// The id asked for.
        expected: TopicId,
    },
    /// Somebody writes it already.
    #[error("the log of {0} is open already")]
    AlreadyOpen(String),
    /// There is no such log.
    #[error("there is no log of {0}")]
    NotFound(String),
    /// No data directory can take another log.
    #[error("no data directory is online with space left; see the broker's log")]
    NoDirectory,
    /// The data directory asked for is not one of the store's.
    #[error("there is no data directory {0}")]
    UnknownDirectory(DirectoryId),
    /// The data directory failed.
    #[error("the data directory is offline after an I/O error; see the broker's log")]
    DirectoryOffline,
    /// The volume is full.
    #[error("the data directory is full; free space or let retention delete")]
    DiskFull,
    /// A file says what cannot be.
    #[error("{path} is damaged: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

impl OpenError {
    /// What a client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
            Self::NotFound(_) => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownDirectory(_) => ErrorCode::LogDirNotFound,
            _ => ErrorCode::KafkaStorageError,
        }
    }
}

/// Why a log did not move to another data directory.
#[derive(Debug, Clone, Error)]
pub enum PromotionError {
    /// It is where it was.
    #[error("the log stays where it is: {0}")]
    NotDone(OpenError),
    /// Half-way: it can be used again once the store is opened anew.
    #[error("the log cannot be used before the broker starts again: {0}")]
    Stuck(OpenError),
}

/// Why the data directories could not be taken.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// Nothing to store in.
    #[error("no data directory is configured (log.dirs)")]
    NoDirectories,
    /// Another process has it.
    #[error("{0} is in use by another process; stop it, or choose another data directory")]
    Locked(PathBuf),
    /// It belongs to somebody else.
    #[error(
        "{path} belongs to {key}={found}, this is {expected}; check the data directory and the node's number, or take its \
         topics over with `levada log import`"
    )]
    ForeignDirectory {
        /// The data directory.
        path: PathBuf,
        /// Which property differs.
        key: &'static str,
        /// What the directory says.
        found: String,
        /// What this process is.
        expected: String,
    },
    /// Two directories bear one id, so one is a copy of the other.
    #[error("two data directories have the id {0}; one is a copy of the other, remove it")]
    DuplicateDirectory(DirectoryId),
    /// None of them can be used.
    #[error("all data directories are offline; see the broker's log")]
    AllOffline,
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}
