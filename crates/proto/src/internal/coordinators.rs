//! Conversions of coordinators and of their shards.

use levada_metadata::{Coordinator, CoordinatorKind, CreatedTopic, Delta, ItemError, NewCoordinator, NewShards};
use levada_types::CoordinatorEpoch;

use super as pb;
use super::ConversionError;
use super::field::{id_bytes, narrow, not_negative, required, topic_id, uuid};
use super::response_conversion::{done, error_of};

impl From<CoordinatorKind> for pb::CoordinatorKind {
    fn from(kind: CoordinatorKind) -> Self {
        match kind {
            CoordinatorKind::Group => Self::Group,
            CoordinatorKind::Transaction => Self::Transaction,
        }
    }
}

impl TryFrom<pb::CoordinatorKind> for CoordinatorKind {
    type Error = ConversionError;

    fn try_from(kind: pb::CoordinatorKind) -> Result<Self, ConversionError> {
        match kind {
            pb::CoordinatorKind::Unspecified => Err(ConversionError::UnknownKind("a coordinator's kind")),
            pb::CoordinatorKind::Group => Ok(Self::Group),
            pb::CoordinatorKind::Transaction => Ok(Self::Transaction),
        }
    }
}

fn kind_number(kind: CoordinatorKind) -> i32 {
    pb::CoordinatorKind::from(kind).into()
}

impl From<&Coordinator> for pb::Coordinator {
    fn from(coordinator: &Coordinator) -> Self {
        Self {
            epoch: coordinator.epoch.0,
            kind: kind_number(coordinator.kind),
            incarnation: id_bytes(coordinator.incarnation),
            name: coordinator.name.clone(),
            internal_address: coordinator.internal_address.clone(),
            levels: Some(coordinator.levels.into()),
        }
    }
}

impl TryFrom<pb::Coordinator> for Coordinator {
    type Error = ConversionError;

    fn try_from(coordinator: pb::Coordinator) -> Result<Self, ConversionError> {
        Ok(Self {
            epoch: CoordinatorEpoch(coordinator.epoch),
            kind: coordinator.kind().try_into()?,
            incarnation: uuid(&coordinator.incarnation, "a coordinator's incarnation")?,
            name: coordinator.name,
            internal_address: coordinator.internal_address,
            levels: required(coordinator.levels, "a coordinator's levels")?.try_into()?,
        })
    }
}

impl From<&NewCoordinator> for pb::RegisterCoordinator {
    fn from(new: &NewCoordinator) -> Self {
        Self {
            kind: kind_number(new.kind),
            incarnation: id_bytes(new.incarnation),
            name: new.name.clone(),
            internal_address: new.internal_address.clone(),
            levels: Some(new.levels.into()),
        }
    }
}

impl TryFrom<pb::RegisterCoordinator> for NewCoordinator {
    type Error = ConversionError;

    fn try_from(new: pb::RegisterCoordinator) -> Result<Self, ConversionError> {
        Ok(Self {
            kind: new.kind().try_into()?,
            incarnation: uuid(&new.incarnation, "a coordinator's incarnation")?,
            name: new.name,
            internal_address: new.internal_address,
            levels: required(new.levels, "a coordinator's levels")?.try_into()?,
        })
    }
}

impl From<&NewShards> for pb::CreateShards {
    fn from(new: &NewShards) -> Self {
        let entry = |(name, value): &(String, String)| pb::ConfigEntry { name: name.clone(), value: value.clone() };
        Self {
            kind: kind_number(new.kind),
            partitions: new.partitions,
            replication_factor: new.replication_factor.into(),
            configs: new.configs.iter().map(entry).collect(),
        }
    }
}

impl TryFrom<pb::CreateShards> for NewShards {
    type Error = ConversionError;

    fn try_from(new: pb::CreateShards) -> Result<Self, ConversionError> {
        Ok(Self {
            kind: new.kind().try_into()?,
            partitions: new.partitions,
            replication_factor: narrow(new.replication_factor, "a replication factor")?,
            configs: new.configs.into_iter().map(|entry| (entry.name, entry.value)).collect(),
        })
    }
}

impl From<&Result<CreatedTopic, ItemError>> for pb::CreateShardsResult {
    fn from(result: &Result<CreatedTopic, ItemError>) -> Self {
        let created = result.as_ref().ok();
        Self {
            topic: created.map(|created| id_bytes(created.id.0)).unwrap_or_default(),
            partitions: created.map_or(0, |created| created.partitions),
            replication_factor: created.map_or(0, |created| created.replication_factor.into()),
            error: error_of(result),
        }
    }
}

/// The topic of the shards, or why there is none.
pub(super) fn shards_created(
    result: pb::CreateShardsResult,
) -> Result<Result<CreatedTopic, ItemError>, ConversionError> {
    if let Err(error) = done(result.error) {
        return Ok(Err(error));
    }
    Ok(Ok(CreatedTopic {
        id: topic_id(&result.topic)?,
        partitions: result.partitions,
        replication_factor: narrow(result.replication_factor, "a replication factor")?,
    }))
}

/// The deltas of shards as they travel.
pub(super) fn shard_topic_set(set: &pb::ShardTopicSet) -> Result<Delta, ConversionError> {
    Ok(Delta::ShardTopicSet {
        kind: set.kind().try_into()?,
        topic: topic_id(&set.topic)?,
        replication_factor: narrow(set.replication_factor, "a replication factor")?,
    })
}

pub(super) fn shard_owned(owned: &pb::ShardOwned) -> Result<Delta, ConversionError> {
    Ok(Delta::ShardOwned {
        kind: owned.kind().try_into()?,
        shard: not_negative(owned.shard, "a shard")?,
        owner: owned.owner.map(CoordinatorEpoch),
    })
}
