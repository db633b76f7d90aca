//! Of committed offsets.

use levada_groups::api;
use levada_types::LeaderEpoch;

use super::pb;
use super::{ConversionError, all, code, id_of, number, topic_of, try_all};

impl From<api::OffsetCommit> for pb::OffsetCommit {
    fn from(value: api::OffsetCommit) -> Self {
        Self {
            group_id: value.group_id,
            generation_id_or_member_epoch: value.generation_id_or_member_epoch,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            retention_time_ms: value.retention_time_ms,
            topics: all(value.topics),
            stream_number: value.stream_number,
        }
    }
}

impl TryFrom<pb::OffsetCommit> for api::OffsetCommit {
    type Error = ConversionError;

    fn try_from(value: pb::OffsetCommit) -> Result<Self, ConversionError> {
        Ok(Self {
            group_id: value.group_id,
            generation_id_or_member_epoch: value.generation_id_or_member_epoch,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            retention_time_ms: value.retention_time_ms,
            topics: try_all(value.topics)?,
            stream_number: value.stream_number,
        })
    }
}

impl From<api::CommitTopic> for pb::CommitTopic {
    fn from(value: api::CommitTopic) -> Self {
        Self { name: value.name, topic_id: id_of(value.topic_id), partitions: all(value.partitions) }
    }
}

impl TryFrom<pb::CommitTopic> for api::CommitTopic {
    type Error = ConversionError;

    fn try_from(value: pb::CommitTopic) -> Result<Self, ConversionError> {
        Ok(Self { name: value.name, topic_id: topic_of(value.topic_id)?, partitions: all(value.partitions) })
    }
}

impl From<api::CommitPartition> for pb::CommitPartition {
    fn from(value: api::CommitPartition) -> Self {
        Self {
            partition: value.partition,
            offset: value.offset,
            leader_epoch: value.leader_epoch.map(|epoch| epoch.0),
            metadata: value.metadata,
        }
    }
}

impl From<pb::CommitPartition> for api::CommitPartition {
    fn from(value: pb::CommitPartition) -> Self {
        Self {
            partition: value.partition,
            offset: value.offset,
            leader_epoch: value.leader_epoch.map(LeaderEpoch),
            metadata: value.metadata,
        }
    }
}

impl From<api::OffsetCommitAnswer> for pb::OffsetCommitAnswer {
    fn from(value: api::OffsetCommitAnswer) -> Self {
        Self { topics: all(value.topics) }
    }
}

impl TryFrom<pb::OffsetCommitAnswer> for api::OffsetCommitAnswer {
    type Error = ConversionError;

    fn try_from(value: pb::OffsetCommitAnswer) -> Result<Self, ConversionError> {
        Ok(Self { topics: try_all(value.topics)? })
    }
}

impl From<api::CommittedTopic> for pb::CommittedTopic {
    fn from(value: api::CommittedTopic) -> Self {
        Self { name: value.name, topic_id: id_of(value.topic_id), partitions: all(value.partitions) }
    }
}

impl TryFrom<pb::CommittedTopic> for api::CommittedTopic {
    type Error = ConversionError;

    fn try_from(value: pb::CommittedTopic) -> Result<Self, ConversionError> {
        Ok(Self { name: value.name, topic_id: topic_of(value.topic_id)?, partitions: all(value.partitions) })
    }
}

impl From<api::CommittedPartition> for pb::CommittedPartition {
    fn from(value: api::CommittedPartition) -> Self {
        Self { partition: value.partition, error: number(value.error) }
    }
}

impl From<pb::CommittedPartition> for api::CommittedPartition {
    fn from(value: pb::CommittedPartition) -> Self {
        Self { partition: value.partition, error: code(value.error) }
    }
}

impl From<api::FetchOffsets> for pb::FetchOffsets {
    fn from(value: api::FetchOffsets) -> Self {
        Self {
            group_id: value.group_id,
            member_id: value.member_id,
            member_epoch: value.member_epoch,
            topics: value.topics.map(|topics| pb::FetchTopics { topics: all(topics) }),
            require_stable: value.require_stable,
        }
    }
}

impl TryFrom<pb::FetchOffsets> for api::FetchOffsets {
    type Error = ConversionError;

