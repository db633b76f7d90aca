//! AlterConfigs: all settings of a resource at once; those that are not named return to their defaults.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use levada_broker::api::PartitionError;
use levada_metadata::{AlterConfigsMode, ConfigAlteration, ConfigChange};

use super::config_resource::{alter, target, value};
use super::{Handlers, told};
use crate::wire::request::Head;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let alterations = request.resources.iter().map(alteration).collect();
    let results = alter(handlers, alterations, AlterConfigsMode::Full, request.validate_only).await;
    let responses = request.resources.into_iter().zip(results).map(|(resource, result)| {
        let (code, message) = told(head, result);
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn alteration(resource: &AlterConfigsResource) -> Result<ConfigAlteration, PartitionError> {
    let target = target(resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(|config| {
        let value = value(&config.name, config.value.as_ref())?;
        Ok((config.name.to_string(), ConfigChange::Set(value)))
    });
    Ok(ConfigAlteration { target, changes: changes.collect::<Result<_, PartitionError>>()? })
}
