//! Which shards this process has to do with, and where they lie.

use levada_metadata::{CoordinatorKind, Image, ShardTopic};
use levada_types::{CoordinatorEpoch, PartitionIndex, TopicIdPartition};

use levada_shard::machine::Term;

/// What this process has to do with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It owns it.
    Own(Term),
    /// It would take it over, and follows it.
    Follow(Term),
}

/// A shard that this process has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: TopicIdPartition,
    pub(crate) duty: Duty,
}

/// The shards that the coordinator of this epoch owns by `image`, and those that it would take over.
pub(crate) fn places(
    image: &Image,
    kind: CoordinatorKind,
    epoch: CoordinatorEpoch,
    succession: Option<&mut Succession>,
) -> Vec<Place> {
    let Some(topic) = image.shard_topic(kind) else { return Vec::new() };
    let place = |index: PartitionIndex, duty: fn(Term) -> Duty| {
        let partition = topic.partition(index)?;
        let term = Term { leader: partition.leader, epoch: partition.leader_epoch, losses: partition.possible_losses };
        Some(Place { partition: TopicIdPartition { topic_id: topic.id(), partition: index }, duty: duty(term) })
    };
    let followed = succession.map_or(&[][..], |succession| succession.of(image, kind, epoch));
    let owned = image.shards_of(epoch).filter_map(|index| place(index, Duty::Own));
    owned.chain(followed.iter().filter_map(|index| place(*index, Duty::Follow))).collect()
}

/// What this process would take over. Kept, since most changes of the metadata leave it as it is, and telling it takes a look
/// at all shards for each coordinator.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    told_for: Option<(CoordinatorEpoch, Vec<CoordinatorEpoch>, ShardTopic)>,
    shards: Vec<PartitionIndex>,
}

impl Succession {
    fn of(&mut self, image: &Image, kind: CoordinatorKind, epoch: CoordinatorEpoch) -> &[PartitionIndex] {
        let live = image.coordinators(kind).map(|coordinator| coordinator.epoch).collect();
        let now = image.shards(kind).map(|shards| (epoch, live, shards.clone()));
        if now != self.told_for {
            self.shards = image.standby_shards(epoch);
            self.told_for = now;
        }
        &self.shards
    }
}