    fn try_from(value: pb::FetchOffsets) -> Result<Self, ConversionError> {
        Ok(Self {
            group_id: value.group_id,
            member_id: value.member_id,
            member_epoch: value.member_epoch,
            topics: value.topics.map(|list| try_all(list.topics)).transpose()?,
            require_stable: value.require_stable,
        })
    }
}

impl From<api::FetchTopic> for pb::FetchTopic {
    fn from(value: api::FetchTopic) -> Self {
        Self { name: value.name, topic_id: id_of(value.topic_id), partitions: value.partitions }
    }
}

impl TryFrom<pb::FetchTopic> for api::FetchTopic {
    type Error = ConversionError;

    fn try_from(value: pb::FetchTopic) -> Result<Self, ConversionError> {
        Ok(Self { name: value.name, topic_id: topic_of(value.topic_id)?, partitions: value.partitions })
    }
}

impl From<api::FetchOffsetsAnswer> for pb::FetchOffsetsAnswer {
    fn from(value: api::FetchOffsetsAnswer) -> Self {
        Self { error: number(value.error), topics: all(value.topics) }
    }
}

impl TryFrom<pb::FetchOffsetsAnswer> for api::FetchOffsetsAnswer {
    type Error = ConversionError;

    fn try_from(value: pb::FetchOffsetsAnswer) -> Result<Self, ConversionError> {
        Ok(Self { error: code(value.error), topics: try_all(value.topics)? })
    }
}

impl From<api::FetchedTopic> for pb::FetchedTopic {
    fn from(value: api::FetchedTopic) -> Self {
        Self { name: value.name, topic_id: id_of(value.topic_id), partitions: all(value.partitions) }
    }
}

impl TryFrom<pb::FetchedTopic> for api::FetchedTopic {
    type Error = ConversionError;

    fn try_from(value: pb::FetchedTopic) -> Result<Self, ConversionError> {
        Ok(Self { name: value.name, topic_id: topic_of(value.topic_id)?, partitions: all(value.partitions) })
    }
}

impl From<api::FetchedPartition> for pb::FetchedPartition {
    fn from(value: api::FetchedPartition) -> Self {
        Self {
            partition: value.partition,
            offset: value.offset,
            leader_epoch: value.leader_epoch.map(|epoch| epoch.0),
            metadata: value.metadata,
            committed_at: value.committed_at,
            error: number(value.error),
        }
    }
}

impl From<pb::FetchedPartition> for api::FetchedPartition {
    fn from(value: pb::FetchedPartition) -> Self {
        Self {
            partition: value.partition,
            offset: value.offset,
            leader_epoch: value.leader_epoch.map(LeaderEpoch),
            metadata: value.metadata,
            committed_at: value.committed_at,
            error: code(value.error),
        }
    }
}

impl From<api::DeleteOffsets> for pb::DeleteOffsets {
    fn from(value: api::DeleteOffsets) -> Self {
        Self { group_id: value.group_id, topics: all(value.topics) }
    }
}

impl From<pb::DeleteOffsets> for api::DeleteOffsets {
    fn from(value: pb::DeleteOffsets) -> Self {
        Self { group_id: value.group_id, topics: all(value.topics) }
    }
}

impl From<api::DeleteTopic> for pb::DeleteTopic {
    fn from(value: api::DeleteTopic) -> Self {
        Self { name: value.name, partitions: value.partitions }
    }
}

impl From<pb::DeleteTopic> for api::DeleteTopic {
    fn from(value: pb::DeleteTopic) -> Self {
        Self { name: value.name, partitions: value.partitions }
    }
}

impl From<api::DeleteOffsetsAnswer> for pb::DeleteOffsetsAnswer {
    fn from(value: api::DeleteOffsetsAnswer) -> Self {
        Self { error: number(value.error), topics: all(value.topics) }
    }
}

impl TryFrom<pb::DeleteOffsetsAnswer> for api::DeleteOffsetsAnswer {
    type Error = ConversionError;

    fn try_from(value: pb::DeleteOffsetsAnswer) -> Result<Self, ConversionError> {
        Ok(Self { error: code(value.error), topics: try_all(value.topics)? })
    }
}
