//! Who leads a partition when brokers come and go, and who counts as complete.
//!
//! A member that leaves the in-sync set stays eligible (KIP-966) while the rest is smaller than `min.insync.replicas`,
//! because the high watermark cannot move without it. Once the in-sync set has the minimum again, nobody is eligible but
//! its members.

use std::collections::BTreeMap;
use std::sync::Arc;

use levada_types::{BrokerEpoch, BrokerId, DirectoryId, TopicId};

use super::draft::Draft;
use crate::config::{Resolver, StaticConfigs};
use crate::{Delta, IsrMember, ItemError, Partition, State};

/// How a broker leaves the partitions that it holds replicas of.
#[derive(Clone, Copy)]
pub(super) enum Departure<'a> {
    /// It may come back with everything that it has.
    Intact,
    /// It comes back with these directories; what lay in others is gone.
    Directories(&'a [DirectoryId]),
    /// It may have lost bytes.
    Damaged,
}

impl Departure<'_> {
    fn keeps(self, partition: &Partition, broker: BrokerId) -> bool {
        match self {
            Self::Intact => true,
            Self::Directories(online) => partition
                .directory_of(broker)
                .is_some_and(|directory| directory == DirectoryId::UNASSIGNED || online.contains(&directory)),
            Self::Damaged => false,
        }
    }
}

/// Takes `broker` out of every in-sync set, moves its leaderships to others, and leaves it eligible where it is needed.
pub(super) fn depart(draft: &mut Draft, broker: BrokerId, departure: Departure<'_>) -> Result<(), ItemError> {
    let minimum = Minimum::new(draft.state());
    let changes = change_replicas(draft.state(), broker, |topic, partition| {
        let keeps = departure.keeps(partition, broker);
        let is_concerned = partition.is_in_sync(broker) || (partition.elr.contains(&broker) && !keeps);
        is_concerned.then(|| without(draft.state(), partition, broker, keeps, minimum.of(topic, partition)))
    });
    draft.add(changes)
}

/// Lets `broker`, which is live again, lead the partitions that have waited for it.
pub(super) fn return_to_duty(draft: &mut Draft, broker: BrokerId, epoch: BrokerEpoch) -> Result<(), ItemError> {
    let minimum = Minimum::new(draft.state());
    let changes = change_replicas(draft.state(), broker, |topic, partition| {
        if partition.leader.is_some() {
            return None;
        }
        // A single replica starts with what it has: nobody else could ever have more.
        let is_alone = partition.elr.is_empty() && partition.last_complete == [broker];
        if !partition.elr.contains(&broker) && !is_alone {
            return None;
        }
        let mut changed = partition.clone();
        changed.isr = vec![IsrMember { broker, epoch }];
        changed.elr.retain(|b| *b != broker);
        lead(&mut changed, Some(broker));
        Some(settled(changed, minimum.of(topic, partition)))
    });
    draft.add(changes)
}

/// Clears the eligible replicas of partitions that are led: the minimum under which they earned their place has changed.
/// Those of a partition without a leader stay, since nothing was acknowledged after they left.
pub(super) fn clear_eligible(draft: &mut Draft, only: Option<TopicId>) -> Result<(), ItemError> {
    let topics: Vec<TopicId> = match only {
        Some(topic) => vec![topic],
        None => draft.state().topics().map(crate::Topic::id).collect(),
    };
    let mut changes = Vec::new();
    for topic in topics.iter().filter_map(|id| draft.state().topic(*id)) {
        for (index, partition) in topic.partitions().filter(|(_, p)| p.leader.is_some() && !p.elr.is_empty()) {
            let partition = Partition {
                elr: Vec::new(),
                partition_epoch: partition.partition_epoch.next(),
                ..(**partition).clone()
            };
            changes.push(Delta::PartitionSet { topic: topic.id(), index, partition: Arc::new(partition) });
        }
    }
    draft.add(changes)
}

fn change_replicas(
    state: &State,
    broker: BrokerId,
    mut change: impl FnMut(TopicId, &Partition) -> Option<Partition>,
) -> Vec<Delta> {
    state
        .replicas_of(broker)
        .filter_map(|(at, partition)| {
            let partition = Arc::new(change(at.topic_id, partition)?);
            Some(Delta::PartitionSet { topic: at.topic_id, index: at.partition, partition })
        })
        .collect()
}

fn without(state: &State, before: &Partition, broker: BrokerId, keeps: bool, minimum: usize) -> Partition {
    let mut after = before.clone();
    after.isr.retain(|member| member.broker != broker);
    after.elr.retain(|b| *b != broker);
    let was_complete = before.is_in_sync(broker) || before.elr.contains(&broker);
    if keeps && was_complete && after.isr.len() < minimum {
        after.elr.push(broker);
    }
    if before.leader == Some(broker) {
        let is_live = |id: &BrokerId| *id != broker && state.broker(*id).is_some_and(|b| b.is_live());
        let in_order = |candidate: &dyn Fn(BrokerId) -> bool| {
            after.replicas.iter().map(|r| r.broker).find(|id| is_live(id) && candidate(*id))
        };
        let next = in_order(&|id| after.is_in_sync(id)).or_else(|| in_order(&|id| after.elr.contains(&id)));
        if let Some(registration) = next.filter(|id| !after.is_in_sync(*id)).and_then(|id| state.broker(id)) {
            after.isr = vec![IsrMember { broker: registration.id, epoch: registration.epoch }];
            after.elr.retain(|b| *b != registration.id);
        }
        if next.is_none() {
            after.last_complete = before.isr.iter().map(|m| m.broker).chain(before.elr.iter().copied()).collect();
        }
        lead(&mut after, next);
    }
    settled(after, minimum)
}

fn lead(partition: &mut Partition, leader: Option<BrokerId>) {
    partition.leader = leader;
    partition.leader_epoch = partition.leader_epoch.next();
    if leader.is_some() {
        partition.last_complete.clear();
    }
}

fn settled(mut partition: Partition, minimum: usize) -> Partition {
    if partition.isr.len() >= minimum {
        partition.elr.clear();
    }
    partition.partition_epoch = partition.partition_epoch.next();
    partition
}

/// The number of in-sync replicas that a partition needs: min(`min.insync.replicas`, replication factor), from the
/// metadata alone, since every controller must find the same.
struct Minimum {
    by_topic: BTreeMap<TopicId, usize>,
    default: usize,
}

impl Minimum {
    fn new(state: &State) -> Self {
        let nothing_static = StaticConfigs::default();
        let resolver = Resolver::new(state, None, &nothing_static);
        let count = |value: i64| usize::try_from(value).unwrap_or(1);
        let default = count(resolver.broker_long("min.insync.replicas").unwrap_or(1));
        let by_topic = state.config_resources().filter_map(|(resource, overrides)| match resource {
            crate::ConfigResource::Topic(id) => {
                let value = overrides.get("min.insync.replicas")?.trim().parse().ok()?;
                Some((id, count(value)))
            }
            _ => None,
        });
        Self { by_topic: by_topic.collect(), default }
    }

    fn of(&self, topic: TopicId, partition: &Partition) -> usize {
        self.by_topic.get(&topic).copied().unwrap_or(self.default).min(partition.replicas.len())
    }
}
