//! Which replicas a step has to look at.

use std::collections::HashSet;
use std::iter;

use levada_metadata::{ConfigResource, Image, Partition as Assignment, Topic};
use levada_types::{BrokerId, PartitionIndex, TopicId, TopicIdPartition};

use super::Unopened;

/// What has changed between two images, as far as it concerns replicas. What a replica is to do depends on its partition, on
/// the brokers that hold it, and on its topic's settings: where none of these has changed, there is nothing to look at. A
/// topic with a changed partition costs a comparison for each of the others, and no more.
pub(super) struct Scope<'a> {
    pub(super) old: &'a Image,
    pub(super) new: &'a Image,
    /// Replicas that could not be opened before.
    unopened: &'a Unopened,
    /// Brokers that have come, gone or changed.
    brokers: HashSet<BrokerId>,
    /// Topics whose settings have changed.
    reconfigured: HashSet<TopicId>,
    /// Every topic of which a partition may have to be looked at.
    topics: HashSet<TopicId>,
}

impl<'a> Scope<'a> {
    /// What has changed for a broker that hosts replicas of the topics `hosted`. With `everything`, all of it is looked at,
    /// changed or not.
    pub(super) fn between(
        (old, new): (&'a Image, &'a Image),
        unopened: &'a Unopened,
        broker: BrokerId,
        hosted: impl Fn() -> HashSet<TopicId>,
        everything: bool,
    ) -> Self {
        let mut reconfigured = HashSet::new();
        for resource in new.resources_changed_since(old) {
            match resource {
                ConfigResource::Topic(id) => {
                    reconfigured.insert(id);
                }
                ConfigResource::Broker(id) if id != broker => {}
                ConfigResource::Broker(_) | ConfigResource::DefaultBroker => reconfigured.extend(hosted()),
            }
        }
        let mut brokers = changed_brokers(old, new);
        if everything {
            brokers.insert(broker);
        }
        let mut topics: HashSet<TopicId> = new.topics_changed_since(old).collect();
        topics.extend(&reconfigured);
        topics.extend(unopened.keys().map(|id| id.topic_id));
        if !brokers.is_empty() {
            topics.extend(hosted());
        }
        Self { old, new, unopened, brokers, reconfigured, topics }
    }

    /// The topics of which a partition may have to be looked at.
    pub(super) fn topics(&self) -> impl Iterator<Item = TopicId> {
        self.topics.iter().copied()
    }

    /// Whether the settings of this topic have changed.
    pub(super) fn is_reconfigured(&self, topic: TopicId) -> bool {
        self.reconfigured.contains(&topic)
    }

    /// The partitions of a topic that have to be looked at, those that there are no more among them.
    pub(super) fn partitions(&self, id: TopicId) -> Vec<PartitionIndex> {
        let (old, new) = (self.old.topic(id), self.new.topic(id));
        let count = [old, new].into_iter().flatten().map(Topic::partition_count).max().unwrap_or(0);
        // Equal ones are mostly one and the same, so that comparing them costs nothing.
        let all = |topic: Option<&'a Topic>| {
            let partitions = topic.into_iter().flat_map(Topic::partitions);
            partitions.map(|(_, partition)| Some(partition)).chain(iter::repeat(None))
        };
        let changes = (0..count).zip(all(old)).zip(all(new));
        let is_reconfigured = self.is_reconfigured(id);
        changes
            .filter(|((partition, old), new)| {
                let unopened = || self.unopened.contains_key(&TopicIdPartition { topic_id: id, partition: *partition });
                let held_elsewhere = || new.is_some_and(|new| self.is_held_by_changed(new));
                is_reconfigured || old != new || held_elsewhere() || unopened()
            })
            .map(|((partition, _), _)| partition)
            .collect()
    }

    fn is_held_by_changed(&self, partition: &Assignment) -> bool {
        !self.brokers.is_empty() && partition.replicas.iter().any(|replica| self.brokers.contains(&replica.broker))
    }
}

fn changed_brokers(old: &Image, new: &Image) -> HashSet<BrokerId> {
    let differs = |id: &BrokerId| old.broker(*id) != new.broker(*id);
    old.brokers().chain(new.brokers()).map(|broker| broker.id).filter(differs).collect()
}
