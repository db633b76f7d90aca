//! Conversions of what commands say about partitions and features.

use levada_metadata::{
    Election, FeatureChange, FeatureUpdate, IsrMember, IsrProposal, LeaderRecovery, LogElection, NamedPartition,
    Reassignment, ReplicaEnd, Waiver,
};
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

use super as pb;
use super::ConversionError;
use super::field::{broker_id, broker_numbers, brokers, id_bytes, narrow, required, topic_id};

impl From<&IsrMember> for pb::IsrMember {
    fn from(member: &IsrMember) -> Self {
        Self { broker: member.broker.0, epoch: member.epoch.0 }
    }
}

impl TryFrom<pb::IsrMember> for IsrMember {
    type Error = ConversionError;

    fn try_from(member: pb::IsrMember) -> Result<Self, ConversionError> {
        Ok(Self { broker: broker_id(member.broker)?, epoch: BrokerEpoch(member.epoch) })
    }
}

/// Whether a leader has recovered, as it travels.
pub(super) fn recovery(recovering: bool) -> LeaderRecovery {
    if recovering { LeaderRecovery::Recovering } else { LeaderRecovery::Recovered }
}

impl From<&IsrProposal> for pb::IsrProposal {
    fn from(proposal: &IsrProposal) -> Self {
        Self {
            topic: id_bytes(proposal.topic.0),
            partition: proposal.partition,
            leader_epoch: proposal.leader_epoch.0,
            partition_epoch: proposal.partition_epoch.0,
            isr: proposal.isr.iter().map(Into::into).collect(),
            incomplete: broker_numbers(&proposal.incomplete),
            recovering: proposal.recovery == LeaderRecovery::Recovering,
        }
    }
}

impl TryFrom<pb::IsrProposal> for IsrProposal {
    type Error = ConversionError;

    fn try_from(proposal: pb::IsrProposal) -> Result<Self, ConversionError> {
        Ok(Self {
            topic: topic_id(&proposal.topic)?,
            partition: proposal.partition,
            leader_epoch: LeaderEpoch(proposal.leader_epoch),
            partition_epoch: PartitionEpoch(proposal.partition_epoch),
            isr: proposal.isr.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            incomplete: brokers(&proposal.incomplete)?,
            recovery: recovery(proposal.recovering),
        })
    }
}

impl From<Election> for pb::Election {
    fn from(election: Election) -> Self {
        match election {
            Election::Preferred => Self::Preferred,
            Election::Unclean => Self::Unclean,
        }
    }
}

impl TryFrom<pb::Election> for Election {
    type Error = ConversionError;

    fn try_from(election: pb::Election) -> Result<Self, ConversionError> {
        match election {
            pb::Election::Unspecified => Err(ConversionError::UnknownKind("an election")),
            pb::Election::Preferred => Ok(Self::Preferred),
            pb::Election::Unclean => Ok(Self::Unclean),
        }
    }
}

impl From<&NamedPartition> for pb::NamedPartition {
    fn from(partition: &NamedPartition) -> Self {
        Self { topic: partition.topic.clone(), partition: partition.partition }
    }
}

impl From<pb::NamedPartition> for NamedPartition {
    fn from(partition: pb::NamedPartition) -> Self {
        Self { topic: partition.topic, partition: partition.partition }
    }
}

impl From<Waiver> for pb::Waiver {
    fn from(waiver: Waiver) -> Self {
        match waiver {
            Waiver::AllReturned => Self::AllReturned,
            Waiver::UncleanByConfig => Self::UncleanByConfig,
            Waiver::UncleanByHand => Self::UncleanByHand,
        }
    }
}

impl TryFrom<pb::Waiver> for Waiver {
    type Error = ConversionError;

    fn try_from(waiver: pb::Waiver) -> Result<Self, ConversionError> {
        match waiver {
            pb::Waiver::Unspecified => Err(ConversionError::UnknownKind("a reason for an election")),
            pb::Waiver::AllReturned => Ok(Self::AllReturned),
            pb::Waiver::UncleanByConfig => Ok(Self::UncleanByConfig),
            pb::Waiver::UncleanByHand => Ok(Self::UncleanByHand),
        }
    }
}

