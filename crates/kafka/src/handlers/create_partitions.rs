//! CreatePartitions: more of them for a topic.

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use levada_metadata::{Command, MorePartitions, Response};
use levada_types::{BrokerId, ErrorCode};

use super::{Handlers, code_of, millis};
use crate::wire::request::Head;
use crate::wire::text::text;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let topics = request.topics.iter().map(|topic| MorePartitions {
        name: topic.name.to_string(),
        count: topic.count,
        assignments: topic
            .assignments
            .iter()
            .flatten()
            .map(|assignment| assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect())
            .collect(),
    });
    let command = Command::CreatePartitions { topics: topics.collect(), validate_only: request.validate_only };
    let decided = match handlers.broker.submit(command, millis(request.timeout_ms)).await {
        Ok(Response::CreatePartitions(results)) => Ok(results),
        Ok(_) => Err((ErrorCode::UnknownServerError, None)),
        Err(error) => Err((error.code, error.message)),
    };
    let mut decided = decided.map(Vec::into_iter);
    let results = request.topics.into_iter().map(|topic| {
        let result = match &mut decided {
            Ok(results) => match results.next().map(|created| created.result) {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => Err((error.code, Some(error.message))),
                None => Err((ErrorCode::UnknownServerError, None)),
            },
            Err(error) => Err(error.clone()),
        };
        let response = CreatePartitionsTopicResult::default().with_name(topic.name);
        match result {
            Ok(()) => response.with_error_message(None),
            Err((code, message)) => response.with_error_code(code_of(head, code)).with_error_message(message.map(text)),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}
