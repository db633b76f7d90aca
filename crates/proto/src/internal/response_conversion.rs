//! Conversions of responses.

use levada_metadata::{
    AlteredConfig, BalancedLeaders, CreatedPartitions, CreatedTopic, DeletedTopic, ItemError, ProducerIdBlock,
    Response, TopicCreation,
};
use levada_types::{BrokerEpoch, CoordinatorEpoch, ErrorCode, TopicId};

use super as pb;
use super::ConversionError;
use super::coordinators::shards_created;
use super::field::{id_bytes, known, narrow, required, topic_id};
use super::partition_responses::{altered, leader};

impl From<&ItemError> for pb::ItemError {
    fn from(error: &ItemError) -> Self {
        Self { code: error.code as i32, message: error.message.clone() }
    }
}

impl From<pb::ItemError> for ItemError {
    fn from(error: pb::ItemError) -> Self {
        // A code that this build does not know is an error all the same.
        let code = i16::try_from(error.code).ok().and_then(ErrorCode::from_code);
        let code = code.filter(|code| *code != ErrorCode::None).unwrap_or(ErrorCode::UnknownServerError);
        Self { code, message: error.message }
    }
}

pub(super) fn error_of<T>(result: &Result<T, ItemError>) -> Option<pb::ItemError> {
    result.as_ref().err().map(Into::into)
}

pub(super) fn done(error: Option<pb::ItemError>) -> Result<(), ItemError> {
    error.map_or(Ok(()), |e| Err(e.into()))
}

impl From<&Result<(), ItemError>> for pb::ItemResult {
    fn from(result: &Result<(), ItemError>) -> Self {
        Self { error: error_of(result) }
    }
}

