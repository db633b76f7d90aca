//! Of describing, listing and deleting groups.

use levada_groups::api;

use super::pb;
use super::{ConversionError, all, code, id_bytes, number, topic_id, try_all};

fn group_kind_number(kind: api::GroupKind) -> i32 {
    match kind {
        api::GroupKind::Classic => pb::GroupKind::Classic.into(),
        api::GroupKind::Consumer => pb::GroupKind::Consumer.into(),
    }
}

fn group_kind(kind: pb::GroupKind) -> Result<api::GroupKind, ConversionError> {
    match kind {
        pb::GroupKind::Unspecified => Err(ConversionError::UnknownKind("a group's kind")),
        pb::GroupKind::Classic => Ok(api::GroupKind::Classic),
        pb::GroupKind::Consumer => Ok(api::GroupKind::Consumer),
    }
}

fn member_kind_number(kind: api::MemberKind) -> i32 {
    match kind {
        api::MemberKind::Classic => pb::GroupKind::Classic.into(),
        api::MemberKind::Consumer => pb::GroupKind::Consumer.into(),
    }
}

fn member_kind(kind: pb::GroupKind) -> Result<api::MemberKind, ConversionError> {
    match kind {
        pb::GroupKind::Unspecified => Err(ConversionError::UnknownKind("a member's kind")),
        pb::GroupKind::Classic => Ok(api::MemberKind::Classic),
        pb::GroupKind::Consumer => Ok(api::MemberKind::Consumer),
    }
}

impl From<api::DescribeGroup> for pb::DescribeGroup {
    fn from(value: api::DescribeGroup) -> Self {
        Self { group_id: value.group_id }
    }
}

impl From<pb::DescribeGroup> for api::DescribeGroup {
    fn from(value: pb::DescribeGroup) -> Self {
        Self { group_id: value.group_id }
    }
}

impl From<api::DescribeGroupAnswer> for pb::DescribeGroupAnswer {
    fn from(value: api::DescribeGroupAnswer) -> Self {
        Self {
            error: number(value.error),
            error_message: value.error_message,
            state: value.state,
            protocol_type: value.protocol_type,
            protocol: value.protocol,
            members: all(value.members),
        }
    }
}

impl From<pb::DescribeGroupAnswer> for api::DescribeGroupAnswer {
    fn from(value: pb::DescribeGroupAnswer) -> Self {
        Self {
            error: code(value.error),
            error_message: value.error_message,
            state: value.state,
            protocol_type: value.protocol_type,
            protocol: value.protocol,
            members: all(value.members),
        }
    }
}

impl From<api::DescribedMember> for pb::DescribedMember {
    fn from(value: api::DescribedMember) -> Self {
        Self {
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            client_id: value.client_id,
            client_host: value.client_host,
            metadata: value.metadata,
            assignment: value.assignment,
        }
    }
}

impl From<pb::DescribedMember> for api::DescribedMember {
    fn from(value: pb::DescribedMember) -> Self {
        Self {
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            client_id: value.client_id,
            client_host: value.client_host,
            metadata: value.metadata,
            assignment: value.assignment,
        }
    }
}

impl From<api::ConsumerGroupDescribe> for pb::ConsumerGroupDescribe {
    fn from(value: api::ConsumerGroupDescribe) -> Self {
        Self { group_id: value.group_id }
    }
}

impl From<pb::ConsumerGroupDescribe> for api::ConsumerGroupDescribe {
    fn from(value: pb::ConsumerGroupDescribe) -> Self {
        Self { group_id: value.group_id }
    }
}

impl From<api::ConsumerGroupDescribeAnswer> for pb::ConsumerGroupDescribeAnswer {
    fn from(value: api::ConsumerGroupDescribeAnswer) -> Self {
        Self {
            error: number(value.error),
            error_message: value.error_message,
            state: value.state,
            group_epoch: value.group_epoch,
            assignment_epoch: value.assignment_epoch,
            assignor: value.assignor,
            members: all(value.members),
        }
    }
}

impl TryFrom<pb::ConsumerGroupDescribeAnswer> for api::ConsumerGroupDescribeAnswer {
    type Error = ConversionError;

