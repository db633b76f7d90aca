//! Why a heartbeat is refused.

use levada_types::ErrorCode;

use crate::api::ConsumerGroupHeartbeatAnswer;

/// An error code with words for whoever reads the client's log. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The code.
    pub(super) code: ErrorCode,
    /// In words.
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// As an answer to a heartbeat.
    pub(super) fn answer(self) -> ConsumerGroupHeartbeatAnswer {
        ConsumerGroupHeartbeatAnswer {
            error: self.code,
            error_message: Some(self.message),
            member_id: None,
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
        }
    }
}

/// Of a member that this group does not have.
pub(super) fn unknown_member(member_id: &str) -> Refused {
    Refused::new(ErrorCode::UnknownMemberId, format!("{member_id} is no member of this group; join with epoch 0"))
}

/// Of a name that another member bears now.
pub(super) fn fenced_instance(instance_id: &str, owner: &str) -> Refused {
    Refused::new(ErrorCode::FencedInstanceId, format!("the instance id {instance_id} belongs to {owner} now"))
}
