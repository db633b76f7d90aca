//! Which segments are cleaned into one.

use std::sync::Arc;

use crate::segment::Segment;

/// The most segments that are put into one at a time: the log's actor renames all their files in one go.
const MAX_GROUP: usize = 64;

/// Neighbours that together are no larger than a segment may be, so that the segments that cleaning shrinks become fewer.
pub(super) fn group(segments: &[Arc<Segment>], segment_bytes: u64) -> Vec<&[Arc<Segment>]> {
    let limit = segment_bytes.min(i32::MAX as u64);
    let mut groups = Vec::new();
    let mut rest = segments;
    while let Some(first) = rest.first() {
        let mut bytes = 0;
        let fits = |segment: &&Arc<Segment>| {
            bytes += segment.size();
            bytes <= limit && segment.end_offset() - first.base_offset() <= i64::from(i32::MAX)
        };
        // One that is larger than the setting of today is cleaned alone.
        let count = rest.iter().take(MAX_GROUP).take_while(fits).count().max(1);
        let (group, after) = rest.split_at(count);
        groups.push(group);
        rest = after;
    }
    groups
}
