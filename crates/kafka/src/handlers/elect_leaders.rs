//! ElectLeaders (KIP-183, KIP-460): the preferred leader is to lead, or anybody where nobody does.

use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName as WireName};
use levada_broker::api::PartitionError;
use levada_metadata::{Command, ElectedLeader, Election, NamedPartition, Response};
use levada_types::ErrorCode;

use super::{Handlers, millis, told};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Kafka's numbers of elections. Version 0 has none, and means the preferred one.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

/// The answer has a code of its own from this version on.
const CODE_SINCE: i16 = 1;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let partitions: Option<Vec<NamedPartition>> = request.topic_partitions.map(|topics| {
        let named = topics.into_iter().flat_map(|topic| {
            let name = topic.topic.to_string();
            topic.partitions.into_iter().map(move |partition| NamedPartition { topic: name.clone(), partition })
        });
        named.collect()
    });
    match elect(handlers, request.election_type, partitions.clone(), request.timeout_ms).await {
        Ok(elected) => {
            let results = elected.into_iter().map(|ElectedLeader { partition, result }| {
                (partition, result.map(drop).map_err(|error| PartitionError::new(error.code, error.message)))
            });
            ElectLeadersResponse::default().with_replica_election_results(by_topic(head, results))
        }
        // Told of each partition too, since the first version has no other place for it.
        Err(error) => {
            let asked = partitions.into_iter().flatten().map(|partition| (partition, Err(error.clone())));
            let response = ElectLeadersResponse::default().with_replica_election_results(by_topic(head, asked));
            let (code, _) = told(head, Err(error));
            if head.version >= CODE_SINCE { response.with_error_code(code) } else { response }
        }
    }
}

async fn elect(
    handlers: &Handlers,
    election_type: i8,
    partitions: Option<Vec<NamedPartition>>,
    timeout_ms: i32,
) -> Result<Vec<ElectedLeader>, PartitionError> {
    let election = match election_type {
        PREFERRED => Election::Preferred,
        UNCLEAN => Election::Unclean,
        other => {
            let message = format!("there is no election of type {other}; there are preferred (0) and unclean (1)");
            return Err(PartitionError::new(ErrorCode::InvalidRequest, message));
        }
    };
    let command = Command::ElectLeaders { election, partitions };
    match handlers.broker.submit(command, millis(timeout_ms)).await? {
        Response::ElectLeaders(elected) => Ok(elected),
        _ => Err(ErrorCode::UnknownServerError.into()),
    }
}

/// Results that follow each other and are of one topic, under its name.
fn by_topic(
    head: Head,
    results: impl Iterator<Item = (NamedPartition, Result<(), PartitionError>)>,
) -> Vec<ReplicaElectionResult> {
    let mut topics: Vec<ReplicaElectionResult> = Vec::new();
    for (partition, result) in results {
        let (code, message) = told(head, result);
        let result = PartitionResult::default()
            .with_partition_id(partition.partition)
            .with_error_code(code)
            .with_error_message(message);
        match topics.last_mut() {
            Some(last) if last.topic.0 == *partition.topic => last.partition_result.push(result),
            _ => topics.push(
                ReplicaElectionResult::default()
                    .with_topic(WireName(text(partition.topic)))
                    .with_partition_result(vec![result]),
            ),
        }
    }
    topics
}
