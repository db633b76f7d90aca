//! Segments: the files that a log consists of, one after the other.

mod file_kind;
mod list;
mod position;
mod scan;
#[allow(clippy::module_inception, reason = "the room is named after its main type")]
mod segment;
mod times;

pub use file_kind::FileKind;
pub(crate) use file_kind::SegmentFileName;
pub(crate) use list::SegmentList;
pub(crate) use position::Position;
pub(crate) use scan::{HeaderScan, ScanError};
pub(crate) use segment::Segment;
pub(crate) use times::MaxTimestamp;
