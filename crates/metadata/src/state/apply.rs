//! Applying deltas: the few lines that run the same everywhere.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use levada_types::{BrokerEpoch, BrokerId, CoordinatorEpoch, PartitionIndex, TopicId, TopicIdPartition};
use thiserror::Error;

use super::State;
use crate::{BrokerRegistration, ConfigResource, ControllerId, CoordinatorKind, Delta, Partition, Topic};

/// A delta that does not fit the state. It was not decided on this state, so this image is not the cluster's: the node
/// must stop and not go on with a state that nobody else has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The delta names a topic that is not there.
    #[error(
        "a metadata delta names topic {0}, which is not in this image; the metadata log and this image do not belong together"
    )]
    UnknownTopic(TopicId),
    /// The topic is there already, by its identity or its name.
    #[error(
        "a metadata delta creates topic {0}, which is in this image already; the metadata log and this image do not belong together"
    )]
    TopicExists(TopicId),
    /// The delta names a broker registration that is not the current one.
    #[error(
        "a metadata delta changes broker {0} of epoch {1}, which is not the registration in this image; the metadata log and this image do not belong together"
    )]
    UnknownBroker(BrokerId, BrokerEpoch),
    /// The delta names a controller that is not there.
    #[error(
        "a metadata delta removes controller {0}, which is not in this image; the metadata log and this image do not belong together"
    )]
    UnknownController(ControllerId),
    /// The delta names a coordinator that is not there.
    #[error(
        "a metadata delta names coordinator {0}, which is not in this image; the metadata log and this image do not belong together"
    )]
    UnknownCoordinator(CoordinatorEpoch),
    /// The delta names a shard that is not there.
    #[error(
        "a metadata delta names {0} shard {1}, which is not in this image; the metadata log and this image do not belong together"
    )]
    UnknownShard(CoordinatorKind, PartitionIndex),
    /// The partition neither exists nor is the next one.
    #[error(
        "a metadata delta sets partition {1} of topic {0}, which would leave a gap; the metadata log and this image do not belong together"
    )]
    PartitionGap(TopicId, PartitionIndex),
}

impl State {
    /// Makes the change that `delta` tells.
    ///
    /// # Errors
    /// [`ApplyError`] if the delta was not decided on this state; the state is then unchanged.
    pub fn apply(&mut self, delta: &Delta) -> Result<(), ApplyError> {
        match delta {
            Delta::ClusterCreated { cluster_id } => self.cluster_id = Some(*cluster_id),
            Delta::LevelFinalized { level } => self.level = Some(*level),
            Delta::BrokerRegistered { broker } => {
                self.last_broker_epoch = self.last_broker_epoch.max(broker.epoch.0);
                self.brokers.insert(broker.id, Arc::clone(broker));
            }
            Delta::BrokerChanged { id, epoch, fenced, stopping } => {
                self.change_broker(*id, *epoch, |broker| {
                    broker.fenced = *fenced;
                    broker.stopping = *stopping;
                })?;
            }
            Delta::BrokerDirectoriesChanged { id, epoch, online } => {
                self.change_broker(*id, *epoch, |broker| broker.directories.clone_from(online))?;
            }
            Delta::BrokerDraining { id, draining } => {
                let epoch = self.brokers.get(id).map_or(BrokerEpoch(-1), |broker| broker.epoch);
                self.change_broker(*id, epoch, |broker| broker.draining = *draining)?;
            }
            Delta::RebalanceSet { rebalance } => self.rebalance = *rebalance,
            Delta::BrokerEpochsGiven { last } => self.last_broker_epoch = self.last_broker_epoch.max(last.0),
            Delta::BrokerUnregistered { id, epoch } => {
                self.brokers.get(id).filter(|b| b.epoch == *epoch).ok_or(ApplyError::UnknownBroker(*id, *epoch))?;
                self.brokers.remove(id);
            }
            Delta::ControllerUnregistered { id } => {
                self.controllers.remove(id).ok_or(ApplyError::UnknownController(*id))?;
            }
            Delta::VotersChanged { voters } => self.voters = voters.iter().copied().collect(),
            Delta::ControllerRegistered { controller } => {
                self.controllers.insert(controller.id, Arc::clone(controller));
            }
            Delta::CoordinatorRegistered { coordinator } => self.register_coordinator(coordinator),
            Delta::CoordinatorRemoved { epoch } => {
                self.coordinators.remove(epoch).ok_or(ApplyError::UnknownCoordinator(*epoch))?;
            }
            Delta::CoordinatorEpochsGiven { last } => {
                self.last_coordinator_epoch = self.last_coordinator_epoch.max(last.0);
            }
            Delta::ShardTopicSet { kind, topic, replication_factor } => {
                self.set_shard_topic(*kind, *topic, *replication_factor)?;
            }
            Delta::ShardOwned { kind, shard, owner } => self.set_shard_owner(*kind, *shard, *owner)?,
            Delta::TopicCreated { id, name } => {
                if self.topics.contains_key(id) || self.names.contains_key(name) {
                    return Err(ApplyError::TopicExists(*id));
                }
                self.topics.insert(*id, Topic::new(*id, name.clone()));
                self.names.insert(name.clone(), *id);
                self.collisions.insert(name.collision_key(), name.clone());
            }
            Delta::TopicDeleted { id } => {
                let topic = self.topics.remove(id).ok_or(ApplyError::UnknownTopic(*id))?;
                self.names.remove(topic.name());
                self.collisions.remove(&topic.name().collision_key());
                self.configs.remove(&ConfigResource::Topic(*id));
                self.deleted.add(*id);
                self.forget_shards_of(*id);
                for (index, partition) in topic.partitions() {
                    self.index_partition(TopicIdPartition { topic_id: *id, partition: index }, Some(partition), None);
                }
            }
            Delta::PartitionSet { topic, index, partition } => {
                let entry = self.topics.get_mut(topic).ok_or(ApplyError::UnknownTopic(*topic))?;
                let before = entry.partition(*index).cloned();
                if !entry.set_partition(*index, Arc::clone(partition)) {
                    return Err(ApplyError::PartitionGap(*topic, *index));
                }
                let at = TopicIdPartition { topic_id: *topic, partition: *index };
                self.index_partition(at, before.as_deref(), Some(partition));
            }
            Delta::ConfigSet { resource, name, value } => self.set_config(*resource, name, value.as_deref()),
            Delta::ProducerIdsAllocated { next } => self.next_producer_id = *next,
        }
        Ok(())
    }

