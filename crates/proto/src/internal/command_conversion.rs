//! Conversions of commands.

use levada_metadata::{
    AlterConfigsMode, Command, ConfigAlteration, ConfigChange, ConfigTarget, ControllerId, ManualAssignment,
    MorePartitions, NewTopic, ReplicaDirectory, TopicRef,
};
use levada_types::{BrokerEpoch, BrokerId, CoordinatorEpoch};

use super as pb;
use super::ConversionError;
use super::field::{
    broker_id, broker_numbers, directory_id, directory_ids, id_bytes, known, narrow, required, topic_id,
};

impl From<&Command> for pb::Command {
    fn from(command: &Command) -> Self {
        use pb::command::Kind;
        let broker = |id: BrokerId, epoch: BrokerEpoch| pb::BrokerEpochRef { id: id.0, epoch: epoch.0 };
        let kind = match command {
            Command::RegisterBroker(new) => Kind::RegisterBroker(new.into()),
            Command::UnfenceBroker { id, epoch } => Kind::UnfenceBroker(broker(*id, *epoch)),
            Command::FenceBroker { id, epoch } => Kind::FenceBroker(broker(*id, *epoch)),
            Command::StopBroker { id, epoch } => Kind::StopBroker(broker(*id, *epoch)),
            Command::DrainBroker { id, drain } => Kind::DrainBroker(pb::DrainBroker { id: id.0, drain: *drain }),
            Command::SetRebalance { rebalance } => {
                Kind::SetRebalance(pb::SetRebalance { rebalance: rebalance.map(Into::into) })
            }
            Command::UnregisterBroker { id } => Kind::UnregisterBroker(pb::UnregisterBroker { id: id.0 }),
            Command::UnregisterController { id } => Kind::UnregisterController(pb::UnregisterController { id: id.0 }),
            Command::SetVoters { voters } => {
                Kind::SetVoters(pb::SetVoters { voters: voters.iter().copied().map(Into::into).collect() })
            }
            Command::RegisterCoordinator(new) => Kind::RegisterCoordinator(new.into()),
            Command::RemoveCoordinator { epoch } => Kind::RemoveCoordinator(pb::RemoveCoordinator { epoch: epoch.0 }),
            Command::CreateShards(new) => Kind::CreateShards(new.into()),
            Command::AlterPartition { broker: id, epoch, partitions } => Kind::AlterPartition(pb::AlterPartition {
                broker: Some(broker(*id, *epoch)),
                partitions: partitions.iter().map(Into::into).collect(),
            }),
            Command::ElectLeaders { election, partitions } => Kind::ElectLeaders(pb::ElectLeaders {
                election: pb::Election::from(*election).into(),
                partitions: partitions
                    .as_ref()
                    .map(|named| pb::NamedPartitions { partitions: named.iter().map(Into::into).collect() }),
            }),
            Command::BalanceLeaders { allowed_percentage } => {
                Kind::BalanceLeaders(pb::BalanceLeaders { allowed_percentage: (*allowed_percentage).into() })
            }
            Command::ElectFromLogs { elections } => {
                Kind::ElectFromLogs(pb::ElectFromLogs { elections: elections.iter().map(Into::into).collect() })
            }
            Command::AlterPartitionReassignments { reassignments, allow_factor_change } => {
                Kind::AlterPartitionReassignments(pb::AlterPartitionReassignments {
                    reassignments: reassignments.iter().map(Into::into).collect(),
                    allow_factor_change: *allow_factor_change,
                })
            }
            Command::UpdateFeatures { updates, validate_only } => Kind::UpdateFeatures(pb::UpdateFeatures {
                updates: updates.iter().map(Into::into).collect(),
                validate_only: *validate_only,
            }),
            Command::ReportDirectories { id, epoch, online, has_offline_directory } => {
                Kind::ReportDirectories(pb::ReportDirectories {
                    broker: Some(broker(*id, *epoch)),
                    online: online.iter().map(|d| id_bytes(d.0)).collect(),
                    has_offline_directory: *has_offline_directory,
                })
            }
            Command::RegisterController(registration) => Kind::RegisterController(registration.into()),
            Command::CreateTopics { topics, validate_only } => Kind::CreateTopics(pb::CreateTopics {
                topics: topics.iter().map(Into::into).collect(),
                validate_only: *validate_only,
            }),
            Command::DeleteTopics { topics } => {
                Kind::DeleteTopics(pb::DeleteTopics { topics: topics.iter().map(Into::into).collect() })
            }
            Command::CreatePartitions { topics, validate_only } => Kind::CreatePartitions(pb::CreatePartitions {
                topics: topics.iter().map(Into::into).collect(),
                validate_only: *validate_only,
            }),
            Command::AlterConfigs { resources, mode, validate_only } => Kind::AlterConfigs(pb::AlterConfigs {
                resources: resources.iter().map(Into::into).collect(),
                full: *mode == AlterConfigsMode::Full,
                validate_only: *validate_only,
            }),
            Command::AllocateProducerIds { broker: id, epoch } => Kind::AllocateProducerIds(broker(*id, *epoch)),
            Command::AssignReplicasToDirs { broker: id, epoch, assignments } => {
                Kind::AssignReplicasToDirs(pb::AssignReplicasToDirs {
                    broker: Some(broker(*id, *epoch)),
                    assignments: assignments.iter().map(Into::into).collect(),
                })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Command> for Command {
    type Error = ConversionError;

    fn try_from(command: pb::Command) -> Result<Self, ConversionError> {
        use pb::command::Kind;
        let broker = |b: &pb::BrokerEpochRef| Ok::<_, ConversionError>((broker_id(b.id)?, BrokerEpoch(b.epoch)));
        Ok(match known(command.kind, "a command")? {
            Kind::RegisterBroker(new) => Self::RegisterBroker(new.try_into()?),
            Kind::UnfenceBroker(b) => {
                let (id, epoch) = broker(&b)?;
                Self::UnfenceBroker { id, epoch }
            }
            Kind::FenceBroker(b) => {
                let (id, epoch) = broker(&b)?;
                Self::FenceBroker { id, epoch }
            }
            Kind::StopBroker(b) => {
                let (id, epoch) = broker(&b)?;
                Self::StopBroker { id, epoch }
            }
            Kind::DrainBroker(c) => Self::DrainBroker { id: broker_id(c.id)?, drain: c.drain },
            Kind::SetRebalance(c) => Self::SetRebalance { rebalance: c.rebalance.map(Into::into) },
            Kind::UnregisterBroker(c) => Self::UnregisterBroker { id: broker_id(c.id)? },
            Kind::UnregisterController(c) => Self::UnregisterController { id: ControllerId(c.id) },
            Kind::SetVoters(c) => Self::SetVoters { voters: convert(c.voters)? },
            Kind::RegisterCoordinator(new) => Self::RegisterCoordinator(new.try_into()?),
            Kind::RemoveCoordinator(c) => Self::RemoveCoordinator { epoch: CoordinatorEpoch(c.epoch) },
            Kind::CreateShards(new) => Self::CreateShards(new.try_into()?),
            Kind::AlterPartition(c) => {
                let (id, epoch) = broker(&required(c.broker, "a broker")?)?;
                Self::AlterPartition { broker: id, epoch, partitions: convert(c.partitions)? }
            }
            Kind::ElectLeaders(c) => Self::ElectLeaders {
                election: c.election().try_into()?,
                partitions: c.partitions.map(|named| named.partitions.into_iter().map(Into::into).collect()),
            },
            Kind::BalanceLeaders(c) => {
                Self::BalanceLeaders { allowed_percentage: narrow(c.allowed_percentage, "a percentage")? }
            }
            Kind::ElectFromLogs(c) => Self::ElectFromLogs { elections: convert(c.elections)? },
            Kind::AlterPartitionReassignments(c) => Self::AlterPartitionReassignments {
                reassignments: convert(c.reassignments)?,
                allow_factor_change: c.allow_factor_change,
            },
            Kind::UpdateFeatures(c) => {
                Self::UpdateFeatures { updates: convert(c.updates)?, validate_only: c.validate_only }
            }
            Kind::ReportDirectories(c) => {
                let (id, epoch) = broker(&required(c.broker, "a broker")?)?;
                let online = directory_ids(&c.online)?;
                Self::ReportDirectories { id, epoch, online, has_offline_directory: c.has_offline_directory }
            }
            Kind::RegisterController(registration) => Self::RegisterController(registration.try_into()?),
            Kind::CreateTopics(c) => Self::CreateTopics { topics: convert(c.topics)?, validate_only: c.validate_only },
            Kind::DeleteTopics(c) => Self::DeleteTopics { topics: convert(c.topics)? },
            Kind::CreatePartitions(c) => Self::CreatePartitions {
                topics: c.topics.into_iter().map(Into::into).collect(),
                validate_only: c.validate_only,
            },
            Kind::AlterConfigs(c) => Self::AlterConfigs {
                resources: convert(c.resources)?,
                mode: if c.full { AlterConfigsMode::Full } else { AlterConfigsMode::Incremental },
                validate_only: c.validate_only,
            },
            Kind::AllocateProducerIds(b) => {
                let (id, epoch) = broker(&b)?;
                Self::AllocateProducerIds { broker: id, epoch }
            }
            Kind::AssignReplicasToDirs(c) => {
                let (id, epoch) = broker(&required(c.broker, "a broker")?)?;
                Self::AssignReplicasToDirs { broker: id, epoch, assignments: convert(c.assignments)? }
            }
        })
    }
}

fn convert<T, M>(messages: Vec<M>) -> Result<Vec<T>, ConversionError>
where
    T: TryFrom<M, Error = ConversionError>,
{
    messages.into_iter().map(T::try_from).collect()
}

impl From<&NewTopic> for pb::NewTopic {
    fn from(topic: &NewTopic) -> Self {
        let assignment =
            |a: &ManualAssignment| pb::ManualAssignment { partition: a.partition, brokers: broker_numbers(&a.brokers) };
        Self {
            name: topic.name.clone(),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor.map(Into::into),
            assignments: topic.assignments.iter().map(assignment).collect(),
            configs: topic
                .configs
                .iter()
                .map(|(name, value)| pb::ConfigEntry { name: name.clone(), value: value.clone() })
                .collect(),
        }
    }
}

impl TryFrom<pb::NewTopic> for NewTopic {
    type Error = ConversionError;

    fn try_from(topic: pb::NewTopic) -> Result<Self, ConversionError> {
        Ok(Self {
            name: topic.name,
            partitions: topic.partitions,
            replication_factor: topic.replication_factor.map(|f| narrow(f, "a replication factor")).transpose()?,
            // Brokers that cannot exist are the decision's to refuse, topic by topic.
            assignments: topic
                .assignments
                .into_iter()
                .map(|a| ManualAssignment { partition: a.partition, brokers: unchecked_brokers(a.brokers) })
                .collect(),
            configs: topic.configs.into_iter().map(|c| (c.name, c.value)).collect(),
        })
    }
}

fn unchecked_brokers(numbers: Vec<i32>) -> Vec<BrokerId> {
    numbers.into_iter().map(BrokerId).collect()
}

impl From<&TopicRef> for pb::TopicRef {
    fn from(topic: &TopicRef) -> Self {
        use pb::topic_ref::Kind;
        let kind = match topic {
            TopicRef::Name(name) => Kind::Name(name.clone()),
            TopicRef::Id(id) => Kind::Id(id_bytes(id.0)),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::TopicRef> for TopicRef {
    type Error = ConversionError;

    fn try_from(topic: pb::TopicRef) -> Result<Self, ConversionError> {
        use pb::topic_ref::Kind;
        Ok(match known(topic.kind, "a topic reference")? {
            Kind::Name(name) => Self::Name(name),
            Kind::Id(id) => Self::Id(topic_id(&id)?),
        })
    }
}

impl From<&MorePartitions> for pb::MorePartitions {
    fn from(more: &MorePartitions) -> Self {
        let assignments =
            more.assignments.iter().map(|brokers| pb::BrokerList { brokers: broker_numbers(brokers) }).collect();
        Self { name: more.name.clone(), count: more.count, assignments }
    }
}

impl From<pb::MorePartitions> for MorePartitions {
    fn from(more: pb::MorePartitions) -> Self {
        let assignments = more.assignments.into_iter().map(|list| unchecked_brokers(list.brokers)).collect();
        Self { name: more.name, count: more.count, assignments }
    }
}

impl From<&ConfigTarget> for pb::ConfigTarget {
    fn from(target: &ConfigTarget) -> Self {
        use pb::config_target::Kind;
        let kind = match target {
            ConfigTarget::Topic(name) => Kind::Topic(name.clone()),
            ConfigTarget::Broker(id) => Kind::Broker(id.0),
            ConfigTarget::DefaultBroker => Kind::DefaultBroker(pb::DefaultBroker {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::ConfigTarget> for ConfigTarget {
    type Error = ConversionError;

    fn try_from(target: pb::ConfigTarget) -> Result<Self, ConversionError> {
        use pb::config_target::Kind;
        Ok(match known(target.kind, "a setting's target")? {
            Kind::Topic(name) => Self::Topic(name),
            Kind::Broker(id) => Self::Broker(BrokerId(id)),
            Kind::DefaultBroker(pb::DefaultBroker {}) => Self::DefaultBroker,
        })
    }
}

impl From<&ConfigAlteration> for pb::ConfigAlteration {
    fn from(alteration: &ConfigAlteration) -> Self {
        use pb::config_change::Kind;
        let change = |(name, change): &(String, ConfigChange)| pb::ConfigChange {
            name: name.clone(),
            kind: Some(match change {
                ConfigChange::Set(value) => Kind::Set(value.clone()),
                ConfigChange::Delete => Kind::Delete(pb::DeleteConfig {}),
                ConfigChange::Append(values) => Kind::Append(values.clone()),
                ConfigChange::Subtract(values) => Kind::Subtract(values.clone()),
            }),
        };
        Self { target: Some((&alteration.target).into()), changes: alteration.changes.iter().map(change).collect() }
    }
}

impl TryFrom<pb::ConfigAlteration> for ConfigAlteration {
    type Error = ConversionError;

    fn try_from(alteration: pb::ConfigAlteration) -> Result<Self, ConversionError> {
        use pb::config_change::Kind;
        let change = |change: pb::ConfigChange| {
            let kind = match known(change.kind, "a setting's change")? {
                Kind::Set(value) => ConfigChange::Set(value),
                Kind::Delete(pb::DeleteConfig {}) => ConfigChange::Delete,
                Kind::Append(values) => ConfigChange::Append(values),
                Kind::Subtract(values) => ConfigChange::Subtract(values),
            };
            Ok((change.name, kind))
        };
        Ok(Self {
            target: required(alteration.target, "a setting's target")?.try_into()?,
            changes: alteration.changes.into_iter().map(change).collect::<Result<_, ConversionError>>()?,
        })
    }
}

impl From<&ReplicaDirectory> for pb::ReplicaDirectory {
    fn from(replica: &ReplicaDirectory) -> Self {
        Self {
            topic: id_bytes(replica.topic.0),
            partition: replica.partition,
            directory: id_bytes(replica.directory.0),
        }
    }
}

impl TryFrom<pb::ReplicaDirectory> for ReplicaDirectory {
    type Error = ConversionError;

    fn try_from(replica: pb::ReplicaDirectory) -> Result<Self, ConversionError> {
        Ok(Self {
            topic: topic_id(&replica.topic)?,
            partition: replica.partition,
            directory: directory_id(&replica.directory)?,
        })
    }
}
