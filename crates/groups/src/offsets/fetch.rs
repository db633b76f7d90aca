//! OffsetFetch.

use levada_metadata::Image;
use levada_types::{ErrorCode, PartitionIndex};

use super::{Committed, GroupNumber, Offsets, Place};
use crate::api::{FetchOffsets, FetchOffsetsAnswer, FetchTopic, FetchedPartition, FetchedTopic};

impl Offsets {
    /// Reads committed offsets. A group that does not exist (`None`) has none.
    pub(crate) fn fetch(&self, group: Option<GroupNumber>, request: FetchOffsets, image: &Image) -> FetchOffsetsAnswer {
        let topics = match request.topics {
            Some(topics) => {
                let fetch = |topic| self.fetch_topic(group, topic, request.require_stable, image);
                topics.into_iter().map(fetch).collect()
            }
            None => group.map(|group| self.fetch_all(group, request.require_stable, image)).unwrap_or_default(),
        };
        FetchOffsetsAnswer { error: ErrorCode::None, topics }
    }

    fn fetch_topic(
        &self,
        group: Option<GroupNumber>,
        topic: FetchTopic,
        require_stable: bool,
        image: &Image,
    ) -> FetchedTopic {
        // What is stored under a name is of the topic that bears it now.
        let is_another = topic.topic_id.is_some_and(|id| image.topic_id(&topic.name).is_some_and(|now| now != id));
        let place = |partition| self.place(group.filter(|_| !is_another)?, &topic.name, partition);
        let partitions = topic.partitions.iter().map(|partition| match place(*partition) {
            Some(place) => self.fetch_place(place, require_stable),
            None => fetched(*partition, None),
        });
        let partitions = partitions.collect();
        FetchedTopic { name: topic.name, topic_id: topic.topic_id, partitions }
    }

    fn fetch_all(&self, group: GroupNumber, require_stable: bool, image: &Image) -> Vec<FetchedTopic> {
        let mut places: Vec<Place> = self.committed.range(Place::all_of(group)).map(|(place, _)| *place).collect();
        if require_stable {
            // A partition of which the first offset is still in a transaction is unstable too.
            places.extend(self.pending.of(group));
            places.sort_unstable();
            places.dedup();
        }
        let of_topics = places.chunk_by(|one, other| one.topic == other.topic);
        let topics = of_topics.filter_map(|places| {
            let name = self.topics.name(places.first()?.topic)?;
            Some(FetchedTopic {
                name: name.to_string(),
                topic_id: image.topic_id(name),
                partitions: places.iter().map(|place| self.fetch_place(*place, require_stable)).collect(),
            })
        });
        topics.collect()
    }

    fn fetch_place(&self, place: Place, require_stable: bool) -> FetchedPartition {
        if require_stable && self.pending.is_open(place) {
            return FetchedPartition { error: ErrorCode::UnstableOffsetCommit, ..fetched(place.partition, None) };
        }
        fetched(place.partition, self.committed.get(&place))
    }
}

fn fetched(partition: PartitionIndex, committed: Option<&Committed>) -> FetchedPartition {
    FetchedPartition {
        partition,
        offset: committed.map(|committed| committed.offset),
        leader_epoch: committed.and_then(Committed::leader_epoch),
        metadata: committed.map(|committed| committed.metadata().to_owned()).unwrap_or_default(),
        committed_at: committed.map(|committed| committed.committed_at),
        error: ErrorCode::None,
    }
}
