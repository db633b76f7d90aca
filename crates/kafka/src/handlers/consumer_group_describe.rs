//! ConsumerGroupDescribe: groups of the next-generation protocol (KIP-848).

use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName as WireName,
};
use levada_groups::api::{
    ConsumerGroupDescribe, ConsumerGroupDescribeAnswer, DescribedConsumerMember, MemberKind, NamedTopicPartitions,
    Request, Response,
};
use levada_types::ErrorCode;

use super::group_call::{ask_all, failure};
use super::{Handlers, code_of};
use crate::wire::operations;
use crate::wire::request::Head;
use crate::wire::text::text;

/// Which protocol a member speaks is told from this version on (KIP-1099).
const MEMBER_TYPE_SINCE: i16 = 1;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let asked = request.group_ids.iter().map(|group| ConsumerGroupDescribe { group_id: group.to_string() });
    let answers = ask_all(handlers, asked.map(Request::ConsumerGroupDescribe).collect()).await;
    let may = if request.include_authorized_operations { operations::GROUP } else { operations::NOT_ASKED };
    let groups = request.group_ids.into_iter().zip(answers).map(|(group, answer)| match answer {
        Response::ConsumerGroupDescribe(answer) => described(head, group, answer, may),
        other => {
            let code = failure(&other);
            DescribedGroup::default()
                .with_group_id(group)
                .with_error_code(code_of(head, code))
                .with_error_message(Some(text(code.message())))
        }
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn described(head: Head, group: GroupId, answer: ConsumerGroupDescribeAnswer, may: i32) -> DescribedGroup {
    let described = DescribedGroup::default()
        .with_group_id(group)
        .with_error_code(code_of(head, answer.error))
        .with_error_message(answer.error_message.map(text))
        .with_group_state(text(answer.state))
        .with_group_epoch(answer.group_epoch)
        .with_assignment_epoch(answer.assignment_epoch)
        .with_assignor_name(text(answer.assignor))
        .with_members(answer.members.into_iter().map(|described| member(head, described)).collect());
    if answer.error == ErrorCode::None { described.with_authorized_operations(may) } else { described }
}

fn member(head: Head, described: DescribedConsumerMember) -> Member {
    let names = described.subscribed_topic_names.into_iter().map(|name| WireName(text(name)));
    let member = Member::default()
        .with_member_id(text(described.member_id))
        .with_instance_id(described.instance_id.map(text))
        .with_rack_id(described.rack_id.map(text))
        .with_member_epoch(described.member_epoch)
        .with_client_id(text(described.client_id))
        .with_client_host(text(described.client_host))
        .with_subscribed_topic_names(names.collect())
        .with_subscribed_topic_regex(described.subscribed_topic_regex.map(text))
        .with_assignment(assignment(described.assignment))
        .with_target_assignment(assignment(described.target_assignment));
    if head.version < MEMBER_TYPE_SINCE {
        return member;
    }
    member.with_member_type(match described.kind {
        MemberKind::Classic => 0,
        MemberKind::Consumer => 1,
    })
}

fn assignment(topics: Vec<NamedTopicPartitions>) -> Assignment {
    let topics = topics.into_iter().map(|topic| {
        TopicPartitions::default()
            .with_topic_id(topic.topic_id.0)
            .with_topic_name(WireName(text(topic.name)))
            .with_partitions(topic.partitions)
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
