//! What is told of a group.

use std::time::Duration;

use levada_proto::v1;
use levada_types::{LeaderEpoch, Offset, TopicPartition};

use crate::ClientError;
use crate::admin::partitions;

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupType {
    /// The classic protocol: the members assign among themselves.
    Classic,
    /// The next-generation protocol (KIP-848): the coordinator assigns.
    Consumer,
}

/// Groups, as far as coordinators could be asked.
#[derive(Debug, Clone)]
pub struct GroupList {
    /// By ascending id.
    pub groups: Vec<GroupListing>,
    /// Why some may be missing.
    pub incomplete: Option<ClientError>,
}

/// A group at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: String,
    /// `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Assigning`, `Reconciling`, `Stable` or `Dead`.
    pub state: String,
    /// Its protocol; `None` if it is one that this client does not know.
    pub group_type: Option<GroupType>,
    /// What it is for: `consumer`, `connect` or anything; empty where offsets were committed by hand.
    pub protocol_type: String,
}

/// A group.
#[derive(Debug, Clone)]
pub struct GroupDescription {
    /// What a listing says of it.
    pub listing: GroupListing,
    /// How its partitions are assigned: an assignor's name, or the classic protocol that the members chose.
    pub assignor: String,
    /// The generation of a classic group, the group epoch of a next-generation one, if it is told.
    pub epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
    /// How it stands with each partition that it has committed or that is assigned, by topic and partition; empty if they
    /// were not asked for.
    pub offsets: Vec<GroupOffset>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// Its epoch, in a next-generation group.
    pub epoch: Option<i32>,
    /// What it owns.
    pub assigned: Vec<TopicPartition>,
    /// What it is to own, where that differs.
    pub target: Vec<TopicPartition>,
}

/// How a group stands with a partition.
#[derive(Debug, Clone)]
pub struct GroupOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// The next record to be consumed, if anything is committed.
    pub committed: Option<Offset>,
    /// The leader epoch that was committed with it.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What the client wanted to keep with it.
    pub metadata: String,
    /// The first offset that the partition holds.
    pub log_start: Option<Offset>,
    /// The offset after the last visible record.
    pub log_end: Option<Offset>,
    /// How many records are left to consume.
    pub lag: Option<i64>,
    /// How long the oldest record that is left has been waiting, by its timestamp; zero if none is left.
    pub lag_time: Option<Duration>,
    /// Who owns the partition.
    pub member: Option<String>,
    /// Why the partition's leader could not be asked.
    pub error: Option<ClientError>,
}

impl GroupType {
    pub(super) fn to_message(self) -> v1::GroupType {
        match self {
            Self::Classic => v1::GroupType::Classic,
            Self::Consumer => v1::GroupType::Consumer,
        }
    }

    fn read(message: i32) -> Option<Self> {
        match v1::GroupType::try_from(message) {
            Ok(v1::GroupType::Classic) => Some(Self::Classic),
            Ok(v1::GroupType::Consumer) => Some(Self::Consumer),
            Ok(v1::GroupType::Unspecified) | Err(_) => None,
        }
    }
}

impl GroupList {
    pub(super) fn read(answer: v1::ListGroupsResponse) -> Self {
        Self {
            groups: answer.groups.into_iter().map(GroupListing::read).collect(),
            incomplete: answer.incomplete.map(ClientError::from_message),
        }
    }
}

impl GroupListing {
    fn read(message: v1::GroupListing) -> Self {
        Self {
            id: message.group_id,
            state: message.state,
            group_type: GroupType::read(message.r#type),
            protocol_type: message.protocol_type,
        }
    }
}

impl GroupDescription {
    pub(super) fn read(address: &str, answer: v1::DescribeGroupResponse) -> Result<Self, ClientError> {
        let missing = || partitions::protocol(address, "a group without its id".to_owned());
        let members = answer.members.into_iter().map(|member| GroupMember::read(address, member));
        let offsets = answer.offsets.into_iter().map(|offset| GroupOffset::read(address, offset));
        Ok(Self {
            listing: answer.group.map(GroupListing::read).ok_or_else(missing)?,
            assignor: answer.assignor,
            epoch: Some(answer.epoch).filter(|epoch| *epoch >= 0),
            members: members.collect::<Result<_, _>>()?,
            offsets: offsets.collect::<Result<_, _>>()?,
        })
    }
}

impl GroupMember {
    fn read(address: &str, message: v1::GroupMember) -> Result<Self, ClientError> {
        Ok(Self {
            id: message.member_id,
            instance_id: message.instance_id,
            client_id: message.client_id,
            client_host: message.client_host,
            epoch: Some(message.epoch).filter(|epoch| *epoch >= 0),
            assigned: read_partitions(address, message.assigned)?,
            target: read_partitions(address, message.target)?,
        })
    }
}

impl GroupOffset {
    fn read(address: &str, message: v1::GroupOffset) -> Result<Self, ClientError> {
        let waited = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
        Ok(Self {
            partition: partitions::read(address, &message.topic, message.partition)?,
            committed: message.committed_offset,
            leader_epoch: message.leader_epoch.map(LeaderEpoch),
            metadata: message.metadata,
            log_start: message.log_start_offset,
            log_end: message.log_end_offset,
            lag: message.lag,
            lag_time: message.lag_ms.map(waited),
            member: message.member_id,
            error: message.error.map(ClientError::from_message),
        })
    }
}

fn read_partitions(address: &str, topics: Vec<v1::TopicPartitions>) -> Result<Vec<TopicPartition>, ClientError> {
    let of = |topic: v1::TopicPartitions| {
        topic.partitions.into_iter().map(move |partition| partitions::read(address, &topic.topic, partition))
    };
    topics.into_iter().flat_map(of).collect()
}
