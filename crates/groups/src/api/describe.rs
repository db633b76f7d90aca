//! Describing, listing and deleting groups.

use bytes::Bytes;
use levada_types::{ErrorCode, PartitionIndex, TopicId};

/// Describe a group in the words of the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeGroup {
    /// The group.
    pub group_id: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeGroupAnswer {
    /// What went wrong.
    pub error: ErrorCode,
    /// In words.
    pub error_message: Option<String>,
    /// `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable` or `Dead`.
    pub state: String,
    /// The kind of the group.
    pub protocol_type: String,
    /// The chosen protocol; empty while there is none.
    pub protocol: String,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member of a classic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
    /// What the client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// What it said in the chosen protocol.
    pub metadata: Bytes,
    /// What it was told.
    pub assignment: Bytes,
}

/// Describe a group of the next-generation protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupDescribe {
    /// The group.
    pub group_id: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupDescribeAnswer {
    /// What went wrong.
    pub error: ErrorCode,
    /// In words.
    pub error_message: Option<String>,
    /// `Empty`, `Assigning`, `Reconciling`, `Stable` or `Dead`.
    pub state: String,
    /// The group's epoch.
    pub group_epoch: i32,
    /// The epoch of the target assignment.
    pub assignment_epoch: i32,
    /// The assignor.
    pub assignor: String,
    /// The members.
    pub members: Vec<DescribedConsumerMember>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumerMember {
    /// Its id.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub instance_id: Option<String>,
    /// Where it stands.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub member_epoch: i32,
    /// What the client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// The topics that it subscribes to by name.
    pub subscribed_topic_names: Vec<String>,
    /// The topics that it subscribes to by a regular expression.
    pub subscribed_topic_regex: Option<String>,
    /// What it owns.
    pub assignment: Vec<NamedTopicPartitions>,
    /// What it is to own.
    pub target_assignment: Vec<NamedTopicPartitions>,
    /// Which protocol it speaks.
    pub kind: MemberKind,
}

/// Partitions of a topic, by its id and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTopicPartitions {
    /// The topic.
    pub topic_id: TopicId,
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// Which protocol a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    /// The classic one, in a group that is of the next-generation protocol.
    Classic,
    /// The next-generation one.
    Consumer,
}

/// Which protocol a group is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// The classic one.
    Classic,
    /// The next-generation one (KIP-848).
    Consumer,
}

impl GroupKind {
    /// Its name, as ListGroups has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// List the groups of the shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListGroups {
    /// Only those in one of these states, in whatever case; empty for all (KIP-518).
    pub states: Vec<String>,
    /// Only those of one of these types, in whatever case; empty for all (KIP-848).
    pub types: Vec<String>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub group_id: String,
    /// `consumer`, `connect`, or anything; empty where only offsets were committed.
    pub protocol_type: String,
    /// Its state's name.
    pub state: String,
    /// Its type.
    pub kind: GroupKind,
}

/// Delete an empty group with its offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroup {
    /// The group.
    pub group_id: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteGroupAnswer {
    /// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, or nothing.
    pub error: ErrorCode,
}
