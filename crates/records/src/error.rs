//! Why a batch is refused.

use levada_types::{ErrorCode, TimestampMs};
use thiserror::Error;

use crate::Compression;

/// Why bytes are not an acceptable record batch. [`BatchError::code`] is what a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("the batch needs {needed} bytes and only {available} are there")]
    Truncated {
        /// Bytes that the batch claims, or that its header takes.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// The length field cannot be right.
    #[error("the batch length field is {length}; it is at least 49 and the whole batch fits 2^31 - 1 bytes")]
    InvalidLength {
        /// The field as found.
        length: i32,
    },
    /// A message set of Kafka before 0.11.
    #[error("message format v{magic} is not supported; use a client that writes record batches v2 (Kafka 0.11, 2017)")]
    OldMagic {
        /// The format version, 0 or 1.
        magic: i8,
    },
    /// A format version that does not exist.
    #[error("unknown record format version {magic}; only v2 exists")]
    UnknownMagic {
        /// The format version as found.
        magic: i8,
    },
    /// The bytes are not those that were written.
    #[error("the checksum is {computed:#010x}, the header says {stored:#010x}")]
    WrongChecksum {
        /// What the header says.
        stored: u32,
        /// What the bytes yield.
        computed: u32,
    },
    /// The batch is larger than its topic accepts.
    #[error("the batch is {size} bytes; the topic accepts {limit} (max.message.bytes)")]
    TooLarge {
        /// Size of the whole batch in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A builder cannot hold the record: a batch is at most 2^31 - 1 bytes and records.
    #[error("the record does not fit into a batch, whose size is limited to 2^31 - 1 bytes")]
    BuilderFull,
    /// A batch without records is not built.
    #[error("a batch needs at least one record")]
    Empty,
    /// A compression type that does not exist.
    #[error("unknown compression type {id}; 0 none, 1 gzip, 2 snappy, 3 lz4 and 4 zstd exist")]
    UnknownCompression {
        /// The type as found.
        id: i16,
    },
    /// The records do not decompress.
    #[error("the records do not decompress as {}: {reason}", compression.name())]
    Decompression {
        /// The compression type that the header names.
        compression: Compression,
        /// What the decompressor met.
        reason: String,
    },
    /// The records did not compress, which only an unreasonable level or lack of memory can cause.
    #[error("the records could not be compressed as {}: {reason}", compression.name())]
    Compression {
        /// The compression type asked for.
        compression: Compression,
        /// What the compressor met.
        reason: String,
    },
    /// The records grow past the limit when decompressed.
    #[error("the records grow past the limit of {limit} bytes when decompressed; send smaller batches")]
    DecompressedTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The header's counts contradict each other or what follows.
    #[error("the header counts {records_count} records up to offset delta {last_offset_delta}")]
    InvalidCounts {
        /// Records that the header counts.
        records_count: i32,
        /// The last record's offset delta as the header has it.
        last_offset_delta: i32,
    },
    /// A record is not well-formed.
    #[error("record {index} of the batch is malformed: {reason}")]
    MalformedRecord {
        /// The record's number within the batch, from 0.
        index: i32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The batch may not come from a client.
    #[error("a client may not write this batch: {reason}")]
    NotForClients {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The producer fields contradict each other.
    #[error("the producer fields contradict each other: {reason}")]
    InvalidProducer {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A record without a key where the topic needs one.
    #[error("record {index} of the batch has no key; a compacted topic needs one on every record")]
    MissingKey {
        /// The record's number within the batch, from 0.
        index: i32,
    },
    /// A timestamp outside what the topic accepts.
    #[error(
        "timestamp {timestamp} is outside [{earliest}, {latest}] (message.timestamp.before.max.ms, -.after.max.ms)"
    )]
    TimestampOutOfRange {
        /// The timestamp as found.
        timestamp: TimestampMs,
        /// The earliest that is accepted.
        earliest: TimestampMs,
        /// The latest that is accepted.
        latest: TimestampMs,
    },
    /// The header's timestamps contradict each other or the record's.
    #[error("the batch's timestamps are invalid: {reason}")]
    InvalidTimestamps {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A control record of an unknown shape.
    #[error("the control record is malformed: {reason}")]
    MalformedControlRecord {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl BatchError {
    /// What a client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Truncated { .. }
            | Self::InvalidLength { .. }
            | Self::UnknownMagic { .. }
            | Self::WrongChecksum { .. }
            | Self::Decompression { .. } => ErrorCode::CorruptMessage,
            Self::OldMagic { .. } => ErrorCode::UnsupportedForMessageFormat,
            Self::TooLarge { .. } | Self::BuilderFull | Self::DecompressedTooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
            Self::Compression { .. } => ErrorCode::UnknownServerError,
            Self::Empty
            | Self::InvalidCounts { .. }
            | Self::MalformedRecord { .. }
            | Self::NotForClients { .. }
            | Self::InvalidProducer { .. }
            | Self::MissingKey { .. }
            | Self::MalformedControlRecord { .. } => ErrorCode::InvalidRecord,
            Self::TimestampOutOfRange { .. } | Self::InvalidTimestamps { .. } => ErrorCode::InvalidTimestamp,
        }
    }
}
