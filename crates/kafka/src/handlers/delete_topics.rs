//! DeleteTopics, by name or by identity.

use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName as WireName};
use levada_broker::api::PartitionError;
use levada_metadata::{Command, DeletedTopic, Response, TopicRef};
use levada_types::{ErrorCode, TopicId};
use uuid::Uuid;

use super::{Handlers, code_of, millis};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Topics can be named by identity from this version on.
const IDS_SINCE: i16 = 6;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let asked: Vec<(Option<WireName>, Uuid)> = if head.version >= IDS_SINCE {
        request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)).collect()
    } else {
        request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil())).collect()
    };
    let (named, unnamed): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(name, id)| name.is_some() == id.is_nil());
    let topics = named.iter().map(|(name, id)| match name {
        Some(name) => TopicRef::Name(name.to_string()),
        None => TopicRef::Id(TopicId(*id)),
    });
    let command = Command::DeleteTopics { topics: topics.collect() };
    let mut results = match handlers.broker.submit(command, millis(request.timeout_ms)).await {
        Ok(Response::DeleteTopics(results)) => results.into_iter().map(|topic| respond(head, topic)).collect(),
        Ok(_) => failed(head, named, &ErrorCode::UnknownServerError.into()),
        Err(error) => failed(head, named, &error),
    };
    // As in Kafka, which answers in no order.
    let message = "a topic is named either by its name or by its id";
    results.extend(failed(head, unnamed, &PartitionError::new(ErrorCode::InvalidRequest, message)));
    DeleteTopicsResponse::default().with_responses(results)
}

fn respond(head: Head, topic: DeletedTopic) -> DeletableTopicResult {
    // Before version 6 a name cannot be absent, and nothing but names was asked for.
    let name =
        topic.name.map(|name| WireName(text(name))).or_else(|| (head.version < IDS_SINCE).then(Default::default));
    let response = DeletableTopicResult::default().with_name(name).with_topic_id(topic.id.0);
    match topic.result {
        Ok(()) => response,
        Err(error) => response.with_error_code(code_of(head, error.code)).with_error_message(Some(text(error.message))),
    }
}

fn failed(head: Head, asked: Vec<(Option<WireName>, Uuid)>, error: &PartitionError) -> Vec<DeletableTopicResult> {
    let results = asked.into_iter().map(|(name, id)| {
        DeletableTopicResult::default()
            .with_name(name)
            .with_topic_id(id)
            .with_error_code(code_of(head, error.code))
            .with_error_message(error.message.clone().map(text))
    });
    results.collect()
}
