//! What is asked of groups, and what they answer: the messages of Kafka's group APIs, of no version in particular.
//!
//! A face reads its wire format into these and writes the answer back. Nothing here has been checked: names and lengths
//! are as they came.

mod classic;
mod consumer;
mod describe;
mod offsets;

pub use classic::{
    Heartbeat, HeartbeatAnswer, JoinGroup, JoinGroupAnswer, JoinedMember, LeaveGroup, LeaveGroupAnswer, LeavingMember,
    LeftMember, Protocol, SyncGroup, SyncGroupAnswer,
};
pub use consumer::{ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, TopicPartitions};
pub use describe::{
    ConsumerGroupDescribe, ConsumerGroupDescribeAnswer, DeleteGroup, DeleteGroupAnswer, DescribeGroup,
    DescribeGroupAnswer, DescribedConsumerMember, DescribedMember, GroupKind, ListGroups, ListedGroup, MemberKind,
    NamedTopicPartitions,
};
pub use offsets::{
    CommitPartition, CommitTopic, CommittedPartition, CommittedTopic, DeleteOffsets, DeleteOffsetsAnswer, DeleteTopic,
    FetchOffsets, FetchOffsetsAnswer, FetchTopic, FetchedPartition, FetchedTopic, OffsetCommit, OffsetCommitAnswer,
};

use levada_types::ErrorCode;

/// A request to one group, or to all groups of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Classic protocol: become a member, or say what one supports now.
    JoinGroup(JoinGroup),
    /// Classic protocol: get the assignment of a generation; the leader brings it.
    SyncGroup(SyncGroup),
    /// Classic protocol: a sign of life.
    Heartbeat(Heartbeat),
    /// Classic protocol: cease to be a member.
    LeaveGroup(LeaveGroup),
    /// Next-generation protocol (KIP-848): join, reconcile, leave, and signs of life.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeat),
    /// Commit offsets.
    OffsetCommit(OffsetCommit),
    /// Read committed offsets.
    FetchOffsets(FetchOffsets),
    /// Forget committed offsets.
    DeleteOffsets(DeleteOffsets),
    /// Describe a group in the words of the classic protocol.
    DescribeGroup(DescribeGroup),
    /// Describe a group of the next-generation protocol.
    ConsumerGroupDescribe(ConsumerGroupDescribe),
    /// Delete an empty group with its offsets.
    DeleteGroup(DeleteGroup),
    /// List the groups of the shard.
    ListGroups(ListGroups),
}

/// The answer to a [`Request`], of the same kind, or what the runtime says in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::JoinGroup`].
    JoinGroup(JoinGroupAnswer),
    /// To [`Request::SyncGroup`].
    SyncGroup(SyncGroupAnswer),
    /// To [`Request::Heartbeat`].
    Heartbeat(HeartbeatAnswer),
    /// To [`Request::LeaveGroup`].
    LeaveGroup(LeaveGroupAnswer),
    /// To [`Request::ConsumerGroupHeartbeat`].
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatAnswer),
    /// To [`Request::OffsetCommit`].
    OffsetCommit(OffsetCommitAnswer),
    /// To [`Request::FetchOffsets`].
    FetchOffsets(FetchOffsetsAnswer),
    /// To [`Request::DeleteOffsets`].
    DeleteOffsets(DeleteOffsetsAnswer),
    /// To [`Request::DescribeGroup`].
    DescribeGroup(DescribeGroupAnswer),
    /// To [`Request::ConsumerGroupDescribe`].
    ConsumerGroupDescribe(ConsumerGroupDescribeAnswer),
    /// To [`Request::DeleteGroup`].
    DeleteGroup(DeleteGroupAnswer),
    /// To [`Request::ListGroups`].
    ListGroups(Vec<ListedGroup>),
    /// To any request: the group was not asked, or its outcome is unknown. NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS
    /// and COORDINATOR_NOT_AVAILABLE say that nothing was done.
    Failed(ErrorCode),
}

impl Request {
    /// The group that is asked; `None` for a request to a whole shard.
    #[must_use]
    pub fn group_id(&self) -> Option<&str> {
        Some(match self {
            Self::JoinGroup(request) => &request.group_id,
            Self::SyncGroup(request) => &request.group_id,
            Self::Heartbeat(request) => &request.group_id,
            Self::LeaveGroup(request) => &request.group_id,
            Self::ConsumerGroupHeartbeat(request) => &request.group_id,
            Self::OffsetCommit(request) => &request.group_id,
            Self::FetchOffsets(request) => &request.group_id,
            Self::DeleteOffsets(request) => &request.group_id,
            Self::DescribeGroup(request) => &request.group_id,
            Self::ConsumerGroupDescribe(request) => &request.group_id,
            Self::DeleteGroup(request) => &request.group_id,
            Self::ListGroups(_) => return None,
        })
    }
}
