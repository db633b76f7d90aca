//! DescribeCluster (KIP-700): identity and brokers.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use levada_types::ErrorCode;

use super::metadata::controller;
use super::{Handlers, code_of};
use crate::wire::endpoints::{endpoint, wire_id};
use crate::wire::operations;
use crate::wire::request::Head;
use crate::wire::text::text;

/// The endpoint types of brokers and of controllers (KIP-919); controllers have no Kafka listener here.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(handlers: &Handlers, head: Head, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let image = handlers.broker.image();
    let response = DescribeClusterResponse::default().with_error_message(None);
    if head.version >= 1 && request.endpoint_type != BROKERS {
        let code = match request.endpoint_type {
            CONTROLLERS => ErrorCode::MismatchedEndpointType,
            _ => ErrorCode::UnsupportedEndpointType,
        };
        return response
            .with_error_code(code_of(head, code))
            .with_error_message(Some(text("this listener is a broker's; ask for endpoint type 1")));
    }
    let brokers = image
        .brokers()
        .filter(|broker| !broker.fenced || request.include_fenced_brokers)
        .filter_map(|broker| {
            let endpoint = endpoint(broker, &handlers.listener)?;
            Some(
                DescribeClusterBroker::default()
                    .with_broker_id(wire_id(Some(broker.id)))
                    .with_host(text(&*endpoint.host))
                    .with_port(i32::from(endpoint.port))
                    .with_rack(broker.rack.clone().map(text))
                    .with_is_fenced(head.version >= 2 && broker.fenced),
            )
        })
        .collect();
    let response = response
        .with_cluster_id(text(image.cluster_id().map(|id| id.to_string()).unwrap_or_default()))
        .with_controller_id(wire_id(controller(&image, handlers.broker.id())))
        .with_brokers(brokers);
    if request.include_cluster_authorized_operations {
        response.with_cluster_authorized_operations(operations::CLUSTER)
    } else {
        response.with_cluster_authorized_operations(operations::NOT_ASKED)
    }
}
