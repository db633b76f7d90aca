//! Which brokers Metadata lists: those that serve, and for a while those that have just gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_metadata::{BrokerRegistration, Image};
use levada_types::{BrokerEpoch, BrokerId};
use parking_lot::Mutex;

/// How long a broker that has gone is still listed. librdkafka (2.10 and newer) forgets a broker at once that Metadata
/// lists no more, and if the same answer takes a partition away from it, that partition has no leader to the client until
/// its next scan a second later. A client that learns of the new leader first needs no more than an answer for each, so
/// some seconds are enough for all of them.
const LISTED_AFTER_FENCING: Duration = Duration::from_secs(5);

/// What this face has seen of the brokers: it has to look at every image ([`RecentBrokers::look`]), since the client that
/// asks when a broker has gone may be the first that asks at all.
#[derive(Debug, Default)]
pub(super) struct RecentBrokers {
    seen: Mutex<HashMap<BrokerId, Seen>>,
}

/// A broker that was there under this registration.
#[derive(Debug)]
struct Seen {
    epoch: BrokerEpoch,
    /// When it was first seen to be fenced since.
    fenced: Option<Instant>,
}

impl RecentBrokers {
    /// Notes which brokers have come and gone by this image.
    pub(super) fn look(&self, image: &Image, now: Instant) {
        self.list(image, now);
    }

    /// The brokers to be listed now, by number.
    pub(super) fn list<'a>(&self, image: &'a Image, now: Instant) -> Vec<&'a Arc<BrokerRegistration>> {
        let mut seen = self.seen.lock();
        seen.retain(|id, _| image.broker(*id).is_some());
        let listed = image.brokers().filter(|broker| {
            if !broker.fenced {
                seen.insert(broker.id, Seen { epoch: broker.epoch, fenced: None });
                return true;
            }
            // One that has registered and does not serve yet has not gone.
            let gone = seen.get_mut(&broker.id).filter(|seen| seen.epoch == broker.epoch);
            gone.is_some_and(|seen| now.duration_since(*seen.fenced.get_or_insert(now)) < LISTED_AFTER_FENCING)
        });
        let listed: Vec<_> = listed.collect();
        // When nobody serves, as after a controller that could not be reached, a client that is told so by an empty list
        // forgets everybody and has nobody left to ask.
        if listed.is_empty() { image.brokers().collect() } else { listed }
    }
}

#[cfg(test)]
mod tests {
    use levada_metadata::{Delta, LevelRange};
    use levada_types::MetadataOffset;
    use uuid::Uuid;

    use super::*;

    /// Brokers with their epochs, fenced or not.
    fn image(brokers: &[(i32, i64, bool)]) -> Image {
        let registered = brokers.iter().map(|&(id, epoch, fenced)| {
            let broker = BrokerRegistration {
                id: BrokerId(id),
                epoch: BrokerEpoch(epoch),
                incarnation: Uuid::nil(),
                boot_id: None,
                directories: Vec::new(),
                endpoints: Vec::new(),
                internal_address: String::new(),
                rack: None,
                levels: LevelRange::SUPPORTED,
                fenced,
                stopping: false,
                draining: false,
            };
            Delta::BrokerRegistered { broker: Arc::new(broker) }
        });
        Image::restore(MetadataOffset(1), None, &registered.collect::<Vec<_>>()).expect("applies")
    }

    #[test]
    fn a_broker_that_has_gone_is_listed_for_a_while() {
        let recent = RecentBrokers::default();
        let start = Instant::now();
        let listed = |at: Duration, brokers: &[(i32, i64, bool)]| -> Vec<i32> {
            recent.list(&image(brokers), start + at).iter().map(|broker| broker.id.0).collect()
        };
        let second = Duration::from_secs(1);
        // Broker 3 was gone before anybody looked.
        assert_eq!(listed(Duration::ZERO, &[(1, 10, false), (2, 11, false), (3, 12, true)]), [1, 2]);
        let gone = [(1, 10, true), (2, 11, false), (3, 12, true)];
        assert_eq!(listed(60 * second, &gone), [1, 2], "from when it is first seen");
        assert_eq!(listed(64 * second, &gone), [1, 2]);
        assert_eq!(listed(65 * second, &gone), [2]);
        // It registers anew, and is fenced until it serves.
        assert_eq!(listed(66 * second, &[(1, 13, true), (2, 11, false)]), [2]);
        assert_eq!(listed(67 * second, &[(1, 13, false), (2, 11, false)]), [1, 2]);
        assert_eq!(listed(68 * second, &[(1, 13, true), (2, 11, false)]), [1, 2], "and may go again");
        assert_eq!(listed(69 * second, &[(2, 11, false)]), [2], "a broker that is forgotten");
        let nobody = [(1, 13, true), (2, 11, true)];
        assert_eq!(listed(70 * second, &nobody), [2]);
        assert_eq!(listed(90 * second, &nobody), [1, 2], "a client must have somebody to ask");
    }
    #[test]
    fn a_broker_that_went_before_any_client_asked_is_listed_too() {
        let (recent, start, second) = (RecentBrokers::default(), Instant::now(), Duration::from_secs(1));
        recent.look(&image(&[(1, 10, false), (2, 11, false)]), start);
        let gone = image(&[(1, 10, true), (2, 11, false)]);
        recent.look(&gone, start + second);
        let listed =
            |at: Duration| -> Vec<i32> { recent.list(&gone, start + at).iter().map(|broker| broker.id.0).collect() };
        assert_eq!(listed(2 * second), [1, 2]);
        assert_eq!(listed(6 * second), [2], "five seconds from when it went, not from when somebody asked");
    }
}
