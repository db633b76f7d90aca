//! What a partition's actor is asked to do.

use std::sync::Arc;

use bytes::Bytes;
use levada_log::{CleanedSegment, CleaningSnapshot, Flushed, LogConfig, LogError, LogWriter};
use levada_replication::{Attach, Event, PartitionView};
use levada_shard::{AppendSession, AppendTicket};
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TimestampMs};
use tokio::sync::oneshot;

use super::gather::Slot;
use super::in_flight::Share;
use crate::api::{Acks, DescribedProducer, PartitionError, Produced};
use crate::replication::FollowerLink;
use crate::shard_log::{AppendOutcome, OpenedSession};

/// One job of a partition's actor. Whoever waits for one holds the other end of its slot; a job that is dropped undone
/// answers through it.
pub(crate) enum Job {
    /// Own this log. The first job.
    Open(Box<LogWriter>),
    /// Append a batch.
    Append(Append),
    /// The metadata of the partition is now this: lead it, follow, or wait.
    See(Box<Sight>),
    /// Something has happened that the replica's state machine has to know.
    Replica(Event),
    /// A follower attaches.
    Attach(Box<Attached>),
    /// The leader has sent a frame.
    Frame(Box<Frame>),
    /// The flush that was begun last has run.
    Flushed(Box<Flushed>),
    /// Move the log start offset up.
    DeleteRecords(DeleteRecords),
    /// Find the replica that a consumer is to read from.
    FindReader(FindReader),
    /// Open an append session, which ends every earlier one.
    OpenSession(OpenSession),
    /// Append a batch under the newest session.
    AppendInSession(Box<SessionAppend>),
    /// Tell whether a session is the newest one.
    ConfirmSession(ConfirmSession),
    /// Say when everything that was asked before is done.
    Reach(Slot<()>),
    /// Tell which producers the log remembers.
    DescribeProducers(Slot<Option<Vec<DescribedProducer>>>),
    /// The topic's settings are now these.
    Configure(Box<LogConfig>),
    /// Roll a segment that is due, delete what retention no longer keeps, forget expired producers.
    Maintain {
        /// The time.
        now_ms: TimestampMs,
    },
    /// Flush if a record has been unflushed for `flush.ms`.
    FlushIfDue {
        /// The time.
        now_ms: TimestampMs,
    },
    /// Tell what who cleans the log has to know of it.
    BeginCleaning(Slot<Option<CleaningSnapshot>>),
    /// Put a cleaned segment in its place.
    Swap(Box<Swap>),
    /// Close the log: flush it and write what the next start needs. True if that went well. The last job.
    Close(Slot<bool>),
    /// As [`Self::Abandon`], since the log moves: true then, and the last job. Not while the controller has yet to answer:
    /// then it is false, and everything goes on.
    HandOver(Slot<bool>),
    /// Let go of the log without flushing, since it is about to be deleted or set aside. The last job.
    Abandon(Slot<bool>),
}

/// A batch to append.
pub(crate) struct Append {
    pub(crate) records: Bytes,
    pub(crate) acks: Acks,
    /// The leader epoch under which the request was let in.
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) answer: Slot<Result<Produced, PartitionError>>,
    /// Given back when the batch was appended or refused.
    pub(crate) share: Share,
}

/// A cleaned segment that is to take the place of others.
pub(crate) struct Swap {
    pub(crate) cleaned: CleanedSegment,
    /// Whether it did: false if the log has changed meanwhile.
    pub(crate) answer: Slot<Result<bool, LogError>>,
}

/// The partition as of one image, and the registration of this broker that the image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) view: PartitionView,
    pub(crate) broker_epoch: BrokerEpoch,
}

/// A follower that attaches.
pub(crate) struct Attached {
    pub(crate) attach: Attach,
    /// Bytes of records that may be sent to it at first.
    pub(crate) credit: u32,
    /// Where it is answered.
    pub(crate) link: Arc<FollowerLink>,
}

/// A frame that has arrived from the leader.
pub(crate) struct Frame {
    pub(crate) head: levada_replication::Frame,
    pub(crate) records: Bytes,
    /// Given back when the frame was appended or dropped. A frame without records has none.
    pub(crate) share: Option<Share>,
}

/// A log start offset to move up.
pub(crate) struct DeleteRecords {
    /// `None` for the high watermark.
    pub(crate) before: Option<Offset>,
    /// The leader epoch under which the request was let in.
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) answer: Slot<Result<Offset, PartitionError>>,
}

/// A consumer that would rather read from one of these brokers.
pub(crate) struct FindReader {
    pub(crate) among: Vec<BrokerId>,
    /// Where it reads.
    pub(crate) offset: Offset,
    pub(crate) answer: Slot<Option<BrokerId>>,
}

/// The owner of a shard opens an append session.
pub(crate) struct OpenSession {
    /// The leader epoch that it believes in.
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) answer: oneshot::Sender<Result<OpenedSession, PartitionError>>,
}

/// A batch of the owner of a shard.
pub(crate) struct SessionAppend {
    pub(crate) ticket: AppendTicket,
    pub(crate) records: Bytes,
    /// Dropped, it says that the outcome is unknown.
    pub(crate) answer: oneshot::Sender<AppendOutcome>,
    /// Given back when the batch was appended or refused.
    pub(crate) share: Share,
}

/// Somebody asks whether a session is the newest one.
pub(crate) struct ConfirmSession {
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) session: AppendSession,
    pub(crate) answer: Slot<bool>,
}
