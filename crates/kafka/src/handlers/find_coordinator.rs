//! FindCoordinator: which broker a client asks about a group. Any broker passes requests on to the process that coordinates
//! the group; which one it is said to be spreads the groups over the brokers.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use levada_metadata::{Endpoint, Image};
use levada_types::{BrokerId, ErrorCode, murmur2};

use super::group_call::PROMPT;
use super::{Handlers, code_of};
use crate::wire::endpoints::{endpoint, wire_id};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Several keys are asked for at once from this version on (KIP-699).
const BATCHES_SINCE: i16 = 4;

/// The key is a group's id. So it always is in version 0.
const GROUP: i8 = 0;

/// The key is a transactional id.
const TRANSACTION: i8 = 1;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let code = match request.key_type {
        // Where clients look for their groups, there have to be groups.
        GROUP => match handlers.broker.groups().ensure_shards(PROMPT).await {
            Ok(()) => ErrorCode::None,
            Err(error) => {
                tracing::debug!(%error, "no coordinator of groups");
                ErrorCode::CoordinatorNotAvailable
            }
        },
        // No process of this cluster coordinates transactions, which clients take as "not yet".
        TRANSACTION => ErrorCode::CoordinatorNotAvailable,
        _ => ErrorCode::InvalidRequest,
    };
    let keys = if head.version < BATCHES_SINCE { vec![request.key] } else { request.coordinator_keys };
    let image = handlers.broker.image();
    let mut found = keys.into_iter().map(|key| find(head, &image, &handlers.listener, key, code));
    if head.version >= BATCHES_SINCE {
        return FindCoordinatorResponse::default().with_coordinators(found.collect());
    }
    let Some(found) = found.next() else { return FindCoordinatorResponse::default() };
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

fn find(head: Head, image: &Image, listener: &str, key: StrBytes, code: ErrorCode) -> Coordinator {
    let found = match code {
        ErrorCode::None => coordinator_of(image, listener, &key).ok_or(ErrorCode::CoordinatorNotAvailable),
        code => Err(code),
    };
    let coordinator = Coordinator::default().with_key(key);
    match found {
        Ok((broker, endpoint)) => coordinator
            .with_node_id(wire_id(Some(broker)))
            .with_host(text(&*endpoint.host))
            .with_port(i32::from(endpoint.port)),
        Err(code) => coordinator
            .with_node_id(wire_id(None))
            .with_port(-1)
            .with_error_code(code_of(head, code))
            .with_error_message(Some(text(code.message()))),
    }
}

/// The broker that clients of a listener ask about `key`: of all live ones that have the listener the one with the highest
/// draw, so that it stays the same for as long as it lives, and the keys of one that goes are spread over all others.
pub(super) fn coordinator_of<'a>(image: &'a Image, listener: &str, key: &str) -> Option<(BrokerId, &'a Endpoint)> {
    let reachable = image.live_brokers().filter_map(|broker| Some((broker.id, endpoint(broker, listener)?)));
    reachable.max_by_key(|(broker, _)| (draw(key, *broker), *broker))
}

/// What a broker draws for a key.
fn draw(key: &str, broker: BrokerId) -> u32 {
    let mut ticket = Vec::with_capacity(key.len() + size_of::<i32>());
    ticket.extend_from_slice(key.as_bytes());
    ticket.extend_from_slice(&broker.0.to_be_bytes());
    murmur2(&ticket)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use levada_metadata::{BrokerRegistration, Delta, EndpointProtocol, LevelRange};
    use levada_types::{BrokerEpoch, MetadataOffset};
    use uuid::Uuid;

    use super::*;

    const LISTENER: &str = "PLAINTEXT";

    fn broker(id: i32, listener: &str, fenced: bool) -> Delta {
        let protocol = EndpointProtocol::Plaintext;
        let endpoint = Endpoint { listener: listener.to_owned(), host: format!("b-{id}"), port: 9092, protocol };
        Delta::BrokerRegistered {
            broker: Arc::new(BrokerRegistration {
                id: BrokerId(id),
                epoch: BrokerEpoch(i64::from(id)),
                incarnation: Uuid::nil(),
                boot_id: None,
                directories: Vec::new(),
                endpoints: vec![endpoint],
                internal_address: String::new(),
                rack: None,
                levels: LevelRange::SUPPORTED,
                fenced,
                stopping: false,
                draining: false,
            }),
        }
    }

    fn image(brokers: &[Delta]) -> Image {
        Image::restore(MetadataOffset(1), None, brokers).expect("applies")
    }

    fn coordinators(image: &Image) -> HashMap<String, i32> {
        let keys = (0..1_000).map(|n| format!("group-{n}"));
        keys.map(|key| {
            let (id, _) = coordinator_of(image, LISTENER, &key).expect("somebody lives");
            (key, id.0)
        })
        .collect()
    }

    #[test]
    fn groups_are_spread_and_only_those_of_a_broker_that_goes_move() {
        let all = coordinators(&image(&[1, 2, 3].map(|id| broker(id, LISTENER, false))));
        for id in 1..=3 {
            let share = all.values().filter(|coordinator| **coordinator == id).count();
            assert!((250..420).contains(&share), "broker {id} has {share} of 1000");
        }
        let left =
            coordinators(&image(&[broker(1, LISTENER, false), broker(2, LISTENER, true), broker(3, LISTENER, false)]));
        assert!(left.values().all(|coordinator| *coordinator != 2));
        assert!(all.iter().all(|(key, coordinator)| *coordinator == 2 || left[key] == *coordinator));
        let heirs: Vec<i32> = all.iter().filter(|(_, was)| **was == 2).map(|(key, _)| left[key]).collect();
        assert!([1, 3].iter().all(|heir| heirs.contains(heir)), "both inherit");
    }

    #[test]
    fn nobody_is_found_where_nobody_listens() {
        let image = image(&[broker(1, "OTHER", false), broker(2, LISTENER, true)]);
        assert_eq!(coordinator_of(&image, LISTENER, "g"), None);
    }
}
