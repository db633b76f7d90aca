//! The segments of a log at one moment.

use std::sync::Arc;

use levada_types::Offset;

use super::Segment;

/// The segments of a log, ascending; the last one is the active one. Never changes: the writer publishes another list.
#[derive(Debug)]
pub(crate) struct SegmentList {
    closed: Vec<Arc<Segment>>,
    active: Arc<Segment>,
    closed_bytes: u64,
}

impl SegmentList {
    /// A list of these.
    pub(crate) fn new(closed: Vec<Arc<Segment>>, active: Arc<Segment>) -> Self {
        let closed_bytes = closed.iter().map(|segment| segment.size()).sum();
        Self { closed, active, closed_bytes }
    }

    /// The segments that are no longer written.
    pub(crate) fn closed(&self) -> &[Arc<Segment>] {
        &self.closed
    }

    /// The segment that is written.
    pub(crate) fn active(&self) -> &Arc<Segment> {
        &self.active
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.closed.iter().chain(std::iter::once(&self.active))
    }

    /// The first one.
    pub(crate) fn first(&self) -> &Arc<Segment> {
        self.closed.first().unwrap_or(&self.active)
    }

    /// Those that may hold `offset` or what follows it, ascending.
    pub(crate) fn starting_at(&self, offset: Offset) -> impl Iterator<Item = &Arc<Segment>> {
        let skip = self.closed.partition_point(|segment| segment.end_offset() <= offset);
        self.closed[skip..].iter().chain(std::iter::once(&self.active))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.closed.len() + 1
    }

    /// Bytes of the records in all of them.
    pub(crate) fn size(&self) -> u64 {
        self.closed_bytes + self.active.size()
    }

    /// The log end offset.
    pub(crate) fn end_offset(&self) -> Offset {
        self.active.end_offset()
    }
}
