//! The classic protocol.

use bytes::Bytes;
use levada_types::ErrorCode;

/// Become a member, or say what one supports now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroup {
    /// The group.
    pub group_id: String,
    /// After how long a silence the member counts as gone, in milliseconds.
    pub session_timeout_ms: i32,
    /// How long the others wait for it in a rebalance, in milliseconds; the session timeout where a client knows no other.
    pub rebalance_timeout_ms: i32,
    /// Empty for a new member.
    pub member_id: String,
    /// The name of a static member (KIP-345).
    pub group_instance_id: Option<String>,
    /// The kind of the group: `consumer`, `connect`, `sr`, or anything.
    pub protocol_type: String,
    /// What the member supports, the best first.
    pub protocols: Vec<Protocol>,
    /// What the client calls itself.
    pub client_id: String,
    /// From where it comes.
    pub client_host: String,
    /// Why it joins (KIP-800).
    pub reason: Option<String>,
    /// Whether a new dynamic member is given its id first and joins again with it (KIP-394).
    pub requires_known_member_id: bool,
    /// Whether the client understands [`JoinGroupAnswer::skip_assignment`] (KIP-814).
    pub supports_skipping_assignment: bool,
}

/// One of the protocols that a member supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name: an assignor's, for consumers.
    pub name: String,
    /// What the member says in it; opaque, but for the subscriptions of consumers.
    pub metadata: Bytes,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroupAnswer {
    /// What went wrong.
    pub error: ErrorCode,
    /// The generation; -1 with an error.
    pub generation_id: i32,
    /// The kind of the group.
    pub protocol_type: Option<String>,
    /// The protocol that all members support.
    pub protocol_name: Option<String>,
    /// The member that assigns.
    pub leader: String,
    /// Whether the leader needs not assign, since it only came back (KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: String,
    /// All members, for the leader alone.
    pub members: Vec<JoinedMember>,
}

/// A member, as its leader is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
    /// What it said in the chosen protocol.
    pub metadata: Bytes,
}

/// Get the assignment of a generation; the leader brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    /// The group.
    pub group_id: String,
    /// The generation that the member has joined.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
    /// The kind of the group, where the client tells it; it must be the group's.
    pub protocol_type: Option<String>,
    /// The protocol, where the client tells it; it must be the chosen one.
    pub protocol_name: Option<String>,
    /// Who gets what, from the leader: member ids with what they are told.
    pub assignments: Vec<(String, Bytes)>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroupAnswer {
    /// What went wrong.
    pub error: ErrorCode,
    /// The kind of the group.
    pub protocol_type: Option<String>,
    /// The protocol.
    pub protocol_name: Option<String>,
    /// What the member is told.
    pub assignment: Bytes,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group_id: String,
    /// The generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// REBALANCE_IN_PROGRESS asks the member to join again.
    pub error: ErrorCode,
}

/// Cease to be members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The group.
    pub group_id: String,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// Who leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; empty to name a static member by its name alone.
    pub member_id: String,
    /// Its name, if it is a static one.
    pub group_instance_id: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroupAnswer {
    /// What went wrong as a whole.
    pub error: ErrorCode,
    /// Member by member.
    pub members: Vec<LeftMember>,
}

/// What came of one that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    /// Its id, as asked.
    pub member_id: String,
    /// Its name, as asked.
    pub group_instance_id: Option<String>,
    /// What went wrong.
    pub error: ErrorCode,
}