impl From<&Response> for pb::Response {
    fn from(response: &Response) -> Self {
        use pb::response::Kind;
        let kind = match response {
            Response::RegisterBroker(result) => Kind::RegisterBroker(pb::RegisterBrokerResult {
                epoch: result.as_ref().map_or(-1, |epoch| epoch.0),
                error: error_of(result),
            }),
            Response::UnfenceBroker(result) => Kind::UnfenceBroker(result.into()),
            Response::FenceBroker(result) => Kind::FenceBroker(result.into()),
            Response::StopBroker(result) => Kind::StopBroker(pb::StopBrokerResult {
                left: result.as_ref().copied().unwrap_or(0),
                error: error_of(result),
            }),
            Response::SetRebalance(result) => Kind::SetRebalance(result.into()),
            Response::DrainBroker(result) => Kind::DrainBroker(result.into()),
            Response::UnregisterBroker(result) => Kind::UnregisterBroker(result.into()),
            Response::UnregisterController(result) => Kind::UnregisterController(result.into()),
            Response::SetVoters(result) => Kind::SetVoters(result.into()),
            Response::RegisterCoordinator(result) => Kind::RegisterCoordinator(pb::RegisterCoordinatorResult {
                epoch: result.as_ref().map_or(-1, |epoch| epoch.0),
                error: error_of(result),
            }),
            Response::RemoveCoordinator(result) => Kind::RemoveCoordinator(result.into()),
            Response::CreateShards(result) => Kind::CreateShards(result.into()),
            Response::AlterPartition(result) => Kind::AlterPartition(pb::AlterPartitionResult {
                partitions: result.iter().flatten().map(Into::into).collect(),
                error: error_of(result),
            }),
            Response::ElectLeaders(partitions) => {
                Kind::ElectLeaders(pb::ElectLeadersResult { partitions: partitions.iter().map(Into::into).collect() })
            }
            Response::BalanceLeaders(BalancedLeaders { moved, left }) => {
                Kind::BalanceLeaders(pb::BalanceLeadersResult { moved: *moved, left: *left })
            }
            Response::ElectFromLogs(partitions) => {
                Kind::ElectFromLogs(pb::ElectFromLogsResult { partitions: partitions.iter().map(Into::into).collect() })
            }
            Response::AlterPartitionReassignments(partitions) => {
                Kind::AlterPartitionReassignments(pb::AlterPartitionReassignmentsResult {
                    partitions: partitions.iter().map(Into::into).collect(),
                })
            }
            Response::UpdateFeatures(features) => {
                Kind::UpdateFeatures(pb::UpdateFeaturesResult { features: features.iter().map(Into::into).collect() })
            }
            Response::ReportDirectories(result) => Kind::ReportDirectories(result.into()),
            Response::RegisterController(result) => Kind::RegisterController(result.into()),
            Response::CreateTopics(topics) => {
                Kind::CreateTopics(pb::CreateTopicsResult { topics: topics.iter().map(Into::into).collect() })
            }
            Response::DeleteTopics(topics) => {
                Kind::DeleteTopics(pb::DeleteTopicsResult { topics: topics.iter().map(Into::into).collect() })
            }
            Response::CreatePartitions(topics) => {
                let topic =
                    |t: &CreatedPartitions| pb::CreatedPartitions { name: t.name.clone(), error: error_of(&t.result) };
                Kind::CreatePartitions(pb::CreatePartitionsResult { topics: topics.iter().map(topic).collect() })
            }
            Response::AlterConfigs(resources) => {
                let resource = |r: &AlteredConfig| pb::AlteredConfig {
                    target: Some((&r.target).into()),
                    error: error_of(&r.result),
                };
                Kind::AlterConfigs(pb::AlterConfigsResult { resources: resources.iter().map(resource).collect() })
            }
            Response::AllocateProducerIds(result) => Kind::AllocateProducerIds(pb::AllocateProducerIdsResult {
                first: result.as_ref().map_or(-1, |block| block.first),
                len: result.as_ref().map_or(0, |block| block.len),
                error: error_of(result),
            }),
            Response::AssignReplicasToDirs(result) => Kind::AssignReplicasToDirs(pb::AssignReplicasToDirsResult {
                results: result.iter().flatten().map(Into::into).collect(),
                error: error_of(result),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Response> for Response {
    type Error = ConversionError;

    fn try_from(response: pb::Response) -> Result<Self, ConversionError> {
        use pb::response::Kind;
        Ok(match known(response.kind, "a response")? {
            Kind::RegisterBroker(r) => Self::RegisterBroker(done(r.error).map(|()| BrokerEpoch(r.epoch))),
            Kind::UnfenceBroker(r) => Self::UnfenceBroker(done(r.error)),
            Kind::FenceBroker(r) => Self::FenceBroker(done(r.error)),
            Kind::StopBroker(r) => Self::StopBroker(done(r.error).map(|()| r.left)),
            Kind::SetRebalance(r) => Self::SetRebalance(done(r.error)),
            Kind::DrainBroker(r) => Self::DrainBroker(done(r.error)),
            Kind::UnregisterBroker(r) => Self::UnregisterBroker(done(r.error)),
            Kind::UnregisterController(r) => Self::UnregisterController(done(r.error)),
            Kind::SetVoters(r) => Self::SetVoters(done(r.error)),
            Kind::RegisterCoordinator(r) => {
                Self::RegisterCoordinator(done(r.error).map(|()| CoordinatorEpoch(r.epoch)))
            }
            Kind::RemoveCoordinator(r) => Self::RemoveCoordinator(done(r.error)),
            Kind::CreateShards(r) => Self::CreateShards(shards_created(r)?),
            Kind::AlterPartition(r) => Self::AlterPartition(match done(r.error) {
                Err(error) => Err(error),
                Ok(()) => Ok(r.partitions.into_iter().map(altered).collect::<Result<_, _>>()?),
            }),
            Kind::ElectLeaders(r) => {
                Self::ElectLeaders(r.partitions.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            Kind::BalanceLeaders(r) => Self::BalanceLeaders(BalancedLeaders { moved: r.moved, left: r.left }),
            Kind::ElectFromLogs(r) => {
                let elected = r.partitions.into_iter().map(|p| leader(p.leader, p.error));
                Self::ElectFromLogs(elected.collect::<Result<_, _>>()?)
            }
            Kind::AlterPartitionReassignments(r) => Self::AlterPartitionReassignments(
                r.partitions.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            ),
            Kind::UpdateFeatures(r) => Self::UpdateFeatures(r.features.into_iter().map(Into::into).collect()),
            Kind::ReportDirectories(r) => Self::ReportDirectories(done(r.error)),
            Kind::RegisterController(r) => Self::RegisterController(done(r.error)),
            Kind::CreateTopics(r) => {
                Self::CreateTopics(r.topics.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            Kind::DeleteTopics(r) => {
                Self::DeleteTopics(r.topics.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            Kind::CreatePartitions(r) => Self::CreatePartitions(
                r.topics.into_iter().map(|t| CreatedPartitions { name: t.name, result: done(t.error) }).collect(),
            ),
            Kind::AlterConfigs(r) => {
                Self::AlterConfigs(r.resources.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            Kind::AllocateProducerIds(r) => {
                Self::AllocateProducerIds(done(r.error).map(|()| ProducerIdBlock { first: r.first, len: r.len }))
            }
            Kind::AssignReplicasToDirs(r) => Self::AssignReplicasToDirs(
                done(r.error).map(|()| r.results.into_iter().map(|item| done(item.error)).collect()),
            ),
        })
    }
}

impl From<&TopicCreation> for pb::TopicCreation {
    fn from(creation: &TopicCreation) -> Self {
        let created = creation.result.as_ref().ok();
        Self {
            name: creation.name.clone(),
            id: id_bytes(created.map_or(TopicId::ZERO, |c| c.id).0),
            partitions: created.map_or(0, |c| c.partitions),
            replication_factor: created.map_or(0, |c| c.replication_factor.into()),
            error: error_of(&creation.result),
        }
    }
}

impl TryFrom<pb::TopicCreation> for TopicCreation {
    type Error = ConversionError;

    fn try_from(creation: pb::TopicCreation) -> Result<Self, ConversionError> {
        let result = match creation.error {
            Some(error) => Err(error.into()),
            None => Ok(CreatedTopic {
                id: topic_id(&creation.id)?,
                partitions: creation.partitions,
                replication_factor: narrow(creation.replication_factor, "a replication factor")?,
            }),
        };
        Ok(Self { name: creation.name, result })
    }
}

impl From<&DeletedTopic> for pb::DeletedTopic {
    fn from(topic: &DeletedTopic) -> Self {
        Self { name: topic.name.clone(), id: id_bytes(topic.id.0), error: error_of(&topic.result) }
    }
}

impl TryFrom<pb::DeletedTopic> for DeletedTopic {
    type Error = ConversionError;

    fn try_from(topic: pb::DeletedTopic) -> Result<Self, ConversionError> {
        Ok(Self { name: topic.name, id: topic_id(&topic.id)?, result: done(topic.error) })
    }
}

impl TryFrom<pb::AlteredConfig> for AlteredConfig {
    type Error = ConversionError;

    fn try_from(altered: pb::AlteredConfig) -> Result<Self, ConversionError> {
        Ok(Self { target: required(altered.target, "a setting's target")?.try_into()?, result: done(altered.error) })
    }
}
