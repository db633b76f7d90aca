//! DescribeConfigs: settings with their values, where these come from, and what they do.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use levada_broker::api::{DescribedConfig, DescribedResource, PartitionError};
use levada_metadata::ConfigTarget;
use levada_metadata::config::Scope;
use levada_types::{ErrorCode, TopicName};

use super::config_resource::target;
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

pub(super) fn handle(handlers: &Handlers, head: Head, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let (synonyms, docs) = (request.include_synonyms, request.include_documentation);
    let results = request.resources.into_iter().map(|resource| {
        let described = describe(handlers, &resource);
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match described {
            Ok((is_topic, configs)) => {
                let configs = configs.into_iter().map(|config| respond(config, is_topic, synonyms, docs));
                result.with_configs(configs.collect()).with_error_message(None)
            }
            Err(error) => result
                .with_error_code(code_of(head, error.code))
                .with_error_message(Some(text(error.message.unwrap_or_else(|| error.code.message().to_owned())))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// The settings asked for, and whether they are a topic's.
fn describe(
    handlers: &Handlers,
    resource: &DescribeConfigsResource,
) -> Result<(bool, Vec<DescribedConfig>), PartitionError> {
    let described = match target(resource.resource_type, &resource.resource_name)? {
        ConfigTarget::Topic(name) => {
            let name = TopicName::new(&name)
                .map_err(|error| PartitionError::new(ErrorCode::InvalidTopicException, error.to_string()))?;
            DescribedResource::Topic(name)
        }
        ConfigTarget::DefaultBroker => DescribedResource::BrokerDefault,
        ConfigTarget::Broker(id) if id == handlers.broker.id() => DescribedResource::Broker,
        ConfigTarget::Broker(id) => {
            let message =
                format!("broker {} cannot tell the settings of broker {id}; ask that one", handlers.broker.id());
            return Err(PartitionError::new(ErrorCode::InvalidRequest, message));
        }
    };
    let names: Option<Vec<String>> =
        resource.configuration_keys.as_ref().map(|keys| keys.iter().map(ToString::to_string).collect());
    // Clients send an empty list where they mean all, as Kafka takes it.
    let names = names.filter(|names| !names.is_empty());
    let configs = handlers.broker.describe_configs(&described, names.as_deref())?;
    Ok((matches!(described, DescribedResource::Topic(_)), configs))
}

fn respond(config: DescribedConfig, is_topic: bool, synonyms: bool, docs: bool) -> DescribeConfigsResourceResult {
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(config.name))
        .with_value(config.value.map(text))
        .with_read_only(!is_topic && config.def.scope == Scope::ReadOnly)
        .with_config_source(config.source.kafka_code())
        .with_config_type(config.def.kind.kafka_code())
        .with_documentation(docs.then(|| text(config.def.doc)));
    if !synonyms {
        return result;
    }
    let synonyms = config.synonyms.into_iter().map(|(name, value, source)| {
        DescribeConfigsSynonym::default()
            .with_name(text(name))
            .with_value(value.map(text))
            .with_source(source.kafka_code())
    });
    result.with_synonyms(synonyms.collect())
}
