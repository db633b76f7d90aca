//! ListConfigResources (KIP-1142; version 0 was ListClientMetricsResources, KIP-714): what settings can be asked of.

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use levada_metadata::Image;
use levada_types::ErrorCode;

use super::config_resource::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::{Handlers, code_of};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Requests name types of resources from this version on; before it, they mean subscriptions to clients' metrics.
const TYPES_SINCE: i16 = 1;

/// The types that version 1 knows, in the order in which they are told. Of the last three there are none here.
const TYPES: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(super) fn handle(
    handlers: &Handlers,
    head: Head,
    request: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    match list(&handlers.broker.image(), head, request) {
        Ok(resources) => ListConfigResourcesResponse::default().with_config_resources(resources),
        Err(code) => ListConfigResourcesResponse::default().with_error_code(code_of(head, code)),
    }
}

fn list(image: &Image, head: Head, request: &ListConfigResourcesRequest) -> Result<Vec<ConfigResource>, ErrorCode> {
    if head.version < TYPES_SINCE {
        return Ok(Vec::new());
    }
    // Kafka's answer to a type that it does not list.
    if request.resource_types.iter().any(|asked| !TYPES.contains(asked)) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let wanted = |kind| request.resource_types.is_empty() || request.resource_types.contains(&kind);
    let resource =
        |kind, name: String| ConfigResource::default().with_resource_type(kind).with_resource_name(text(name));
    let topics = image.topics().filter(|_| wanted(TOPIC)).map(|topic| resource(TOPIC, topic.name().to_string()));
    let brokers =
        image.visible_brokers().filter(|_| wanted(BROKER)).map(|broker| resource(BROKER, broker.id.to_string()));
    Ok(topics.chain(brokers).collect())
}