    fn change_broker(
        &mut self,
        id: BrokerId,
        epoch: BrokerEpoch,
        change: impl FnOnce(&mut BrokerRegistration),
    ) -> Result<(), ApplyError> {
        let known = self.brokers.get_mut(&id).filter(|b| b.epoch == epoch);
        change(Arc::make_mut(known.ok_or(ApplyError::UnknownBroker(id, epoch))?));
        Ok(())
    }

    /// Keeps what is derived from partitions when one of them changes.
    fn index_partition(&mut self, at: TopicIdPartition, before: Option<&Partition>, after: Option<&Partition>) {
        // Most changes leave the assignment alone.
        let same = before.zip(after).is_some_and(|(was, is)| was.has_brokers_of(is));
        if !same {
            for (partition, more) in [(after, true), (before, false)] {
                let Some(partition) = partition else { continue };
                partition.replicas.iter().for_each(|r| count(&mut self.replica_counts, r.broker, more));
                partition.preferred_leader().into_iter().for_each(|id| count(&mut self.preferred_counts, id, more));
            }
        }
        keep(&mut self.leaderless, at, after.is_some_and(|p| p.leader.is_none()));
        keep(&mut self.reassigning, at, after.is_some_and(Partition::is_reassigning));
    }

    fn set_config(&mut self, resource: ConfigResource, name: &str, value: Option<&str>) {
        let mut overrides = self.configs.get(&resource).map(|o| (**o).clone()).unwrap_or_default();
        match value {
            Some(value) => overrides.insert(name.to_owned(), value.to_owned()),
            None => overrides.remove(name),
        };
        if overrides.is_empty() {
            self.configs.remove(&resource);
        } else {
            self.configs.insert(resource, Arc::new(overrides));
        }
    }
}

/// Counts one more or one less for `broker`; who has none is not in the map.
fn count(counts: &mut OrdMap<BrokerId, u32>, broker: BrokerId, more: bool) {
    let count = counts.get(&broker).copied().unwrap_or(0);
    let count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
    if count == 0 {
        counts.remove(&broker);
    } else {
        counts.insert(broker, count);
    }
}

/// Makes `at` a member of `set`, or not. A set that need not change is not touched, so that it stays shared.
fn keep(set: &mut OrdSet<TopicIdPartition>, at: TopicIdPartition, member: bool) {
    if set.contains(&at) != member {
        if member {
            set.insert(at);
        } else {
            set.remove(&at);
        }
    }
}
