//! Of the classic protocol.

use levada_groups::api;

use super::pb;
use super::{all, code, number};

impl From<api::JoinGroup> for pb::JoinGroup {
    fn from(value: api::JoinGroup) -> Self {
        Self {
            group_id: value.group_id,
            session_timeout_ms: value.session_timeout_ms,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            protocol_type: value.protocol_type,
            protocols: all(value.protocols),
            client_id: value.client_id,
            client_host: value.client_host,
            reason: value.reason,
            requires_known_member_id: value.requires_known_member_id,
            supports_skipping_assignment: value.supports_skipping_assignment,
        }
    }
}

impl From<pb::JoinGroup> for api::JoinGroup {
    fn from(value: pb::JoinGroup) -> Self {
        Self {
            group_id: value.group_id,
            session_timeout_ms: value.session_timeout_ms,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            protocol_type: value.protocol_type,
            protocols: all(value.protocols),
            client_id: value.client_id,
            client_host: value.client_host,
            reason: value.reason,
            requires_known_member_id: value.requires_known_member_id,
            supports_skipping_assignment: value.supports_skipping_assignment,
        }
    }
}

impl From<api::Protocol> for pb::GroupProtocol {
    fn from(value: api::Protocol) -> Self {
        Self { name: value.name, metadata: value.metadata }
    }
}

impl From<pb::GroupProtocol> for api::Protocol {
    fn from(value: pb::GroupProtocol) -> Self {
        Self { name: value.name, metadata: value.metadata }
    }
}

impl From<api::JoinGroupAnswer> for pb::JoinGroupAnswer {
    fn from(value: api::JoinGroupAnswer) -> Self {
        Self {
            error: number(value.error),
            generation_id: value.generation_id,
            protocol_type: value.protocol_type,
            protocol_name: value.protocol_name,
            leader: value.leader,
            skip_assignment: value.skip_assignment,
            member_id: value.member_id,
            members: all(value.members),
        }
    }
}

impl From<pb::JoinGroupAnswer> for api::JoinGroupAnswer {
    fn from(value: pb::JoinGroupAnswer) -> Self {
        Self {
            error: code(value.error),
            generation_id: value.generation_id,
            protocol_type: value.protocol_type,
            protocol_name: value.protocol_name,
            leader: value.leader,
            skip_assignment: value.skip_assignment,
            member_id: value.member_id,
            members: all(value.members),
        }
    }
}

impl From<api::JoinedMember> for pb::JoinedMember {
    fn from(value: api::JoinedMember) -> Self {
        Self { member_id: value.member_id, group_instance_id: value.group_instance_id, metadata: value.metadata }
    }
}

impl From<pb::JoinedMember> for api::JoinedMember {
    fn from(value: pb::JoinedMember) -> Self {
        Self { member_id: value.member_id, group_instance_id: value.group_instance_id, metadata: value.metadata }
    }
}

impl From<api::SyncGroup> for pb::SyncGroup {
    fn from(value: api::SyncGroup) -> Self {
        Self {
            group_id: value.group_id,
            generation_id: value.generation_id,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            protocol_type: value.protocol_type,
            protocol_name: value.protocol_name,
            assignments: value
                .assignments
                .into_iter()
                .map(|(member_id, assignment)| pb::GroupAssignment { member_id, assignment })
                .collect(),
        }
    }
}

impl From<pb::SyncGroup> for api::SyncGroup {
    fn from(value: pb::SyncGroup) -> Self {
        Self {
            group_id: value.group_id,
            generation_id: value.generation_id,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
            protocol_type: value.protocol_type,
            protocol_name: value.protocol_name,
            assignments: value.assignments.into_iter().map(|given| (given.member_id, given.assignment)).collect(),
        }
    }
}

impl From<api::SyncGroupAnswer> for pb::SyncGroupAnswer {
    fn from(value: api::SyncGroupAnswer) -> Self {
        Self {
            error: number(value.error),
            protocol_type: value.protocol_type,
            protocol_name: value.protocol_name,
            assignment: value.assignment,
        }
    }
}

impl From<pb::SyncGroupAnswer> for api::SyncGroupAnswer {
    fn from(value: pb::SyncGroupAnswer) -> Self {
        Self {
            error: code(value.error),
            protocol_type: value.protocol_type,
            protocol_name: value.protocol_name,
            assignment: value.assignment,
        }
    }
}

impl From<api::Heartbeat> for pb::GroupHeartbeat {
    fn from(value: api::Heartbeat) -> Self {
        Self {
            group_id: value.group_id,
            generation_id: value.generation_id,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
        }
    }
}

impl From<pb::GroupHeartbeat> for api::Heartbeat {
    fn from(value: pb::GroupHeartbeat) -> Self {
        Self {
            group_id: value.group_id,
            generation_id: value.generation_id,
            member_id: value.member_id,
            group_instance_id: value.group_instance_id,
        }
    }
}

impl From<api::HeartbeatAnswer> for pb::GroupHeartbeatAnswer {
    fn from(value: api::HeartbeatAnswer) -> Self {
        Self { error: number(value.error) }
    }
}

impl From<pb::GroupHeartbeatAnswer> for api::HeartbeatAnswer {
    fn from(value: pb::GroupHeartbeatAnswer) -> Self {
        Self { error: code(value.error) }
    }
}

impl From<api::LeaveGroup> for pb::LeaveGroup {
    fn from(value: api::LeaveGroup) -> Self {
        Self { group_id: value.group_id, members: all(value.members) }
    }
}

impl From<pb::LeaveGroup> for api::LeaveGroup {
    fn from(value: pb::LeaveGroup) -> Self {
        Self { group_id: value.group_id, members: all(value.members) }
    }
}

impl From<api::LeavingMember> for pb::LeavingMember {
    fn from(value: api::LeavingMember) -> Self {
        Self { member_id: value.member_id, group_instance_id: value.group_instance_id, reason: value.reason }
    }
}

impl From<pb::LeavingMember> for api::LeavingMember {
    fn from(value: pb::LeavingMember) -> Self {
        Self { member_id: value.member_id, group_instance_id: value.group_instance_id, reason: value.reason }
    }
}

impl From<api::LeaveGroupAnswer> for pb::LeaveGroupAnswer {
    fn from(value: api::LeaveGroupAnswer) -> Self {
        Self { error: number(value.error), members: all(value.members) }
    }
}

impl From<pb::LeaveGroupAnswer> for api::LeaveGroupAnswer {
    fn from(value: pb::LeaveGroupAnswer) -> Self {
        Self { error: code(value.error), members: all(value.members) }
    }
}

impl From<api::LeftMember> for pb::LeftMember {
    fn from(value: api::LeftMember) -> Self {
        Self { member_id: value.member_id, group_instance_id: value.group_instance_id, error: number(value.error) }
    }
}

impl From<pb::LeftMember> for api::LeftMember {
    fn from(value: pb::LeftMember) -> Self {
        Self { member_id: value.member_id, group_instance_id: value.group_instance_id, error: code(value.error) }
    }
}
