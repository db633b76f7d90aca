//! AlterConfigs: all settings of a resource at once; those that are not named return to their defaults.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use levada_broker::api::PartitionError;
use levada_metadata::{AlterConfigsMode, ConfigAlteration, ConfigChange};
use levada_types::ErrorCode;

use super::config_resource::{alter, target};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let alterations = request.resources.iter().map(alteration).collect();
    let results = alter(handlers, alterations, AlterConfigsMode::Full, request.validate_only).await;
    let responses = request.resources.into_iter().zip(results).map(|(resource, result)| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match result {
            Ok(()) => response.with_error_message(None),
            Err(error) => {
                response.with_error_code(code_of(head, error.code)).with_error_message(error.message.map(text))
            }
        }
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn alteration(resource: &AlterConfigsResource) -> Result<ConfigAlteration, PartitionError> {
    let target = target(resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(|config| match &config.value {
        Some(value) => Ok((config.name.to_string(), ConfigChange::Set(value.to_string()))),
        None => {
            Err(PartitionError::new(ErrorCode::InvalidConfig, format!("the setting {} has no value", &*config.name)))
        }
    });
    Ok(ConfigAlteration { target, changes: changes.collect::<Result<_, _>>()? })
}
