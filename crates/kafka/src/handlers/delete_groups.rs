//! DeleteGroups: deletes empty groups with their offsets.

use std::collections::HashSet;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};
use levada_groups::api::{DeleteGroup, Request, Response};

use super::group_call::{ask_all, failure};
use super::{Handlers, code_of};
use crate::wire::request::Head;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    // A group that is named twice is deleted once, and answered once.
    let mut seen = HashSet::new();
    let names: Vec<GroupId> = request.groups_names.into_iter().filter(|group| seen.insert(group.clone())).collect();
    let asked = names.iter().map(|group| DeleteGroup { group_id: group.to_string() });
    let answers = ask_all(handlers, asked.map(Request::DeleteGroup).collect()).await;
    let results = names.into_iter().zip(answers).map(|(group, answer)| {
        let code = match answer {
            Response::DeleteGroup(answer) => answer.error,
            other => failure(&other),
        };
        DeletableGroupResult::default().with_group_id(group).with_error_code(code_of(head, code))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
