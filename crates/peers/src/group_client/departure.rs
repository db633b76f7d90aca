//! When signs of life leave for the coordinators: together.
//!
//! Thousands of members speak every few seconds, and nobody waits for what is answered. If each heartbeat left by itself, it
//! would cost a system call and a wake-up at each step of its way; those that leave in the same moment share them, and so
//! do their answers.

use std::time::Duration;

use levada_groups::api::Request;
use tokio::time::Instant;

/// Between two departures: short beside the interval of heartbeats (3 s by default), and long enough that ten thousand members
/// make company for each other.
const INTERVAL: Duration = Duration::from_millis(5);

/// The departures since some moment.
#[derive(Debug)]
pub(super) struct Departures {
    first: Instant,
}

impl Departures {
    /// The first one is now.
    pub(super) fn new() -> Self {
        Self { first: Instant::now() }
    }

    /// Waits for the departure of `request`, and no longer than until `deadline`.
    pub(super) async fn wait(&self, request: &Request, deadline: Instant) {
        if let Some(leaves) = self.of(request, Instant::now()) {
            tokio::time::sleep_until(leaves.min(deadline)).await;
        }
    }

    /// When `request` leaves; `None` if it does not wait for others.
    fn of(&self, request: &Request, now: Instant) -> Option<Instant> {
        let is_sign_of_life = matches!(request, Request::Heartbeat(_) | Request::ConsumerGroupHeartbeat(_));
        is_sign_of_life.then(|| self.next(now))
    }

    /// The first departure that is not before `now`.
    fn next(&self, now: Instant) -> Instant {
        let since = now.saturating_duration_since(self.first).as_micros();
        let interval = INTERVAL.as_micros();
        let wait = (interval - since % interval) % interval;
        now + Duration::from_micros(u64::try_from(wait).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use levada_groups::api::{DeleteGroup, Heartbeat};

    use super::*;

    #[test]
    fn those_that_come_between_two_departures_leave_together() {
        let departures = Departures::new();
        let at = |us| departures.first + Duration::from_micros(us);
        let leave = [0, 1, 4_999, 5_000, 5_001].map(|us| departures.next(at(us)));
        assert_eq!(leave, [0, 5_000, 5_000, 5_000, 10_000].map(at));
    }

    #[test]
    fn only_signs_of_life_wait_for_others() {
        let departures = Departures::new();
        let now = departures.first + Duration::from_millis(1);
        let (group_id, generation_id, member_id) = ("g".to_owned(), 1, "m".to_owned());
        let deletion = Request::DeleteGroup(DeleteGroup { group_id: group_id.clone() });
        let beat = Request::Heartbeat(Heartbeat { group_id, generation_id, member_id, group_instance_id: None });
        assert_eq!(departures.of(&deletion, now), None);
        assert_eq!(departures.of(&beat, now), Some(departures.first + INTERVAL));
    }
}
