//! ConsumerGroupHeartbeat: join, reconcile, leave, and signs of life in a group of the next-generation protocol (KIP-848).

use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use levada_groups::api::{self, ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, Request, Response};
use levada_types::{ErrorCode, TopicId};

use super::group_call::{Caller, PROMPT, ask, failure, owned};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Members draw their ids themselves from this version on (KIP-1082).
const OWN_MEMBER_ID_SINCE: i16 = 1;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    caller: Caller,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    if request.group_id.is_empty() {
        return refused(head, ErrorCode::InvalidRequest, "a group has an id, which may not be empty");
    }
    if head.version >= OWN_MEMBER_ID_SINCE && request.member_id.is_empty() {
        return refused(head, ErrorCode::InvalidRequest, "a member draws its own id and may not leave it empty");
    }
    let owns = request.topic_partitions.map(|topics| {
        let topics = topics.into_iter();
        topics
            .map(|topic| api::TopicPartitions { topic_id: TopicId(topic.topic_id), partitions: topic.partitions })
            .collect()
    });
    let names = request.subscribed_topic_names.map(|names| names.iter().map(|name| name.to_string()).collect());
    let asked = ConsumerGroupHeartbeat {
        group_id: request.group_id.to_string(),
        member_id: request.member_id.to_string(),
        member_epoch: request.member_epoch,
        instance_id: owned(request.instance_id),
        rack_id: owned(request.rack_id),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        subscribed_topic_names: names,
        subscribed_topic_regex: owned(request.subscribed_topic_regex),
        server_assignor: owned(request.server_assignor),
        topic_partitions: owns,
        client_id: caller.client_id,
        client_host: caller.client_host,
        stream_number: None,
    };
    match ask(handlers, Request::ConsumerGroupHeartbeat(asked), PROMPT).await {
        Response::ConsumerGroupHeartbeat(answer) => told(head, answer),
        other => {
            let code = failure(&other);
            refused(head, code, code.message())
        }
    }
}

fn told(head: Head, answer: ConsumerGroupHeartbeatAnswer) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|topics| {
        let topics = topics
            .into_iter()
            .map(|topic| TopicPartitions::default().with_topic_id(topic.topic_id.0).with_partitions(topic.partitions));
        Assignment::default().with_topic_partitions(topics.collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(code_of(head, answer.error))
        .with_error_message(answer.error_message.map(text))
        .with_member_id(answer.member_id.map(text))
        .with_member_epoch(answer.member_epoch)
        .with_heartbeat_interval_ms(answer.heartbeat_interval_ms)
        .with_assignment(assignment)
}

fn refused(head: Head, code: ErrorCode, message: &str) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(code_of(head, code))
        .with_error_message(Some(text(message)))
}
