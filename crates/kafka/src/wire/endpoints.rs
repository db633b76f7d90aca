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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use levada_metadata::{Delta, EndpointProtocol, LevelRange};
    use levada_types::{BrokerEpoch, LeaderEpoch, MetadataOffset};
    use uuid::Uuid;

    use super::*;

    fn registered(id: i32, listeners: &[(&str, EndpointProtocol)]) -> Delta {
        let endpoints = listeners.iter().map(|&(listener, protocol)| Endpoint {
            listener: listener.to_owned(),
            host: format!("broker-{id}.{listener}"),
            port: 9092,
            protocol,
        });
        let broker = BrokerRegistration {
            id: BrokerId(id),
            epoch: BrokerEpoch(i64::from(id)),
            incarnation: Uuid::nil(),
            boot_id: None,
            directories: Vec::new(),
            endpoints: endpoints.collect(),
            internal_address: String::new(),
            rack: Some(format!("rack-{id}")),
            levels: LevelRange::SUPPORTED,
            fenced: false,
            stopping: false,
            draining: false,
        };
        Delta::BrokerRegistered { broker: Arc::new(broker) }
    }

    #[test]
    fn leaders_are_named_once_at_the_listener_that_the_client_uses() {
        let both = [("INSIDE", EndpointProtocol::Plaintext), ("OUTSIDE", EndpointProtocol::Plaintext)];
        let deltas = [
            registered(1, &both),
            registered(2, &[("INSIDE", EndpointProtocol::Plaintext), ("OUTSIDE", EndpointProtocol::Grpc)]),
        ];
        let image = Image::restore(MetadataOffset(1), None, &deltas).expect("applies");
        let mut leaders = NamedLeaders::default();
        let hint = |id: Option<i32>| LeaderHint { leader: id.map(BrokerId), epoch: LeaderEpoch(7) };
        assert_eq!(leaders.name(hint(Some(1))), (WireBrokerId(1), 7));
        assert_eq!(leaders.name(hint(Some(1))), (WireBrokerId(1), 7));
        assert_eq!(leaders.name(hint(None)), (WireBrokerId(-1), 7));
        leaders.name(hint(Some(2)));
        // One who is not known, and one who speaks something else at that listener, cannot be told.
        leaders.name(hint(Some(3)));
        let told = leaders.for_fetch(&image, "OUTSIDE");
        assert_eq!(told.len(), 1);
        let (host, rack) = (&*told[0].host, told[0].rack.as_deref());
        assert_eq!(
            (told[0].node_id, host, told[0].port, rack),
            (WireBrokerId(1), "broker-1.OUTSIDE", 9092, Some("rack-1"))
        );
        assert_eq!(leaders.for_produce(&image, "INSIDE").len(), 2);
    }
}
