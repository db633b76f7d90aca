//! What follower and leader say to each other about one partition.
//!
//! Every message bears the leader epoch and the session of the attachment that it belongs to; who carries it adds the
//! topic id and the partition. A message whose epoch or session is not the receiver's is dropped.

use levada_types::{BrokerId, ErrorCode, LeaderEpoch, Offset};

use crate::Session;

/// A follower asks its leader for everything from its own log end on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attach {
    /// Who asks.
    pub follower: BrokerId,
    /// The leader's epoch, as the follower knows it.
    pub leader_epoch: LeaderEpoch,
    /// The attachment that begins.
    pub session: Session,
    /// The follower's log end offset.
    pub fetch_offset: Offset,
    /// The epoch of the follower's last record; `None` if it has none.
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// The follower's flushed end.
    pub flushed_end: Offset,
    /// The follower's log start offset.
    pub log_start: Offset,
}

/// The leader's answer to an [`Attach`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachAnswer {
    /// As in the attach.
    pub leader_epoch: LeaderEpoch,
    /// As in the attach.
    pub session: Session,
    /// What it came to.
    pub outcome: AttachOutcome,
}

/// What an attach came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachOutcome {
    /// The logs agree up to the offset asked for; frames follow.
    Accepted {
        /// The leader's high watermark.
        high_watermark: Offset,
        /// The leader's log start offset.
        log_start: Offset,
    },
    /// The follower's tail is not the leader's: it truncates, and attaches again (KIP-595).
    Diverged {
        /// The greatest epoch of the leader's log at or below the follower's last one.
        epoch: LeaderEpoch,
        /// Where that epoch ends at the leader.
        end_offset: Offset,
    },
    /// Nothing that the follower has can be compared with the leader's log: it begins anew at the leader's start.
    OutOfRange {
        /// The leader's log start offset.
        log_start: Offset,
    },
    /// There is no attachment.
    Refused(AttachRefusal),
}

/// Why an attach is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AttachRefusal {
    /// The broker does not lead the partition.
    #[error("this broker does not lead the partition; wait for newer metadata")]
    NotLeader,
    /// The follower knows an older leader epoch.
    #[error("the leader epoch is older than the leader's; wait for newer metadata")]
    FencedLeaderEpoch,
    /// The follower knows a newer leader epoch.
    #[error("the leader epoch is newer than the leader's; attach again")]
    UnknownLeaderEpoch,
    /// The broker that asks holds no replica.
    #[error("the broker holds no replica of the partition; wait for newer metadata")]
    NotReplica,
    /// The broker has registered again since.
    #[error("the broker has registered again since; register and attach under the new broker epoch")]
    StaleBrokerEpoch,
    /// An attach of a later session was here before.
    #[error("a later session has attached already; attach again with a greater counter")]
    StaleSession,
}

impl AttachRefusal {
    /// Kafka's code for it.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::NotReplica => ErrorCode::UnknownTopicOrPartition,
            Self::StaleBrokerEpoch => ErrorCode::StaleBrokerEpoch,
            Self::StaleSession => ErrorCode::InvalidFetchSessionEpoch,
        }
    }
}

/// A run of whole batches on its way to a follower, or none: then only the watermark and the start are news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The attachment.
    pub session: Session,
    /// Offset of the first record; the sender's position if there are none.
    pub base_offset: Offset,
    /// The offset after the last record; equal to `base_offset` if there are none.
    pub end_offset: Offset,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's log start offset.
    pub log_start: Offset,
}

/// How far a follower has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Who says so.
    pub follower: BrokerId,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The attachment.
    pub session: Session,
    /// Everything below it is in the follower's log.
    pub log_end: Offset,
    /// Everything below it is fsynced there.
    pub flushed_end: Offset,
    /// The follower's log start offset.
    pub log_start: Offset,
}
