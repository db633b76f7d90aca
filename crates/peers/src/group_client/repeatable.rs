//! What may be asked again when nobody knows whether it was done.

use levada_groups::api::{ConsumerGroupHeartbeat, JoinGroup, LeaveGroup, Request};

/// Whether doing `request` twice comes to the same as doing it once, as far as the group and the member are concerned.
pub(super) fn is_repeatable(request: &Request) -> bool {
    match request {
        // Somebody who is given an id by each attempt would be two members. One that is known by its id or its name is
        // the same member again.
        Request::JoinGroup(JoinGroup { member_id, group_instance_id, .. }) => {
            !member_id.is_empty() || group_instance_id.is_some()
        }
        Request::ConsumerGroupHeartbeat(ConsumerGroupHeartbeat { member_id, .. }) => !member_id.is_empty(),
        // By its name alone it could be the one who has come in its place since.
        Request::LeaveGroup(LeaveGroup { members, .. }) => members.iter().all(|member| !member.member_id.is_empty()),
        Request::SyncGroup(_)
        | Request::Heartbeat(_)
        | Request::OffsetCommit(_)
        | Request::FetchOffsets(_)
        | Request::DeleteOffsets(_)
        | Request::DescribeGroup(_)
        | Request::ConsumerGroupDescribe(_)
        | Request::ListGroups(_) => true,
        // The second answer would be that there is no such group.
        Request::DeleteGroup(_) => false,
    }
}
