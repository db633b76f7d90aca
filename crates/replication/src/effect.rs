//! What a replica wants done.

use crate::IsrMember;
use levada_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionEpoch};

use crate::{Ack, Attach, AttachAnswer, Session};

/// Something to be done. Effects are carried out in order, before the next event is handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The replica leads from here on.
    Lead {
        /// In this epoch.
        epoch: LeaderEpoch,
        /// Which starts at this offset.
        start: Offset,
    },
    /// The replica follows from here on. What a leader kept for its clients is over.
    Follow {
        /// This broker.
        leader: BrokerId,
        /// In this epoch.
        epoch: LeaderEpoch,
    },
    /// Nobody leads.
    Wait,
    /// The high watermark has moved: readers may go on, and it belongs into the next checkpoint. At a leader it moves
    /// forward only.
    HighWatermark {
        /// Everything below it is committed.
        offset: Offset,
    },
    /// The topic's option asks for an fsync of what has been appended; one may serve many appends.
    Flush,

    /// Leader: everything below this offset may be acknowledged to those who wait for it.
    Acknowledge {
        /// The offset after the last record that is committed.
        end: Offset,
    },
    /// Leader: everybody who waits for an acknowledgement gets this error; what they appended may yet be committed.
    FailAwaited {
        /// NOT_ENOUGH_REPLICAS_AFTER_APPEND or NOT_LEADER_OR_FOLLOWER.
        code: ErrorCode,
    },
    /// Leader: ask the controller for another in-sync set (AlterPartition).
    Propose(Proposal),
    /// Leader: answer an attach.
    Answer {
        /// To whom.
        follower: BrokerId,
        /// The answer.
        answer: AttachAnswer,
    },
    /// Leader: send frames.
    StartStream {
        /// To whom.
        follower: BrokerId,
        /// In this session.
        session: Session,
        /// From this offset on.
        from: Offset,
        /// Beside which others.
        lane: Lane,
    },
    /// Leader: send no more frames in this session, and tell the follower that it has ended.
    EndStream {
        /// To whom.
        follower: BrokerId,
        /// The session.
        session: Session,
    },
    /// Leader: every live replica's log starts at this offset or later (DeleteRecords).
    LowWatermark {
        /// The least log start offset of all live replicas.
        offset: Offset,
    },

    /// Follower: ask the leader for what follows the own log end.
    Attach {
        /// Whom.
        leader: BrokerId,
        /// What.
        attach: Attach,
    },
    /// Follower: tell the leader how far the log has come.
    Ack {
        /// Whom.
        leader: BrokerId,
        /// What.
        ack: Ack,
    },
    /// Follower: append the records of the frame that is being handled; [`crate::Event::Appended`] says when it is done.
    Append {
        /// The frame's first offset, which is the log's end.
        base_offset: Offset,
        /// The offset after its last record.
        end_offset: Offset,
    },
    /// Follower: remove everything at and behind this offset; [`crate::Event::Truncated`] says when it is done.
    Truncate {
        /// The new log end; the log may have to cut further down, to where a batch begins.
        to: Offset,
        /// It lies below the high watermark: after an unclean election, records that were acknowledged may be lost.
        below_high_watermark: bool,
    },
    /// Follower: remove everything and begin anew; [`crate::Event::Truncated`] says when it is done.
    StartAt {
        /// The new log start and end.
        offset: Offset,
        /// As in [`Effect::Truncate`].
        below_high_watermark: bool,
    },
    /// Follower: the leader's log starts at this offset; [`crate::Event::LogStartMoved`] says when it is done.
    AdvanceLogStart {
        /// The new log start.
        to: Offset,
    },
}

/// Which of the streams between two brokers frames travel on, so that neither a replica that recovers nor a stuck disk
/// holds up what is being acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Followers that are in sync, or about to be.
    Tail,
    /// Followers that lack what is committed already.
    CatchUp,
}

/// Names a proposal until it is answered. Never used twice by one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProposalId(pub u64);

/// Another in-sync set, for the controller to commit (AlterPartition). It says at the same time that the leader has
/// recovered from an unclean election, if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What the answer will bear.
    pub id: ProposalId,
    /// The proposer's leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that it builds on. One that is built on another is refused.
    pub partition_epoch: PartitionEpoch,
    /// The set. Equal to the committed one if an earlier attempt of unknown outcome has to be ruled out: being committed
    /// raises the partition epoch.
    pub isr: Vec<IsrMember>,
    /// Replicas that lack committed records: they may not stay eligible (KIP-966) either.
    pub incomplete: Vec<BrokerId>,
}
