//! Which shards this process owns, and where they lie.

use levada_metadata::{CoordinatorKind, Image};
use levada_types::{CoordinatorEpoch, PartitionIndex, TopicIdPartition};

use crate::machine::Term;

/// A shard that this process owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: TopicIdPartition,
    pub(crate) term: Term,
}

/// The shards of `kind` that the coordinator of this epoch owns by `image`.
pub(crate) fn owned(image: &Image, kind: CoordinatorKind, epoch: CoordinatorEpoch) -> Vec<Place> {
    let Some(topic) = image.shard_topic(kind) else { return Vec::new() };
    let place = |index: PartitionIndex| {
        let partition = topic.partition(index)?;
        let term = Term { leader: partition.leader, epoch: partition.leader_epoch, losses: partition.possible_losses };
        Some(Place { partition: TopicIdPartition { topic_id: topic.id(), partition: index }, term })
    };
    image.shards_of(epoch).filter_map(place).collect()
}
