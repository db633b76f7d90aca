//! DescribeGroups: groups in the words of the classic protocol.

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use levada_groups::api::{DescribeGroup, DescribeGroupAnswer, Request, Response};
use levada_types::ErrorCode;

use super::group_call::{ask_all, failure};
use super::{Handlers, code_of};
use crate::wire::operations;
use crate::wire::request::Head;
use crate::wire::text::text;

/// A group that does not exist is an error from this version on, with words; before, it is dead.
const NOT_FOUND_SINCE: i16 = 6;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let asked = request.groups.iter().map(|group| DescribeGroup { group_id: group.to_string() });
    let answers = ask_all(handlers, asked.map(Request::DescribeGroup).collect()).await;
    let may = if request.include_authorized_operations { operations::GROUP } else { operations::NOT_ASKED };
    let groups = request.groups.into_iter().zip(answers).map(|(group, answer)| match answer {
        Response::DescribeGroup(answer) => described(head, group, answer, may),
        other => DescribedGroup::default().with_group_id(group).with_error_code(code_of(head, failure(&other))),
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn described(head: Head, group: GroupId, answer: DescribeGroupAnswer, may: i32) -> DescribedGroup {
    let tells_not_found = head.version >= NOT_FOUND_SINCE;
    let code = match answer.error {
        ErrorCode::GroupIdNotFound if !tells_not_found => ErrorCode::None,
        code => code,
    };
    let members = answer.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.group_instance_id.map(text))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    let described = DescribedGroup::default()
        .with_group_id(group)
        .with_error_code(code_of(head, code))
        .with_error_message(answer.error_message.filter(|_| tells_not_found).map(text))
        .with_group_state(text(answer.state))
        .with_protocol_type(text(answer.protocol_type))
        .with_protocol_data(text(answer.protocol))
        .with_members(members.collect());
    if code == ErrorCode::None { described.with_authorized_operations(may) } else { described }
}
