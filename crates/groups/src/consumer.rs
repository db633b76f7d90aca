//! Groups of the next-generation protocol (KIP-848).

use levada_metadata::Image;
use levada_shard::Token;
use levada_types::{ErrorCode, TimestampMs, TopicId};

use crate::{
    GroupConfig,
    api::{
        ConsumerGroupDescribeAnswer, ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, Heartbeat, JoinGroup,
        LeaveGroup, Response, SyncGroup,
    },
    draft::Draft,
    group::Group,
    records::ConsumerRecord,
};

/// A group of the next-generation protocol. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerGroup {}

/// A heartbeat to a group of any kind: `None` is a group that does not exist yet. Creates it, converts an empty or
/// (migration policy) a classic group with members, and may leave `None` or a classic group behind.
pub(crate) fn heartbeat(group: &mut Option<Group>, token: Token, request: ConsumerGroupHeartbeat, draft: &mut Draft<'_>) {
    let _ = (group, request);
    let answer = ConsumerGroupHeartbeatAnswer {
        error: ErrorCode::UnsupportedVersion,
        error_message: None,
        member_id: None,
        member_epoch: -1,
        heartbeat_interval_ms: 0,
        assignment: None,
    };
    draft.answer(token, Response::ConsumerGroupHeartbeat(answer));
}

/// A member of the classic protocol joins a group with members that is of the next-generation one.
pub(crate) fn join(group: &mut Option<Group>, token: Token, request: JoinGroup, draft: &mut Draft<'_>) {
    let _ = (group, request);
    draft.answer(token, Response::Failed(ErrorCode::InconsistentGroupProtocol));
}

/// A member of the classic protocol leaves such a group (which may become a classic one by that).
pub(crate) fn leave(group: &mut Option<Group>, token: Token, request: LeaveGroup, draft: &mut Draft<'_>) {
    let _ = (group, request);
    draft.answer(token, Response::Failed(ErrorCode::UnknownMemberId));
}

/// Does what has become due by time, such as sessions that are over.
pub(crate) fn tick(group: &mut Option<Group>, draft: &mut Draft<'_>) {
    let _ = (group, draft);
}

/// Takes in a record that is replayed. `None` is a group that does not exist yet; `None` is left when nothing is left.
pub(crate) fn replay(group: &mut Option<Group>, record: ConsumerRecord) {
    let _ = group;
    match record {}
}

impl ConsumerGroup {
    /// A member of the classic protocol asks for its assignment.
    pub(crate) fn sync(&mut self, token: Token, request: SyncGroup, draft: &mut Draft<'_>) {
        let _ = request;
        draft.answer(token, Response::Failed(ErrorCode::UnknownMemberId));
    }

    /// A member of the classic protocol gives a sign of life.
    pub(crate) fn classic_heartbeat(&mut self, token: Token, request: Heartbeat, draft: &mut Draft<'_>) {
        let _ = request;
        draft.answer(token, Response::Failed(ErrorCode::UnknownMemberId));
    }

    /// Loaded or set back: every session counts anew from now, and what is soft is made of what is hard.
    pub(crate) fn resume(&mut self, now: TimestampMs, config: &GroupConfig) {
        let _ = (now, config);
    }

    /// These topics are new, gone or different; called only if the metadata changed.
    pub(crate) fn topics_changed(&mut self, changed: &[TopicId], draft: &mut Draft<'_>) {
        let _ = (changed, draft);
    }

    /// A time not later than the first thing that becomes due; asked after everything that changes the group, so it is
    /// to be at hand (no scan over the members).
    pub(crate) fn next_deadline(&self) -> Option<TimestampMs> {
        None
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    /// The state's name, as in [`ConsumerGroupDescribeAnswer::state`].
    pub(crate) fn state_name(&self) -> &'static str {
        "Empty"
    }

    /// Describes it.
    pub(crate) fn describe(&self, image: &Image) -> ConsumerGroupDescribeAnswer {
        let _ = image;
        ConsumerGroupDescribeAnswer {
            error: ErrorCode::None,
            error_message: None,
            state: self.state_name().to_owned(),
            group_epoch: 0,
            assignment_epoch: 0,
            assignor: String::new(),
            members: Vec::new(),
        }
    }

    /// Whether any member is subscribed to the topic (by name or by a resolved expression): its offsets are neither
    /// deleted nor expired.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        let _ = topic;
        false
    }

    /// Whether a commit of this member under this epoch (generation, for a member of the classic protocol) is taken.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, ILLEGAL_GENERATION, FENCED_INSTANCE_ID, FENCED_MEMBER_EPOCH (an older
    /// stream).
    pub(crate) fn check_commit(
        &mut self,
        member_id: &str,
        group_instance_id: Option<&str>,
        epoch: i32,
        stream_number: Option<u64>,
    ) -> Result<(), ErrorCode> {
        let _ = (member_id, group_instance_id, epoch, stream_number);
        Err(ErrorCode::UnknownMemberId)
    }

    /// Whether this member may read offsets under this epoch. Not asked for clients that are no members.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub(crate) fn check_fetch(&self, member_id: &str, epoch: i32) -> Result<(), ErrorCode> {
        let _ = (member_id, epoch);
        Err(ErrorCode::UnknownMemberId)
    }

    /// Writes the tombstones of everything that was written of an empty group, which is then dropped.
    pub(crate) fn write_tombstones(&self, group_id: &str, draft: &mut Draft<'_>) {
        let _ = (group_id, draft);
    }
}
