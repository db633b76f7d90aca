//! What changes of the metadata do to groups.

use std::{collections::BTreeMap, sync::Arc};

use levada_metadata::{Image, Topic};
use levada_shard::Context;
use levada_types::TopicId;

use super::Groups;
use crate::{
    group::Group,
    offsets::{GroupNumber, Place},
    outcome::Outcome,
};

impl Groups {
    /// Acts upon the metadata if it has changed: offsets of topics that are gone are forgotten, so that a new topic of the
    /// same name never inherits them, and groups of the next-generation protocol learn what has become of their topics.
    pub(super) fn follow(&mut self, context: &mut Context<'_>, outcome: &mut Outcome) {
        let image = context.image;
        if self.seen.as_ref().is_some_and(|seen| seen.offset() == image.offset()) {
            return;
        }
        let seen = self.seen.replace(image.clone());
        let (changed, gone) = match &seen {
            Some(seen) => differences(seen, image),
            // Just loaded: the metadata is not older than what was committed here, since the lease of this shard is in it.
            None => (image.topics().map(Topic::id).collect(), self.names_without_topic(image)),
        };
        for topic in &gone {
            self.drop_topic(topic, context, outcome);
        }
        if !changed.is_empty() {
            self.tell_consumers(&changed, context, outcome);
        }
    }

    fn names_without_topic(&self, image: &Image) -> Vec<String> {
        self.offsets.topic_names().filter(|name| image.topic_id(name).is_none()).map(str::to_owned).collect()
    }

    fn drop_topic(&mut self, topic: &str, context: &mut Context<'_>, outcome: &mut Outcome) {
        let mut of_groups: BTreeMap<GroupNumber, Vec<Place>> = BTreeMap::new();
        for place in self.offsets.places_of(topic) {
            of_groups.entry(place.group).or_default().push(place);
        }
        for (number, places) in of_groups {
            if let Some(id) = self.ids.get(&number).cloned() {
                self.with(&id, context, outcome, |_, offsets, draft| offsets.drop_places(&id, &places, draft));
            }
        }
        self.offsets.forget_topic(topic);
    }

    fn tell_consumers(&mut self, changed: &[TopicId], context: &mut Context<'_>, outcome: &mut Outcome) {
        let is_told = |slot: &super::Slot| matches!(slot.group, Some(Group::Consumer(_)));
        let ids: Vec<Arc<str>> =
            self.slots.iter().filter(|(_, slot)| is_told(slot)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.with(&id, context, outcome, |slot, _, draft| {
                if let Some(Group::Consumer(group)) = &mut slot.group {
                    group.topics_changed(changed, draft);
                }
            });
        }
    }
}

/// The topics that are new, gone, or have other partitions or replicas; and the names of those that are gone.
fn differences(seen: &Image, image: &Image) -> (Vec<TopicId>, Vec<String>) {
    let mut changed = Vec::new();
    let mut gone = Vec::new();
    for id in image.topics_changed_since(seen) {
        match (seen.topic(id), image.topic(id)) {
            (Some(old), Some(new)) if is_same_to_groups(old, new) => continue,
            (Some(old), None) => gone.push(old.name().to_string()),
            _ => {}
        }
        changed.push(id);
    }
    (changed, gone)
}

/// Who leads a partition and who is in sync does not matter to groups.
fn is_same_to_groups(old: &Topic, new: &Topic) -> bool {
    old.partition_count() == new.partition_count()
        && old.partitions().zip(new.partitions()).all(|((_, old), (_, new))| {
            Arc::ptr_eq(old, new)
                || old
                    .replicas
                    .iter()
                    .map(|replica| replica.broker)
                    .eq(new.replicas.iter().map(|replica| replica.broker))
        })
}
