//! Forgetting offsets: those that are asked for, a whole group's, and those of deleted topics.

use levada_types::ErrorCode;

use super::{GroupNumber, Offsets, Place};
use crate::{
    api::{CommittedPartition, CommittedTopic, DeleteOffsets, DeleteOffsetsAnswer},
    draft::Draft,
};

impl Offsets {
    /// Forgets the offsets that are asked for, but of topics that members use.
    pub(crate) fn delete(
        &mut self,
        group: GroupNumber,
        request: DeleteOffsets,
        is_used: impl Fn(&str) -> bool,
        draft: &mut Draft<'_>,
    ) -> DeleteOffsetsAnswer {
        let group_id = draft.group_id.clone();
        let topics = request.topics.into_iter().map(|topic| {
            let is_used = is_used(&topic.name);
            let topic_id = draft.image.topic_id(&topic.name);
            let error = match topic_id {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(_) if is_used => ErrorCode::GroupSubscribedToTopic,
                Some(_) => ErrorCode::None,
            };
            let places: Vec<Place> = topic
                .partitions
                .iter()
                .filter_map(|partition| self.place(group, &topic.name, *partition))
                .filter(|place| error == ErrorCode::None && self.holds(*place))
                .collect();
            self.forget(&group_id, &places, draft);
            CommittedTopic {
                topic_id,
                name: topic.name,
                partitions: topic
                    .partitions
                    .into_iter()
                    .map(|partition| CommittedPartition { partition, error })
                    .collect(),
            }
        });
        DeleteOffsetsAnswer { error: ErrorCode::None, topics: topics.collect() }
    }

    /// Forgets all offsets of a group, those of open transactions too.
    pub(crate) fn delete_all(&mut self, group: GroupNumber, draft: &mut Draft<'_>) {
        let committed = self.committed.range(Place::all_of(group)).map(|(place, _)| *place);
        let mut places: Vec<Place> = committed.chain(self.pending.of(group)).collect();
        places.sort_unstable();
        places.dedup();
        let group_id = draft.group_id.clone();
        self.forget(&group_id, &places, draft);
    }

    /// The names of topics that offsets were committed of.
    pub(crate) fn topic_names(&self) -> impl Iterator<Item = &str> {
        self.topics.names().map(AsRef::as_ref)
    }

    /// The offsets of a topic, group by group. Looks at all offsets of the shard.
    pub(crate) fn places_of(&self, topic: &str) -> Vec<Place> {
        let Some(number) = self.topics.known(topic) else { return Vec::new() };
        let committed = self.committed.keys().copied();
        let mut places: Vec<Place> =
            committed.chain(self.pending.places()).filter(|place| place.topic == number).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Forgets these offsets of one group, since their topic is gone.
    pub(crate) fn drop_places(&mut self, group_id: &str, places: &[Place], draft: &mut Draft<'_>) {
        self.forget(group_id, places, draft);
    }

    /// Forgets the name of a topic that is gone, once all its offsets are.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        if self.places_of(topic).is_empty() {
            self.topics.forget(topic);
        }
    }

    fn holds(&self, place: Place) -> bool {
        self.committed.contains_key(&place) || self.pending.is_open(place)
    }
}
