//! Whether this broker may still act on what it leads.

use std::sync::{Arc, OnceLock};

use levada_peers::Lease;
use levada_types::ErrorCode;

use crate::api::PartitionError;
use crate::partition::Role;

/// The broker's lease from the controller, once it has a session.
///
/// A leader with others in sync needs none: they acknowledge under its leader epoch, and refuse it when there is a newer
/// one. Nor does the only replica, since nobody else could lead. But a leader that is alone in sync while there are other
/// replicas commits by itself. When it was stopped for longer than its session lasts, one of them may lead by the time it
/// goes on (`unclean.leader.election.enable`), and it must not acknowledge anything before it has heard of that.
///
/// It is asked for when a write is let in, and again when what was written is committed: the process may have been stopped
/// in between.
#[derive(Clone, Default)]
pub(crate) struct Mandate(Arc<OnceLock<Arc<Lease>>>);

impl Mandate {
    /// From now on `lease` counts; the first one stays.
    pub(crate) fn hold(&self, lease: Arc<Lease>) {
        // A broker has one session in its life.
        let _ = self.0.set(lease);
    }

    /// Refuses writes that this broker alone would commit while another may lead.
    pub(crate) fn check(&self, role: &Role) -> Result<(), PartitionError> {
        let commits_alone = role.is_alone_in_sync() && role.replicas > 1;
        if !commits_alone || self.is_current() {
            return Ok(());
        }
        let message = "this broker has not heard from the controller for the session timeout and may be fenced";
        Err(PartitionError::new(ErrorCode::NotLeaderOrFollower, message))
    }

    /// Whether the session lasts, by the clock. A broker that has had no session yet leads nothing that
    /// another may.
    pub(crate) fn is_current(&self) -> bool {
        self.0.get().is_none_or(|lease| lease.is_current())
    }
}

#[cfg(test)]
mod tests {
    use levada_types::{BrokerId, LeaderEpoch};

    use super::*;

    fn leader(in_sync: usize, replicas: usize) -> Role {
        let (leader, leader_epoch) = (Some(BrokerId(1)), LeaderEpoch(5));
        Role { leader, leader_epoch, leads: true, in_sync, replicas, min_in_sync: 1 }
    }

    #[test]
    fn only_who_commits_alone_while_others_could_lead_needs_a_lease() {
        let lapsed = Mandate::default();
        lapsed.hold(Arc::new(Lease::new()));
        let current = Mandate::default();
        current.hold(Arc::new(Lease::endless()));
        let allowed = |mandate: &Mandate, in_sync, replicas| mandate.check(&leader(in_sync, replicas)).is_ok();
        assert!(!allowed(&lapsed, 1, 3));
        assert!(allowed(&lapsed, 2, 3) && allowed(&lapsed, 1, 1));
        assert!(allowed(&current, 1, 3) && allowed(&Mandate::default(), 1, 3));
    }
}
