//! AlterPartitionReassignments (KIP-455): partitions move to other brokers, or stop moving.

use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use levada_broker::api::PartitionError;
use levada_metadata::{Command, Reassigned, Reassignment, Response, TopicRef};
use levada_types::{BrokerId, ErrorCode};

use super::{Handlers, millis, told};
use crate::wire::request::Head;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    // Versions without the field may change the number of replicas, as tools have done ever since (KIP-860).
    let allow_factor_change = request.allow_replication_factor_change;
    let response = AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(allow_factor_change)
        .with_error_message(None);
    match reassign(handlers, &request).await {
        Ok(results) => {
            let mut results = results.into_iter();
            let responses = request.topics.into_iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    let result = match results.next() {
                        Some(Reassigned { result, .. }) => {
                            result.map_err(|error| PartitionError::new(error.code, error.message))
                        }
                        None => Err(ErrorCode::UnknownServerError.into()),
                    };
                    let (code, message) = told(head, result);
                    ReassignablePartitionResponse::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code)
                        .with_error_message(message)
                });
                ReassignableTopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
            });
            response.with_responses(responses.collect())
        }
        Err(error) => {
            let (code, message) = told(head, Err(error));
            response.with_error_code(code).with_error_message(message)
        }
    }
}

/// One result for each partition, in the order of the request.
async fn reassign(
    handlers: &Handlers,
    request: &AlterPartitionReassignmentsRequest,
) -> Result<Vec<Reassigned>, PartitionError> {
    let reassignments: Vec<Reassignment> = request
        .topics
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(|partition| Reassignment {
                topic: TopicRef::Name(topic.name.to_string()),
                partition: partition.partition_index,
                replicas: partition.replicas.as_ref().map(|ids| ids.iter().map(|id| BrokerId(id.0)).collect()),
            })
        })
        .collect();
    if reassignments.is_empty() {
        return Ok(Vec::new());
    }
    let allow_factor_change = request.allow_replication_factor_change;
    let command = Command::AlterPartitionReassignments { reassignments, allow_factor_change };
    match handlers.broker.submit(command, millis(request.timeout_ms)).await? {
        Response::AlterPartitionReassignments(results) => Ok(results),
        _ => Err(ErrorCode::UnknownServerError.into()),
    }
}
