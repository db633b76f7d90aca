//! The target assignment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use levada_metadata::Topic;
use levada_types::{PartitionIndex, TopicId};

use super::{ConsumerGroup, after, hard::Member};
use crate::{
    GroupConfig,
    assignor::{Assignor, MemberSpec, Slot, Spec, TopicSpec},
    draft::Draft,
    records::{Change, Partitions, TargetEpoch},
};

impl ConsumerGroup {
    /// Computes the target assignment, if the group's epoch asks for one and the last one is old enough
    /// (`group.consumer.assignment.interval.ms`). Otherwise a tick will.
    pub(super) fn assign_if_due(&mut self, draft: &mut Draft<'_>) {
        if self.is_stale {
            return;
        }
        self.due = None;
        if self.is_empty() || self.hard.group_epoch() <= self.hard.assignment_epoch() {
            return;
        }
        let last = self.hard.target_epoch.map_or(0, |target| target.timestamp);
        let due = after(last, draft.config.group_consumer_assignment_interval_ms);
        // A time that lies ahead was told by another clock.
        if last > 0 && last <= draft.now && draft.now < due {
            self.due = Some(due);
        } else {
            self.assign(draft);
        }
    }

    fn assign(&mut self, draft: &mut Draft<'_>) {
        let assignor = self.assignor(draft.config);
        let (topics, members, spec) = self.spec(draft);
        let assignment = assignor.assign(&spec);
        for (id, slots) in members.into_iter().zip(assignment) {
            let partition =
                |slot: Slot| Some((*topics.get(slot.topic as usize)?, PartitionIndex::try_from(slot.partition).ok()?));
            let target: Partitions = slots.into_iter().filter_map(partition).collect();
            if self.hard.targets.get(&id).is_none_or(|old| **old != target) {
                self.write(Change::Target(id, Some(Arc::new(target))), draft);
            }
        }
        let epoch = TargetEpoch { epoch: self.hard.group_epoch(), timestamp: draft.now };
        self.write(Change::TargetEpoch(Some(epoch)), draft);
    }

    /// The assignor that most members want; the first of `group.consumer.assignors` if none is wanted.
    pub(super) fn assignor(&self, config: &GroupConfig) -> Assignor {
        let mut offered = offered(config).into_iter();
        let first = offered.next().unwrap_or(Assignor::Uniform);
        let votes = |assignor: Assignor| self.hard.assignors.get(assignor.name()).copied().unwrap_or(0);
        // Of those with as many votes, the one that is named first.
        offered.fold(first, |best, next| if votes(next) > votes(best) { next } else { best })
    }

    /// The group as the assignor sees it, with the topics and the members that its numbers stand for.
    fn spec(&self, draft: &Draft<'_>) -> (Vec<TopicId>, Vec<Arc<str>>, Spec) {
        let topics: Vec<TopicId> = self.subscribed.ids().collect();
        let numbers: BTreeMap<TopicId, u32> = topics.iter().copied().zip(0u32..).collect();
        // What outlives a restart comes first, so that a new id of a static member changes nothing.
        let mut members: Vec<(&Arc<str>, &Member)> = self.hard.members.iter().collect();
        members.sort_by_key(|(id, member)| {
            let instance = member.told.instance_id.as_deref();
            (instance.is_none(), instance.unwrap_or(id).to_owned())
        });
        let mut racks = Racks::default();
        let members_spec: Vec<MemberSpec> = members
            .iter()
            .map(|(id, member)| {
                let owned = self.hard.targets.get(*id).into_iter().flat_map(|target| target.iter());
                MemberSpec {
                    rack: member.told.rack_id.as_deref().map(|rack| racks.number(rack)),
                    topics: self
                        .subscription(&member.told)
                        .iter()
                        .filter_map(|topic| numbers.get(topic).copied())
                        .collect(),
                    owned: owned
                        .filter_map(|(topic, partition)| {
                            Some(Slot { topic: *numbers.get(&topic)?, partition: u32::try_from(partition).ok()? })
                        })
                        .collect(),
                }
            })
            .collect();
        let has_racks = members_spec.iter().any(|member| member.rack.is_some());
        let topics_spec = topics
            .iter()
            .map(|&id| match draft.image.topic(id) {
                Some(topic) => TopicSpec {
                    partitions: topic.partition_count().cast_unsigned(),
                    racks: if has_racks { racks.of(topic, draft) } else { Vec::new() },
                },
                None => TopicSpec::default(),
            })
            .collect();
        let ids = members.into_iter().map(|(id, _)| Arc::clone(id)).collect();
        (topics, ids, Spec { topics: topics_spec, members: members_spec })
    }
}

/// The assignors that are offered: those of `group.consumer.assignors` that there are.
pub(super) fn offered(config: &GroupConfig) -> Vec<Assignor> {
    config.group_consumer_assignors.iter().filter_map(|name| Assignor::from_name(name)).collect()
}

/// Racks by number.
#[derive(Default)]
struct Racks {
    numbers: BTreeMap<String, u32>,
}

impl Racks {
    fn number(&mut self, rack: &str) -> u32 {
        if let Some(&number) = self.numbers.get(rack) {
            return number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(rack.to_owned(), number);
        number
    }

    /// The racks of the replicas of each partition of a topic.
    fn of(&mut self, topic: &Topic, draft: &Draft<'_>) -> Vec<Vec<u32>> {
        topic
            .partitions()
            .map(|(_, partition)| {
                let racks: BTreeSet<u32> = partition
                    .replicas
                    .iter()
                    .filter_map(|replica| draft.image.broker(replica.broker)?.rack.as_deref())
                    .map(|rack| self.number(rack))
                    .collect();
                racks.into_iter().collect()
            })
            .collect()
    }
}
