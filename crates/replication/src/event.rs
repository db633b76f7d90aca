//! What happens to a replica.

use levada_types::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::{Ack, Attach, AttachAnswer, Frame, LogEnds, PartitionView, ProposalId, Session};

/// Something that has happened. Events of one replica are handled in the order in which they happen to its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The metadata has changed, or is seen for the first time. Images come in order; some may be left out.
    Image(PartitionView),
    /// Time has passed. Comes often enough for `replica.lag.time.max.ms`, some times within it.
    Tick,

    /// Records are in the local log, which ends at `end` now: the leader's own, or those of a frame.
    Appended {
        /// The log end offset.
        end: Offset,
    },
    /// Everything below `end` is fsynced.
    Flushed {
        /// The flushed end.
        end: Offset,
    },
    /// The log starts later now: DeleteRecords, retention, or [`crate::Effect::AdvanceLogStart`].
    LogStartMoved {
        /// The log start offset.
        start: Offset,
    },
    /// A truncation or a new beginning that an effect asked for is done.
    Truncated {
        /// Where the log stands now.
        ends: LogEnds,
    },
    /// To a follower: what [`crate::Effect::Append`], [`crate::Effect::Truncate`] or [`crate::Effect::StartAt`] asked of the log
    /// could not be done. The log stands where `ends` says. Each of these effects gets one answer, in their order: this one,
    /// [`Event::Appended`] or [`Event::Truncated`].
    LogFailed {
        /// Where the log stands.
        ends: LogEnds,
    },

    /// To a leader: an acknowledgement waits until everything below `end` is committed.
    Awaited {
        /// The offset after the last record that is waited for.
        end: Offset,
    },
    /// To a leader: a follower attaches.
    Attach(Attach),
    /// To a leader: a follower has come further.
    Ack(Ack),
    /// To a leader: the stream of this session has ended, from whichever side.
    StreamEnded {
        /// Whose.
        follower: BrokerId,
        /// The attachment that has ended.
        session: Session,
    },
    /// To a leader: a throttle has this session wait, so that nothing is heard of the follower is no wonder. Told before
    /// each tick while it is so.
    Throttled {
        /// Whose.
        follower: BrokerId,
        /// The attachment that waits.
        session: Session,
    },
    /// To a leader: the controller's answer to a proposal. Each gets exactly one, though it be "unknown".
    ProposalAnswered {
        /// Which.
        id: ProposalId,
        /// What it came to.
        answer: ProposalAnswer,
    },

    /// To a follower: the leader's answer to an attach.
    Answer(AttachAnswer),
    /// To a follower: a frame. If it is to be appended, [`crate::Effect::Append`] says so at once.
    Frame(Frame),
    /// To a follower: the leader has ended this session, or the stream is lost.
    Detached {
        /// The leader's epoch.
        leader_epoch: LeaderEpoch,
        /// The attachment that has ended.
        session: Session,
    },
}

/// What became of a proposed in-sync set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalAnswer {
    /// It is committed; the image that holds it comes.
    Committed {
        /// The partition epoch of that image.
        partition_epoch: PartitionEpoch,
    },
    /// It was decided on a newer state of the partition than the proposer's, whose image comes.
    Stale,
    /// It was refused on the very state that it was made for, or was never sent: this attempt will never be committed.
    NotApplied,
    /// Nobody knows, and it may yet be committed.
    Unknown,
}
