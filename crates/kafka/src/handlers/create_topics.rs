//! CreateTopics.

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use levada_broker::api::{DescribedResource, PartitionError};
use levada_metadata::{Command, CreatedTopic, ManualAssignment, NewTopic, Response, TopicCreation};
use levada_types::{BrokerId, ErrorCode, TopicName};

use super::config_resource::value;
use super::{Handlers, code_of, millis};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Answers tell partitions, replication factor and settings from this version on (KIP-525).
const DETAILS_SINCE: i16 = 5;

/// The one internal topic that a client may not create, with Kafka's answer. The others it may, so that tools can prepare
/// a cluster.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// What the answer says of a number that it does not know.
const UNKNOWN: i32 = -1;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let checked: Vec<Result<NewTopic, PartitionError>> = request.topics.iter().map(new_topic).collect();
    let topics: Vec<NewTopic> = checked.iter().filter_map(|topic| topic.as_ref().ok().cloned()).collect();
    let asked = topics.len();
    let command = Command::CreateTopics { topics, validate_only: request.validate_only };
    let decided = if asked == 0 {
        Ok(Vec::new())
    } else {
        match handlers.broker.submit(command, millis(request.timeout_ms)).await {
            Ok(Response::CreateTopics(results)) => Ok(results),
            Ok(_) => Err(ErrorCode::UnknownServerError.into()),
            Err(error) => Err(error),
        }
    };
    let mut decided = decided.map(Vec::into_iter);
    let results = request.topics.iter().zip(checked).map(|(topic, checked)| {
        let result = checked.and_then(|_| match &mut decided {
            Ok(results) => outcome(results.next()),
            Err(error) => Err(error.clone()),
        });
        respond(handlers, head, topic, result)
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

fn outcome(result: Option<TopicCreation>) -> Result<CreatedTopic, PartitionError> {
    let result = result.ok_or(ErrorCode::UnknownServerError)?.result;
    result.map_err(|error| PartitionError::new(error.code, error.message))
}

/// The topic that is asked for, as far as its form goes; what it means the controller decides.
fn new_topic(topic: &CreatableTopic) -> Result<NewTopic, PartitionError> {
    if &*topic.name == CLUSTER_METADATA {
        let message = "this name is kept for the cluster's own metadata";
        return Err(PartitionError::new(ErrorCode::TopicAuthorizationFailed, message));
    }
    let has_counts = topic.num_partitions != UNKNOWN || topic.replication_factor != -1;
    if !topic.assignments.is_empty() && has_counts {
        return Err(PartitionError::new(
            ErrorCode::InvalidRequest,
            "with replica assignments, the number of partitions and the replication factor must be -1",
        ));
    }
    let assignments = topic.assignments.iter().map(|assignment| ManualAssignment {
        partition: assignment.partition_index,
        brokers: assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect(),
    });
    let configs =
        topic.configs.iter().map(|config| Ok((config.name.to_string(), value(&config.name, config.value.as_ref())?)));
    Ok(NewTopic {
        name: topic.name.to_string(),
        partitions: (topic.num_partitions != UNKNOWN).then_some(topic.num_partitions),
        replication_factor: (topic.replication_factor != -1).then_some(topic.replication_factor),
        assignments: assignments.collect(),
        configs: configs.collect::<Result<_, PartitionError>>()?,
    })
}

fn respond(
    handlers: &Handlers,
    head: Head,
    topic: &CreatableTopic,
    result: Result<CreatedTopic, PartitionError>,
) -> CreatableTopicResult {
    let response = CreatableTopicResult::default().with_name(topic.name.clone());
    match result {
        Ok(created) => {
            let configs = if head.version >= DETAILS_SINCE { configs(handlers, &topic.name) } else { Some(Vec::new()) };
            response
                .with_error_message(None)
                .with_topic_id(created.id.0)
                .with_num_partitions(created.partitions)
                .with_replication_factor(created.replication_factor)
                .with_configs(configs)
        }
        Err(error) => response
            .with_error_code(code_of(head, error.code))
            .with_error_message(Some(text(error.message.unwrap_or_else(|| error.code.message().to_owned()))))
            .with_num_partitions(UNKNOWN)
            .with_replication_factor(-1)
            .with_configs(Some(Vec::new())),
    }
}

/// The settings of the new topic; none if it was only to be checked, since there is no topic then.
fn configs(handlers: &Handlers, name: &str) -> Option<Vec<CreatableTopicConfigs>> {
    let resource = DescribedResource::Topic(TopicName::new(name).ok()?);
    let described = handlers.broker.describe_configs(&resource, None).ok()?;
    let configs = described.into_iter().map(|config| {
        CreatableTopicConfigs::default()
            .with_name(text(config.name))
            .with_value(config.value.map(text))
            .with_config_source(config.source.kafka_code())
    });
    Some(configs.collect())
}
