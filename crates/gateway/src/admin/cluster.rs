//! The cluster and its brokers. Pure.

use levada_metadata::{BrokerRegistration, Image};
use levada_proto::v1;
use levada_types::BrokerId;

use crate::address;

/// What is known of the cluster here.
pub(super) fn describe(image: &Image, answered_by: BrokerId) -> v1::DescribeClusterResponse {
    let mut brokers: Vec<v1::Broker> = image.brokers().map(|broker| of_registration(broker)).collect();
    brokers.sort_unstable_by_key(|broker| broker.broker_id);
    v1::DescribeClusterResponse {
        cluster_id: image.cluster_id().map(|id| id.to_string()).unwrap_or_default(),
        answered_by: answered_by.0,
        metadata_offset: image.offset().0,
        brokers,
    }
}

/// A broker as clients see it.
pub(super) fn of_registration(broker: &BrokerRegistration) -> v1::Broker {
    let kafka = broker.endpoints.iter().find(|endpoint| endpoint.protocol.is_kafka());
    v1::Broker {
        broker_id: broker.id.0,
        grpc_address: broker.grpc_endpoint().map(address::of_endpoint).unwrap_or_default(),
        kafka_address: kafka.map(address::of_endpoint).unwrap_or_default(),
        rack: broker.rack.clone(),
        fenced: !broker.is_live(),
    }
}
