//! Where a request to a group goes, as an image tells it.

use std::sync::Arc;

use levada_metadata::{Coordinator, CoordinatorKind, Image};
use levada_shard::shard_of;
use levada_types::PartitionIndex;

use super::{Failure, NO_SHARD};

/// What a request is for.
pub(super) enum Place {
    /// A group.
    Group(String),
    /// All groups of a shard.
    Shard(PartitionIndex),
}

/// The way of a request.
pub(super) struct Route {
    /// The shard.
    pub(super) shard: PartitionIndex,
    /// Its owner.
    pub(super) owner: Arc<Coordinator>,
}

impl Place {
    /// The shard; none of them while there are none.
    pub(super) fn shard(&self, image: &Image) -> PartitionIndex {
        let count = image.shards(CoordinatorKind::Group).map(|shards| shards.owners().len());
        match (self, count) {
            (_, None) => NO_SHARD,
            (Self::Shard(shard), _) => *shard,
            (Self::Group(group), Some(count)) => shard_of(group, i32::try_from(count).unwrap_or(i32::MAX)),
        }
    }
}

impl Route {
    /// The way by this image; `None` while there are no shards.
    pub(super) fn find(image: &Image, place: &Place) -> Result<Option<Self>, Failure> {
        let shard = place.shard(image);
        if shard == NO_SHARD {
            return Ok(None);
        }
        let owner = image
            .shard_owner(CoordinatorKind::Group, shard)
            .ok_or_else(|| Failure::unavailable(format!("no coordinator owns shard {shard}")))?;
        Ok(Some(Self { shard, owner: Arc::clone(owner) }))
    }
}
