//! What a replica is to its partition, as the newest image that this broker acted upon says.

use levada_metadata::Partition as Assignment;
use levada_types::{BrokerId, ErrorCode, LeaderEpoch};

use crate::api::{LeaderHint, PartitionError};

/// A replica's part in its partition under one leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    /// Who leads, if anybody can.
    pub(crate) leader: Option<BrokerId>,
    /// Under which epoch.
    pub(crate) leader_epoch: LeaderEpoch,
    /// Whether that is this broker.
    pub(crate) leads: bool,
    /// How many replicas are in sync.
    pub(crate) in_sync: usize,
    /// How many replicas there are.
    pub(crate) replicas: usize,
    /// How many must be in sync for `acks=all`: `min.insync.replicas`, but never more than there are replicas.
    pub(crate) min_in_sync: usize,
}

impl Role {
    /// The part that `assignment` gives to `broker`.
    pub(crate) fn of(assignment: &Assignment, broker: BrokerId, min_in_sync: usize) -> Self {
        let replicas = assignment.replicas.len();
        Self {
            leader: assignment.leader,
            leader_epoch: assignment.leader_epoch,
            leads: assignment.leader == Some(broker),
            in_sync: assignment.isr.len(),
            replicas,
            min_in_sync: min_in_sync.min(replicas),
        }
    }

    /// Whether the leader is the only replica in sync, so that what it had appended is committed.
    pub(crate) fn is_alone_in_sync(&self) -> bool {
        self.in_sync <= 1
    }

    pub(crate) fn hint(&self) -> LeaderHint {
        LeaderHint { leader: self.leader, epoch: self.leader_epoch }
    }

    fn refuse(&self, code: ErrorCode) -> PartitionError {
        PartitionError::with_leader(code, self.hint())
    }

    /// Refuses who believes in another leader epoch (KIP-320).
    pub(crate) fn check_epoch(&self, believed: Option<LeaderEpoch>) -> Result<(), PartitionError> {
        match believed {
            Some(epoch) if epoch < self.leader_epoch => Err(self.refuse(ErrorCode::FencedLeaderEpoch)),
            Some(epoch) if epoch > self.leader_epoch => Err(self.refuse(ErrorCode::UnknownLeaderEpoch)),
            _ => Ok(()),
        }
    }

    /// As [`Self::check_epoch`], and refuses everybody if this broker does not lead.
    pub(crate) fn check_leads(&self, believed: Option<LeaderEpoch>) -> Result<(), PartitionError> {
        self.check_epoch(believed)?;
        if self.leads { Ok(()) } else { Err(self.refuse(ErrorCode::NotLeaderOrFollower)) }
    }

    /// Refuses `acks=all` while too few replicas are in sync.
    pub(crate) fn check_in_sync(&self) -> Result<(), PartitionError> {
        if self.in_sync >= self.min_in_sync {
            return Ok(());
        }
        let Self { in_sync, min_in_sync, .. } = self;
        let message = format!("{in_sync} replicas are in sync; min.insync.replicas asks for {min_in_sync}");
        Err(PartitionError::new(ErrorCode::NotEnoughReplicas, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader() -> Role {
        Role {
            leader: Some(BrokerId(1)),
            leader_epoch: LeaderEpoch(5),
            leads: true,
            in_sync: 1,
            replicas: 3,
            min_in_sync: 1,
        }
    }

    fn code(result: Result<(), PartitionError>) -> ErrorCode {
        result.map_or_else(|error| error.code, |()| ErrorCode::None)
    }

    #[test]
    fn another_epoch_is_told_apart_from_another_leader() {
        let role = leader();
        assert_eq!(code(role.check_leads(None)), ErrorCode::None);
        assert_eq!(code(role.check_leads(Some(LeaderEpoch(5)))), ErrorCode::None);
        assert_eq!(code(role.check_leads(Some(LeaderEpoch(4)))), ErrorCode::FencedLeaderEpoch);
        assert_eq!(code(role.check_leads(Some(LeaderEpoch(6)))), ErrorCode::UnknownLeaderEpoch);
        let follower = Role { leads: false, leader: Some(BrokerId(2)), ..role };
        assert_eq!(code(follower.check_leads(Some(LeaderEpoch(4)))), ErrorCode::FencedLeaderEpoch);
        let refused = follower.check_leads(None);
        assert_eq!(
            refused.map_err(|error| (error.code, error.leader)),
            Err((
                ErrorCode::NotLeaderOrFollower,
                Some(LeaderHint { leader: Some(BrokerId(2)), epoch: LeaderEpoch(5) })
            ))
        );
    }

    #[test]
    fn acks_all_needs_the_minimum_in_sync() {
        assert_eq!(code(leader().check_in_sync()), ErrorCode::None);
        assert_eq!(code(Role { min_in_sync: 2, ..leader() }.check_in_sync()), ErrorCode::NotEnoughReplicas);
    }
}
