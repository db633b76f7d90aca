//! Heartbeat.

use levada_types::{ErrorCode, TimestampMs};

use super::{ClassicGroup, ClassicState};
use crate::api::Heartbeat;

impl ClassicGroup {
    /// A sign of life; the answer asks to join again while the group rebalances.
    pub(crate) fn heartbeat(&mut self, request: &Heartbeat, now: TimestampMs) -> ErrorCode {
        if let Err(error) = self.check_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation {
            return ErrorCode::IllegalGeneration;
        }
        self.renew_session(&request.member_id, now);
        match self.state {
            ClassicState::Empty => ErrorCode::UnknownMemberId,
            ClassicState::PreparingRebalance => ErrorCode::RebalanceInProgress,
            ClassicState::CompletingRebalance | ClassicState::Stable => ErrorCode::None,
        }
    }
}
