//! Conversions of what became of partitions and features.

use levada_metadata::{AlteredPartition, ElectedLeader, ItemError, LeaderRecovery, Reassigned, UpdatedFeature};
use levada_types::{BrokerId, LeaderEpoch, PartitionEpoch};

use super as pb;
use super::ConversionError;
use super::field::{broker_id, required};
use super::partition_commands::recovery;
use super::response_conversion::{done, error_of};

impl From<&Result<AlteredPartition, ItemError>> for pb::AlteredPartition {
    fn from(result: &Result<AlteredPartition, ItemError>) -> Self {
        let error = error_of(result);
        let Ok(partition) = result else { return Self { error, ..Self::default() } };
        Self {
            leader: partition.leader.map(|leader| leader.0),
            leader_epoch: partition.leader_epoch.0,
            isr: partition.isr.iter().map(Into::into).collect(),
            recovering: partition.recovery == LeaderRecovery::Recovering,
            partition_epoch: partition.partition_epoch.0,
            error,
        }
    }
}

/// A partition's state after a proposal, or why the proposal was refused.
pub(super) fn altered(altered: pb::AlteredPartition) -> Result<Result<AlteredPartition, ItemError>, ConversionError> {
    if let Some(error) = altered.error {
        return Ok(Err(error.into()));
    }
    Ok(Ok(AlteredPartition {
        leader: altered.leader.map(broker_id).transpose()?,
        leader_epoch: LeaderEpoch(altered.leader_epoch),
        isr: altered.isr.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        recovery: recovery(altered.recovering),
        partition_epoch: PartitionEpoch(altered.partition_epoch),
    }))
}

impl From<&ElectedLeader> for pb::ElectedLeader {
    fn from(elected: &ElectedLeader) -> Self {
        Self {
            partition: Some((&elected.partition).into()),
            leader: number(&elected.result),
            error: error_of(&elected.result),
        }
    }
}

impl TryFrom<pb::ElectedLeader> for ElectedLeader {
    type Error = ConversionError;

    fn try_from(elected: pb::ElectedLeader) -> Result<Self, ConversionError> {
        Ok(Self {
            partition: required(elected.partition, "a partition")?.into(),
            result: leader(elected.leader, elected.error)?,
        })
    }
}

impl From<&Result<BrokerId, ItemError>> for pb::LeaderResult {
    fn from(result: &Result<BrokerId, ItemError>) -> Self {
        Self { leader: number(result), error: error_of(result) }
    }
}

fn number(result: &Result<BrokerId, ItemError>) -> i32 {
    result.as_ref().map_or(-1, |leader| leader.0)
}

/// Who was elected, or why nobody was.
pub(super) fn leader(
    leader: i32,
    error: Option<pb::ItemError>,
) -> Result<Result<BrokerId, ItemError>, ConversionError> {
    match error {
        Some(error) => Ok(Err(error.into())),
        None => broker_id(leader).map(Ok),
    }
}

impl From<&Reassigned> for pb::Reassigned {
    fn from(reassigned: &Reassigned) -> Self {
        Self {
            topic: Some((&reassigned.topic).into()),
            partition: reassigned.partition,
            error: error_of(&reassigned.result),
        }
    }
}

impl TryFrom<pb::Reassigned> for Reassigned {
    type Error = ConversionError;

    fn try_from(reassigned: pb::Reassigned) -> Result<Self, ConversionError> {
        Ok(Self {
            topic: required(reassigned.topic, "a topic")?.try_into()?,
            partition: reassigned.partition,
            result: done(reassigned.error),
        })
    }
}

impl From<&UpdatedFeature> for pb::UpdatedFeature {
    fn from(updated: &UpdatedFeature) -> Self {
        Self { name: updated.name.clone(), error: error_of(&updated.result) }
    }
}

impl From<pb::UpdatedFeature> for UpdatedFeature {
    fn from(updated: pb::UpdatedFeature) -> Self {
        Self { name: updated.name, result: done(updated.error) }
    }
}