impl From<&LogElection> for pb::LogElection {
    fn from(election: &LogElection) -> Self {
        Self {
            topic: id_bytes(election.topic.0),
            partition: election.partition,
            leader_epoch: election.leader_epoch.0,
            ends: election.ends.iter().map(Into::into).collect(),
            waiver: pb::Waiver::from(election.waiver).into(),
        }
    }
}

impl TryFrom<pb::LogElection> for LogElection {
    type Error = ConversionError;

    fn try_from(election: pb::LogElection) -> Result<Self, ConversionError> {
        Ok(Self {
            topic: topic_id(&election.topic)?,
            partition: election.partition,
            leader_epoch: LeaderEpoch(election.leader_epoch),
            waiver: election.waiver().try_into()?,
            ends: election.ends.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ReplicaEnd> for pb::ReplicaEnd {
    fn from(end: &ReplicaEnd) -> Self {
        Self {
            broker: Some(pb::BrokerEpochRef { id: end.broker.0, epoch: end.broker_epoch.0 }),
            last_epoch: end.last_epoch.0,
            log_end: end.log_end,
        }
    }
}

impl TryFrom<pb::ReplicaEnd> for ReplicaEnd {
    type Error = ConversionError;

    fn try_from(end: pb::ReplicaEnd) -> Result<Self, ConversionError> {
        let broker = required(end.broker, "a broker")?;
        Ok(Self {
            broker: broker_id(broker.id)?,
            broker_epoch: BrokerEpoch(broker.epoch),
            last_epoch: LeaderEpoch(end.last_epoch),
            log_end: end.log_end,
        })
    }
}

impl From<&Reassignment> for pb::Reassignment {
    fn from(reassignment: &Reassignment) -> Self {
        let replicas = reassignment.replicas.as_ref();
        Self {
            topic: Some((&reassignment.topic).into()),
            partition: reassignment.partition,
            replicas: replicas.map(|brokers| pb::BrokerList { brokers: broker_numbers(brokers) }),
        }
    }
}

impl TryFrom<pb::Reassignment> for Reassignment {
    type Error = ConversionError;

    fn try_from(reassignment: pb::Reassignment) -> Result<Self, ConversionError> {
        // Brokers that cannot exist are the decision's to refuse, partition by partition.
        let unchecked = |list: pb::BrokerList| list.brokers.into_iter().map(BrokerId).collect();
        Ok(Self {
            topic: required(reassignment.topic, "a topic")?.try_into()?,
            partition: reassignment.partition,
            replicas: reassignment.replicas.map(unchecked),
        })
    }
}

impl From<FeatureChange> for pb::FeatureChange {
    fn from(change: FeatureChange) -> Self {
        match change {
            FeatureChange::Upgrade => Self::Upgrade,
            FeatureChange::SafeDowngrade => Self::SafeDowngrade,
            FeatureChange::UnsafeDowngrade => Self::UnsafeDowngrade,
        }
    }
}

impl From<&FeatureUpdate> for pb::FeatureUpdate {
    fn from(update: &FeatureUpdate) -> Self {
        let change = pb::FeatureChange::from(update.change).into();
        Self { name: update.name.clone(), level: update.level.into(), change }
    }
}

impl TryFrom<pb::FeatureUpdate> for FeatureUpdate {
    type Error = ConversionError;

    fn try_from(update: pb::FeatureUpdate) -> Result<Self, ConversionError> {
        let change = match update.change() {
            pb::FeatureChange::Unspecified => return Err(ConversionError::UnknownKind("a feature's change")),
            pb::FeatureChange::Upgrade => FeatureChange::Upgrade,
            pb::FeatureChange::SafeDowngrade => FeatureChange::SafeDowngrade,
            pb::FeatureChange::UnsafeDowngrade => FeatureChange::UnsafeDowngrade,
        };
        Ok(Self { level: narrow(update.level, "a feature's level")?, name: update.name, change })
    }
}
