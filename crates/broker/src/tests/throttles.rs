//! Sessions that wait for a throttle.

use std::sync::Arc;

use levada_replication::{Event, Lane, Session};
use levada_types::{BrokerEpoch, LeaderEpoch};
use uuid::Uuid;

use super::world::{OTHER, World, tp};
use crate::replication::{FollowerLink, Sending};

#[tokio::test]
async fn a_session_is_excused_while_a_throttle_on_either_side_has_it_wait() {
    let mut world = World::new();
    let id = tp(world.create("orders", 1), 0);
    let partition = world.broker.partitions.get(&id).unwrap();
    let session = Session { broker_epoch: BrokerEpoch(1), counter: 1 };
    let link = FollowerLink::new(OTHER, Uuid::nil());
    let begin = |credit| {
        let partition = Arc::clone(&partition);
        Sending::new(partition, (OTHER, LeaderEpoch(0), session), (0, Lane::CatchUp), credit, &link)
    };
    let throttled = Some(Event::Throttled { follower: OTHER, session });
    let sending = begin(0);
    assert_eq!(sending.excuse(), throttled, "it was granted nothing yet");
    sending.grant(100, false);
    assert_eq!(sending.excuse(), None);
    sending.grant(0, true);
    assert_eq!(sending.excuse(), throttled);
    sending.grant(100, false);
    sending.hold(true);
    assert_eq!(sending.excuse(), throttled);
    sending.hold(false);
    assert_eq!(sending.excuse(), None);
    assert_eq!(begin(100).excuse(), None);
}
