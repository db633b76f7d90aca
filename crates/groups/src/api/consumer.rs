//! The next-generation protocol (KIP-848).

use levada_types::{ErrorCode, PartitionIndex, TopicId};

/// Join, reconcile, leave, or a sign of life. What is `None` has not changed since the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupHeartbeat {
    /// The group.
    pub group_id: String,
    /// The member's id, which newer clients draw themselves; empty for a new member of an older client.
    pub member_id: String,
    /// 0 to join, -1 to leave, -2 for a static member that leaves for a while.
    pub member_epoch: i32,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// Where the client stands.
    pub rack_id: Option<String>,
    /// How long it may take to give partitions up, in milliseconds; -1 if it has not changed.
    pub rebalance_timeout_ms: i32,
    /// The topics that it subscribes to by name.
    pub subscribed_topic_names: Option<Vec<String>>,
    /// The topics that it subscribes to by a regular expression (RE2's syntax); empty for none.
    pub subscribed_topic_regex: Option<String>,
    /// The assignor that it wants.
    pub server_assignor: Option<String>,
    /// What it owns now.
    pub topic_partitions: Option<Vec<TopicPartitions>>,
    /// What the client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// Of a stream that a broker keeps for a member (gRPC `Subscribe`): the number of the stream. The shard refuses
    /// (FENCED_INSTANCE_ID) what comes under a lower number than it has heard of.
    pub stream_number: Option<u64>,
}

/// Partitions of a topic, by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupHeartbeatAnswer {
    /// What went wrong.
    pub error: ErrorCode,
    /// In words.
    pub error_message: Option<String>,
    /// The member's id.
    pub member_id: Option<String>,
    /// Its epoch now.
    pub member_epoch: i32,
    /// How often it is to be heard of, in milliseconds.
    pub heartbeat_interval_ms: i32,
    /// What it may own; `None` if that has not changed.
    pub assignment: Option<Vec<TopicPartitions>>,
}