    fn try_from(value: pb::ConsumerGroupDescribeAnswer) -> Result<Self, ConversionError> {
        Ok(Self {
            error: code(value.error),
            error_message: value.error_message,
            state: value.state,
            group_epoch: value.group_epoch,
            assignment_epoch: value.assignment_epoch,
            assignor: value.assignor,
            members: try_all(value.members)?,
        })
    }
}

impl From<api::DescribedConsumerMember> for pb::DescribedConsumerMember {
    fn from(value: api::DescribedConsumerMember) -> Self {
        Self {
            kind: member_kind_number(value.kind),
            member_id: value.member_id,
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            member_epoch: value.member_epoch,
            client_id: value.client_id,
            client_host: value.client_host,
            subscribed_topic_names: value.subscribed_topic_names,
            subscribed_topic_regex: value.subscribed_topic_regex,
            assignment: all(value.assignment),
            target_assignment: all(value.target_assignment),
        }
    }
}

impl TryFrom<pb::DescribedConsumerMember> for api::DescribedConsumerMember {
    type Error = ConversionError;

    fn try_from(value: pb::DescribedConsumerMember) -> Result<Self, ConversionError> {
        Ok(Self {
            kind: member_kind(value.kind())?,
            member_id: value.member_id,
            instance_id: value.instance_id,
            rack_id: value.rack_id,
            member_epoch: value.member_epoch,
            client_id: value.client_id,
            client_host: value.client_host,
            subscribed_topic_names: value.subscribed_topic_names,
            subscribed_topic_regex: value.subscribed_topic_regex,
            assignment: try_all(value.assignment)?,
            target_assignment: try_all(value.target_assignment)?,
        })
    }
}

impl From<api::NamedTopicPartitions> for pb::NamedTopicPartitions {
    fn from(value: api::NamedTopicPartitions) -> Self {
        Self { topic_id: id_bytes(value.topic_id.0), name: value.name, partitions: value.partitions }
    }
}

impl TryFrom<pb::NamedTopicPartitions> for api::NamedTopicPartitions {
    type Error = ConversionError;

    fn try_from(value: pb::NamedTopicPartitions) -> Result<Self, ConversionError> {
        Ok(Self { topic_id: topic_id(&value.topic_id)?, name: value.name, partitions: value.partitions })
    }
}

impl From<api::ListGroups> for pb::ListGroups {
    fn from(value: api::ListGroups) -> Self {
        Self { states: value.states, types: value.types }
    }
}

impl From<pb::ListGroups> for api::ListGroups {
    fn from(value: pb::ListGroups) -> Self {
        Self { states: value.states, types: value.types }
    }
}

impl From<api::ListedGroup> for pb::ListedGroup {
    fn from(value: api::ListedGroup) -> Self {
        Self {
            kind: group_kind_number(value.kind),
            group_id: value.group_id,
            protocol_type: value.protocol_type,
            state: value.state,
        }
    }
}

impl TryFrom<pb::ListedGroup> for api::ListedGroup {
    type Error = ConversionError;

    fn try_from(value: pb::ListedGroup) -> Result<Self, ConversionError> {
        Ok(Self {
            kind: group_kind(value.kind())?,
            group_id: value.group_id,
            protocol_type: value.protocol_type,
            state: value.state,
        })
    }
}

impl From<api::DeleteGroup> for pb::DeleteGroup {
    fn from(value: api::DeleteGroup) -> Self {
        Self { group_id: value.group_id }
    }
}

impl From<pb::DeleteGroup> for api::DeleteGroup {
    fn from(value: pb::DeleteGroup) -> Self {
        Self { group_id: value.group_id }
    }
}

impl From<api::DeleteGroupAnswer> for pb::DeleteGroupAnswer {
    fn from(value: api::DeleteGroupAnswer) -> Self {
        Self { error: number(value.error) }
    }
}

impl From<pb::DeleteGroupAnswer> for api::DeleteGroupAnswer {
    fn from(value: pb::DeleteGroupAnswer) -> Self {
        Self { error: code(value.error) }
    }
}
