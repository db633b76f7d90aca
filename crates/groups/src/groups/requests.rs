//! Which request is whose; and describing, listing and deleting groups.

use std::collections::BTreeSet;

use levada_shard::{Context, Token};
use levada_types::ErrorCode;

use super::{Groups, classic::is_member_group_id, sweep::drop_group};
use crate::{
    api::{
        ConsumerGroupDescribe, ConsumerGroupDescribeAnswer, ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer,
        DeleteGroup, DeleteGroupAnswer, DescribeGroup, DescribeGroupAnswer, ListGroups, ListedGroup, Request, Response,
    },
    consumer,
    group::Group,
    outcome::Outcome,
};

impl Groups {
    /// Answers a request, now or later.
    pub(super) fn answer(&mut self, token: Token, request: Request, context: &mut Context<'_>, outcome: &mut Outcome) {
        let answer = match request {
            Request::JoinGroup(request) => return self.join(token, request, context, outcome),
            Request::SyncGroup(request) => return self.sync(token, request, context, outcome),
            Request::Heartbeat(request) => return self.heartbeat(token, &request, context, outcome),
            Request::LeaveGroup(request) => return self.leave(token, request, context, outcome),
            Request::ConsumerGroupHeartbeat(request) => {
                return self.consumer_heartbeat(token, request, context, outcome);
            }
            Request::OffsetCommit(request) => return self.commit(token, request, context, outcome),
            Request::DeleteOffsets(request) => return self.delete_offsets(token, request, context, outcome),
            Request::DeleteGroup(request) => return self.delete(token, &request, context, outcome),
            Request::FetchOffsets(request) => Response::FetchOffsets(self.fetch(request, context)),
            Request::DescribeGroup(request) => Response::DescribeGroup(self.describe(&request)),
            Request::ConsumerGroupDescribe(request) => {
                Response::ConsumerGroupDescribe(self.describe_consumer(&request, context))
            }
            Request::ListGroups(request) => Response::ListGroups(self.list(&request)),
        };
        outcome.answer(token, answer);
    }

    fn consumer_heartbeat(
        &mut self,
        token: Token,
        request: ConsumerGroupHeartbeat,
        context: &mut Context<'_>,
        outcome: &mut Outcome,
    ) {
        if !is_member_group_id(&request.group_id) {
            let answer = ConsumerGroupHeartbeatAnswer {
                error: ErrorCode::InvalidGroupId,
                error_message: Some("A group id is not empty and has at most 32767 bytes.".to_owned()),
                member_id: Some(request.member_id),
                member_epoch: request.member_epoch,
                heartbeat_interval_ms: self.config.group_consumer_heartbeat_interval_ms,
                assignment: None,
            };
            outcome.answer(token, Response::ConsumerGroupHeartbeat(answer));
            return;
        }
        let group_id = request.group_id.clone();
        self.with(&group_id, context, outcome, |slot, _, draft| {
            consumer::heartbeat(&mut slot.group, token, &request, draft);
        });
    }

    fn describe(&self, request: &DescribeGroup) -> DescribeGroupAnswer {
        match self.group(&request.group_id) {
            Some(Group::Classic(group)) => group.describe(),
            other => {
                let what = if other.is_none() { "There is no such group." } else { "It is not a classic group." };
                DescribeGroupAnswer {
                    error: ErrorCode::GroupIdNotFound,
                    error_message: Some(what.to_owned()),
                    state: "Dead".to_owned(),
                    protocol_type: String::new(),
                    protocol: String::new(),
                    members: Vec::new(),
                }
            }
        }
    }

    fn describe_consumer(&self, request: &ConsumerGroupDescribe, context: &Context<'_>) -> ConsumerGroupDescribeAnswer {
        match self.group(&request.group_id) {
            Some(Group::Consumer(group)) => group.describe(context.image, &self.config),
            other => {
                let (error, what) = match other {
                    _ if request.group_id.is_empty() => (ErrorCode::InvalidGroupId, "A group's id is not empty."),
                    None => (ErrorCode::GroupIdNotFound, "There is no such group."),
                    Some(_) => (ErrorCode::GroupIdNotFound, "It is not a consumer group."),
                };
                ConsumerGroupDescribeAnswer {
                    error,
                    error_message: Some(what.to_owned()),
                    state: "Dead".to_owned(),
                    group_epoch: 0,
                    assignment_epoch: 0,
                    assignor: String::new(),
                    members: Vec::new(),
                }
            }
        }
    }

    fn list(&self, request: &ListGroups) -> Vec<ListedGroup> {
        // A request may name very many, and each group is looked up among them.
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect::<BTreeSet<_>>();
        let (states, types) = (lower(&request.states), lower(&request.types));
        let is_asked =
            |names: &BTreeSet<String>, name: &str| names.is_empty() || names.contains(&name.to_ascii_lowercase());
        let groups = self.slots.iter().filter_map(|(id, slot)| Some((id, slot.group.as_ref()?)));
        groups
            .filter(|(_, group)| is_asked(&states, group.state_name()))
            .filter(|(_, group)| is_asked(&types, group.kind().name()))
            .map(|(id, group)| ListedGroup {
                group_id: id.to_string(),
                protocol_type: group.protocol_type().to_owned(),
                state: group.state_name().to_owned(),
                kind: group.kind(),
            })
            .collect()
    }

    fn delete(&mut self, token: Token, request: &DeleteGroup, context: &mut Context<'_>, outcome: &mut Outcome) {
        let error = match self.group(&request.group_id) {
            None => ErrorCode::GroupIdNotFound,
            Some(group) if !group.is_empty() => ErrorCode::NonEmptyGroup,
            Some(_) => {
                self.with(&request.group_id, context, outcome, |slot, offsets, draft| {
                    offsets.delete_all(slot.number, draft);
                    drop_group(slot, draft);
                });
                ErrorCode::None
            }
        };
        outcome.answer(token, Response::DeleteGroup(DeleteGroupAnswer { error }));
    }
}
