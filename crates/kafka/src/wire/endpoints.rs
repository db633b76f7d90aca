//! Where clients reach brokers, as the image tells it.

use std::collections::BTreeSet;

use kafka_protocol::messages::BrokerId as WireBrokerId;
use kafka_protocol::messages::{fetch_response, produce_response};
use kafka_protocol::protocol::StrBytes;
use levada_broker::api::LeaderHint;
use levada_metadata::{BrokerRegistration, Endpoint, Image};
use levada_types::BrokerId;

use super::text::text;

/// The address of a broker for clients that came in through the listener of this name.
pub(crate) fn endpoint<'a>(broker: &'a BrokerRegistration, listener: &str) -> Option<&'a Endpoint> {
    broker.endpoint(listener).filter(|endpoint| endpoint.protocol.is_kafka())
}

/// A broker's id, -1 for none.
pub(crate) fn wire_id(id: Option<BrokerId>) -> WireBrokerId {
    WireBrokerId(id.map_or(-1, |id| id.0))
}

/// The leaders that an answer names, so that the client needs no metadata to reach them (KIP-951).
#[derive(Debug, Default)]
pub(crate) struct NamedLeaders {
    ids: BTreeSet<BrokerId>,
}

impl NamedLeaders {
    /// Takes note of a leader; returns its id and epoch for the answer.
    pub(crate) fn name(&mut self, hint: LeaderHint) -> (WireBrokerId, i32) {
        self.ids.extend(hint.leader);
        (wire_id(hint.leader), hint.epoch.0)
    }

    fn endpoints<'a>(
        &'a self,
        image: &'a Image,
        listener: &'a str,
    ) -> impl Iterator<Item = (WireBrokerId, StrBytes, i32, Option<StrBytes>)> + 'a {
        self.ids.iter().filter_map(move |&id| {
            let broker = image.broker(id)?;
            let endpoint = endpoint(broker, listener)?;
            Some((wire_id(Some(id)), text(&*endpoint.host), i32::from(endpoint.port), broker.rack.clone().map(text)))
        })
    }

    /// Their addresses, for Produce.
    pub(crate) fn for_produce(&self, image: &Image, listener: &str) -> Vec<produce_response::NodeEndpoint> {
        self.endpoints(image, listener)
            .map(|(id, host, port, rack)| {
                produce_response::NodeEndpoint::default()
                    .with_node_id(id)
                    .with_host(host)
                    .with_port(port)
                    .with_rack(rack)
            })
            .collect()
    }

    /// Their addresses, for Fetch.
    pub(crate) fn for_fetch(&self, image: &Image, listener: &str) -> Vec<fetch_response::NodeEndpoint> {
        self.endpoints(image, listener)
            .map(|(id, host, port, rack)| {
                fetch_response::NodeEndpoint::default().with_node_id(id).with_host(host).with_port(port).with_rack(rack)
            })
            .collect()
    }
}
