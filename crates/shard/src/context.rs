//! What a core is told of the world.

use std::fmt;

use levada_metadata::Image;
use levada_types::TimestampMs;
use uuid::Uuid;

/// The world as it is when a core is asked.
pub struct Context<'a> {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub now: TimestampMs,
    /// The cluster's metadata, never older than at an earlier call, and never newer than one in which this process owns the
    /// shard: who owns it next decides by one that is newer.
    pub image: &'a Image,
    /// Draws an id that nobody has had.
    pub fresh: &'a mut dyn FnMut() -> Uuid,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("now", &self.now).field("image", &self.image.offset()).finish_non_exhaustive()
    }
}
