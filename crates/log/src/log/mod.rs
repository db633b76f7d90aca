//! The log of one partition: its writer, its readers and what they share.

mod append;
mod check;
mod dir;
mod durable;
mod flush;
mod flush_ticket;
mod info;
mod maintenance;
mod reader;
mod roll;
mod search;
mod stage;
mod state;
mod swap;
mod truncate;
mod writer;

pub(crate) use dir::LogDir;
pub(crate) use durable::{Durable, EpochsOnDisk};
pub use flush_ticket::{FlushTicket, Flushed};
pub use info::{
    AbortedTransaction, ActiveProducer, AppendBatch, AppendInfo, DeletedSegment, DeletionReason, EpochEnd,
    FollowerAppend, Origin, ReadInfo, TimestampOffset,
};
pub use reader::LogReader;
pub(crate) use state::LogState;
pub use writer::LogWriter;
pub(crate) use writer::{WriterParts, read_marker};
