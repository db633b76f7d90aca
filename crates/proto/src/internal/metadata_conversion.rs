//! Conversions of what the metadata log carries: entries, deltas, snapshots' parts.

use std::sync::Arc;

use levada_metadata::{
    ConfigResource, ControllerId, Delta, Entry, LeaderRecovery, MetadataLevel, Partition, Rebalance, Replica,
    RunPosition,
};
use levada_types::{
    BrokerEpoch, BrokerId, ClusterId, CoordinatorEpoch, DirectoryId, LeaderEpoch, PartitionEpoch, TopicName,
};
use prost::Message;

use super as pb;
use super::ConversionError;
use super::coordinators::{shard_owned, shard_topic_set};
use super::field::{
    broker_id, broker_numbers, brokers, directory_id, directory_ids, id_bytes, known, narrow, not_negative, required,
    topic_id, uuid,
};
use super::partition_commands::recovery;

/// The newest version of the entry's envelope that this build reads, and the one that it writes.
pub const ENTRY_VERSION: u32 = 1;

/// The newest version of the snapshot's format that this build reads, and the one that it writes.
pub const SNAPSHOT_VERSION: u32 = 1;

impl From<RunPosition> for pb::RunPosition {
    fn from(position: RunPosition) -> Self {
        Self { barrier: position.barrier, number: position.number }
    }
}

impl From<pb::RunPosition> for RunPosition {
    fn from(position: pb::RunPosition) -> Self {
        Self { barrier: position.barrier, number: position.number }
    }
}

impl From<&Entry> for pb::Entry {
    fn from(entry: &Entry) -> Self {
        let kind = match entry {
            Entry::Barrier => pb::entry::Kind::Barrier(pb::Barrier {}),
            Entry::Deltas { position, deltas } => pb::entry::Kind::Deltas(pb::Deltas {
                position: Some((*position).into()),
                deltas: deltas.iter().map(Into::into).collect(),
            }),
        };
        Self { version: ENTRY_VERSION, kind: Some(kind) }
    }
}

impl TryFrom<pb::Entry> for Entry {
    type Error = ConversionError;

    fn try_from(entry: pb::Entry) -> Result<Self, ConversionError> {
        check_version("a metadata entry", entry.version, ENTRY_VERSION)?;
        match known(entry.kind, "a metadata entry")? {
            pb::entry::Kind::Barrier(pb::Barrier {}) => Ok(Self::Barrier),
            pb::entry::Kind::Deltas(deltas) => Ok(Self::Deltas {
                position: required(deltas.position, "an entry's position")?.into(),
                deltas: deltas.deltas.into_iter().map(Delta::try_from).collect::<Result<_, _>>()?,
            }),
        }
    }
}

impl pb::Entry {
    /// Reads an entry as it lies in the log.
    ///
    /// # Errors
    /// [`ConversionError`] if it is malformed or newer than this build; whoever applies the log must then stop.
    pub fn read(bytes: &[u8]) -> Result<Entry, ConversionError> {
        let entry = Self::decode(bytes).map_err(|source| ConversionError::Decode { what: "metadata entry", source })?;
        entry.try_into()
    }
}

impl pb::SnapshotHeader {
    /// Checks that this build can read the snapshot.
    ///
    /// # Errors
    /// [`ConversionError::UnknownVersion`] if it is newer.
    pub fn check_version(&self) -> Result<(), ConversionError> {
        check_version("a metadata snapshot", self.version, SNAPSHOT_VERSION)
    }
}

fn check_version(what: &'static str, version: u32, newest: u32) -> Result<(), ConversionError> {
    if version == 0 || version > newest {
        return Err(ConversionError::UnknownVersion { what, version, newest });
    }
    Ok(())
}

