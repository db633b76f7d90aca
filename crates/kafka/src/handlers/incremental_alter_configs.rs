//! IncrementalAlterConfigs (KIP-339): changes of single settings.

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use levada_broker::api::PartitionError;
use levada_metadata::{AlterConfigsMode, ConfigAlteration, ConfigChange};
use levada_types::ErrorCode;

use super::config_resource::{alter, target, value};
use super::{Handlers, told};
use crate::wire::request::Head;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let alterations = request.resources.iter().map(alteration).collect();
    let results = alter(handlers, alterations, AlterConfigsMode::Incremental, request.validate_only).await;
    let responses = request.resources.into_iter().zip(results).map(|(resource, result)| {
        let (code, message) = told(head, result);
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn alteration(resource: &AlterConfigsResource) -> Result<ConfigAlteration, PartitionError> {
    let target = target(resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(|config| Ok((config.name.to_string(), change(config)?)));
    Ok(ConfigAlteration { target, changes: changes.collect::<Result<_, PartitionError>>()? })
}

fn change(config: &AlterableConfig) -> Result<ConfigChange, PartitionError> {
    let value = || value(&config.name, config.value.as_ref());
    match config.config_operation {
        0 => Ok(ConfigChange::Set(value()?)),
        1 => Ok(ConfigChange::Delete),
        2 => Ok(ConfigChange::Append(value()?)),
        3 => Ok(ConfigChange::Subtract(value()?)),
        other => Err(PartitionError::new(ErrorCode::InvalidRequest, format!("operation {other} is unknown"))),
    }
}
