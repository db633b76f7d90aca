//! The log of one partition: its writer, its readers and what they share.

mod info;
mod reader;
mod writer;

pub use info::{
    AbortedTransaction, ActiveProducer, AppendBatch, AppendInfo, DeletedSegment, DeletionReason, EpochEnd,
    FollowerAppend, Origin, ReadInfo, TimestampOffset,
};
pub use reader::LogReader;
pub use writer::LogWriter;