impl From<&Delta> for pb::Delta {
    fn from(delta: &Delta) -> Self {
        use pb::delta::Kind;
        let kind = match delta {
            Delta::ClusterCreated { cluster_id } => {
                Kind::ClusterCreated(pb::ClusterCreated { cluster_id: id_bytes(cluster_id.0) })
            }
            Delta::LevelFinalized { level } => Kind::LevelFinalized(pb::LevelFinalized { level: level.0.into() }),
            Delta::BrokerRegistered { broker } => Kind::BrokerRegistered((&**broker).into()),
            Delta::BrokerChanged { id, epoch, fenced, stopping } => Kind::BrokerChanged(pb::BrokerChanged {
                id: id.0,
                epoch: epoch.0,
                fenced: *fenced,
                stopping: *stopping,
            }),
            Delta::BrokerDraining { id, draining } => {
                Kind::BrokerDraining(pb::BrokerDraining { id: id.0, draining: *draining })
            }
            Delta::BrokerUnregistered { id, epoch } => {
                Kind::BrokerUnregistered(pb::BrokerUnregistered { id: id.0, epoch: epoch.0 })
            }
            Delta::RebalanceSet { rebalance } => {
                Kind::RebalanceSet(pb::RebalanceSet { rebalance: rebalance.map(Into::into) })
            }
            Delta::BrokerEpochsGiven { last } => Kind::BrokerEpochsGiven(pb::BrokerEpochsGiven { last: last.0 }),
            Delta::ControllerUnregistered { id } => {
                Kind::ControllerUnregistered(pb::ControllerUnregistered { id: id.0 })
            }
            Delta::VotersChanged { voters } => {
                Kind::VotersChanged(pb::VotersChanged { voters: voters.iter().copied().map(Into::into).collect() })
            }
            Delta::BrokerDirectoriesChanged { id, epoch, online } => {
                Kind::BrokerDirectoriesChanged(pb::BrokerDirectoriesChanged {
                    id: id.0,
                    epoch: epoch.0,
                    online: online.iter().map(|d| id_bytes(d.0)).collect(),
                })
            }
            Delta::ControllerRegistered { controller } => Kind::ControllerRegistered((&**controller).into()),
            Delta::CoordinatorRegistered { coordinator } => Kind::CoordinatorRegistered((&**coordinator).into()),
            Delta::CoordinatorRemoved { epoch } => Kind::CoordinatorRemoved(pb::CoordinatorRemoved { epoch: epoch.0 }),
            Delta::CoordinatorEpochsGiven { last } => {
                Kind::CoordinatorEpochsGiven(pb::CoordinatorEpochsGiven { last: last.0 })
            }
            Delta::ShardTopicSet { kind, topic, replication_factor } => Kind::ShardTopicSet(pb::ShardTopicSet {
                kind: pb::CoordinatorKind::from(*kind).into(),
                topic: id_bytes(topic.0),
                replication_factor: (*replication_factor).into(),
            }),
            Delta::ShardOwned { kind, shard, owner } => Kind::ShardOwned(pb::ShardOwned {
                kind: pb::CoordinatorKind::from(*kind).into(),
                shard: *shard,
                owner: owner.map(|owner| owner.0),
            }),
            Delta::TopicCreated { id, name } => {
                Kind::TopicCreated(pb::TopicCreated { id: id_bytes(id.0), name: name.to_string() })
            }
            Delta::TopicDeleted { id } => Kind::TopicDeleted(pb::TopicDeleted { id: id_bytes(id.0) }),
            Delta::PartitionSet { topic, index, partition } => Kind::PartitionSet(pb::PartitionSet {
                topic: id_bytes(topic.0),
                index: *index,
                partition: Some((&**partition).into()),
            }),
            Delta::ConfigSet { resource, name, value } => Kind::ConfigSet(pb::ConfigSet {
                resource: Some((*resource).into()),
                name: name.clone(),
                value: value.clone(),
            }),
            Delta::ProducerIdsAllocated { next } => {
                Kind::ProducerIdsAllocated(pb::ProducerIdsAllocated { next: *next })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Delta> for Delta {
    type Error = ConversionError;

    fn try_from(delta: pb::Delta) -> Result<Self, ConversionError> {
        use pb::delta::Kind;
        Ok(match known(delta.kind, "a metadata delta")? {
            Kind::ClusterCreated(d) => {
                Self::ClusterCreated { cluster_id: ClusterId(uuid(&d.cluster_id, "a cluster id")?) }
            }
            Kind::LevelFinalized(d) => {
                Self::LevelFinalized { level: MetadataLevel(narrow(d.level, "a metadata level")?) }
            }
            Kind::BrokerRegistered(d) => Self::BrokerRegistered { broker: Arc::new(d.try_into()?) },
            Kind::BrokerChanged(d) => Self::BrokerChanged {
                id: broker_id(d.id)?,
                epoch: BrokerEpoch(d.epoch),
                fenced: d.fenced,
                stopping: d.stopping,
            },
            Kind::BrokerDraining(d) => Self::BrokerDraining { id: broker_id(d.id)?, draining: d.draining },
            Kind::BrokerUnregistered(d) => {
                Self::BrokerUnregistered { id: broker_id(d.id)?, epoch: BrokerEpoch(d.epoch) }
            }
            Kind::RebalanceSet(d) => Self::RebalanceSet { rebalance: d.rebalance.map(Into::into) },
            Kind::BrokerEpochsGiven(d) => Self::BrokerEpochsGiven { last: BrokerEpoch(d.last) },
            Kind::ControllerUnregistered(d) => Self::ControllerUnregistered { id: ControllerId(d.id) },
            Kind::VotersChanged(d) => {
                Self::VotersChanged { voters: d.voters.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()? }
            }
            Kind::BrokerDirectoriesChanged(d) => Self::BrokerDirectoriesChanged {
                id: broker_id(d.id)?,
                epoch: BrokerEpoch(d.epoch),
                online: directory_ids(&d.online)?,
            },
            Kind::ControllerRegistered(d) => Self::ControllerRegistered { controller: Arc::new(d.try_into()?) },
            Kind::CoordinatorRegistered(d) => Self::CoordinatorRegistered { coordinator: Arc::new(d.try_into()?) },
            Kind::CoordinatorRemoved(d) => Self::CoordinatorRemoved { epoch: CoordinatorEpoch(d.epoch) },
            Kind::CoordinatorEpochsGiven(d) => Self::CoordinatorEpochsGiven { last: CoordinatorEpoch(d.last) },
            Kind::ShardTopicSet(d) => shard_topic_set(&d)?,
            Kind::ShardOwned(d) => shard_owned(&d)?,
            Kind::TopicCreated(d) => Self::TopicCreated { id: topic_id(&d.id)?, name: TopicName::new(&d.name)? },
            Kind::TopicDeleted(d) => Self::TopicDeleted { id: topic_id(&d.id)? },
            Kind::PartitionSet(d) => Self::PartitionSet {
                topic: topic_id(&d.topic)?,
                index: not_negative(d.index, "a partition's number")?,
                partition: Arc::new(required(d.partition, "a partition")?.try_into()?),
            },
            Kind::ConfigSet(d) => Self::ConfigSet {
                resource: required(d.resource, "a setting's resource")?.try_into()?,
                name: d.name,
                value: d.value,
            },
            Kind::ProducerIdsAllocated(d) => Self::ProducerIdsAllocated { next: d.next },
        })
    }
}

impl From<Rebalance> for pb::Rebalance {
    fn from(rebalance: Rebalance) -> Self {
        Self { throttle: rebalance.throttle }
    }
}

impl From<pb::Rebalance> for Rebalance {
    fn from(rebalance: pb::Rebalance) -> Self {
        Self { throttle: rebalance.throttle }
    }
}

impl From<&Partition> for pb::Partition {
    fn from(partition: &Partition) -> Self {
        let replica = |r: &Replica| pb::Replica {
            broker: r.broker.0,
            directory: if r.directory == DirectoryId::UNASSIGNED {
                bytes::Bytes::new()
            } else {
                id_bytes(r.directory.0)
            },
        };
        Self {
            replicas: partition.replicas.iter().map(replica).collect(),
            isr: partition.isr.iter().map(Into::into).collect(),
            elr: broker_numbers(&partition.elr),
            last_complete: broker_numbers(&partition.last_complete),
            leader: partition.leader.map(|l| l.0),
            leader_epoch: partition.leader_epoch.0,
            partition_epoch: partition.partition_epoch.0,
            recovering: partition.recovery == LeaderRecovery::Recovering,
            adding: broker_numbers(&partition.adding),
            removing: broker_numbers(&partition.removing),
            possible_losses: partition.possible_losses,
        }
    }
}

impl TryFrom<pb::Partition> for Partition {
    type Error = ConversionError;

    fn try_from(partition: pb::Partition) -> Result<Self, ConversionError> {
        let replica = |r: &pb::Replica| {
            let directory = if r.directory.is_empty() { DirectoryId::UNASSIGNED } else { directory_id(&r.directory)? };
            Ok(Replica { broker: broker_id(r.broker)?, directory })
        };
        if partition.replicas.is_empty() {
            return Err(ConversionError::Missing("a partition's replicas"));
        }
        Ok(Self {
            replicas: partition.replicas.iter().map(replica).collect::<Result<_, ConversionError>>()?,
            isr: partition.isr.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            elr: brokers(&partition.elr)?,
            last_complete: brokers(&partition.last_complete)?,
            leader: partition.leader.map(broker_id).transpose()?,
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            partition_epoch: PartitionEpoch(partition.partition_epoch),
            recovery: recovery(partition.recovering),
            adding: brokers(&partition.adding)?,
            removing: brokers(&partition.removing)?,
            possible_losses: partition.possible_losses,
        })
    }
}

impl From<ConfigResource> for pb::ConfigResource {
    fn from(resource: ConfigResource) -> Self {
        use pb::config_resource::Kind;
        let kind = match resource {
            ConfigResource::Topic(id) => Kind::Topic(id_bytes(id.0)),
            ConfigResource::Broker(BrokerId(id)) => Kind::Broker(id),
            ConfigResource::DefaultBroker => Kind::DefaultBroker(pb::DefaultBroker {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::ConfigResource> for ConfigResource {
    type Error = ConversionError;

    fn try_from(resource: pb::ConfigResource) -> Result<Self, ConversionError> {
        use pb::config_resource::Kind;
        Ok(match known(resource.kind, "a setting's resource")? {
            Kind::Topic(id) => Self::Topic(topic_id(&id)?),
            Kind::Broker(id) => Self::Broker(broker_id(id)?),
            Kind::DefaultBroker(pb::DefaultBroker {}) => Self::DefaultBroker,
        })
    }
}
