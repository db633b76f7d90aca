//! What travels.

use bytes::Bytes;
use levada_groups::api::Response;
use levada_metadata::{Command, Image, SubmitError};
use levada_replication::{Ack, Attach, AttachAnswer, Frame, Session};
use levada_shard::AppendSession;
use levada_shard::machine::{Opened, Outcome, Unserved};
use levada_types::{BrokerEpoch, BrokerId, CoordinatorEpoch, ErrorCode, LeaderEpoch, MetadataOffset, Offset, TopicId};

/// Somebody who sends and receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A controller node, by its index.
    Controller(usize),
    /// A broker, by its index.
    Broker(usize),
    /// A producer, by its index.
    Producer(usize),
    /// A coordinator, by its index.
    Coordinator(usize),
    /// Who gives orders to the cluster, and reads no answers.
    Operator,
}

/// Something on its way.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// To a controller: do this.
    Submit { number: u64, command: Command },
    /// To a broker: what became of it.
    Submitted { number: u64, result: Result<levada_metadata::Response, SubmitError> },
    /// To a controller: a sign of life.
    Heartbeat { broker: BrokerId, epoch: BrokerEpoch, applied: MetadataOffset, ready: bool, sent_ms: i64 },
    /// To a broker: the controllers will not count it out before that time.
    Mandate { epoch: BrokerEpoch, until_ms: i64 },
    /// To a controller: a coordinator's sign of life.
    LeaseAsked { epoch: CoordinatorEpoch, sent_ms: i64 },
    /// To a coordinator: the sign of life that it sent at that time was taken.
    Lease { epoch: CoordinatorEpoch, sent_ms: i64 },
    /// To a coordinator: a request.
    Ask(Box<Ask>),
    /// To a broker that has passed a request on: its answer.
    Answer { number: u64, answer: Box<Result<Response, Unserved>> },
    /// To a broker: something of who owns the shard, or would.
    ToLeader { topic: TopicId, word: ToLeader },
    /// To a coordinator: what the leader says on the stream of an attempt.
    Heard { link: u64, heard: Heard },
    /// To a coordinator: whether its session was the newest.
    Confirmed { number: u64, is_newest: bool },
    /// To a broker: the metadata.
    Image(Box<Image>),
    /// Between the replicas of a topic.
    Replica { topic: TopicId, word: Word },
    /// To a broker: append this.
    Produce(Request),
    /// To a producer: the offset of the first record, or why there is none.
    Produced { number: u64, result: Result<Offset, ErrorCode> },
}

/// What replicas say to each other.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// To a leader.
    Attach(Attach),
    /// To a follower.
    Answer(AttachAnswer),
    /// To a follower, with the records.
    Frame(Frame, Bytes),
    /// To a leader, with the credit that the follower grants.
    Ack(Ack, usize),
    /// To a follower: the session is over.
    Detached(LeaderEpoch, Session),
    /// To a leader: the stream is over.
    StreamEnded(BrokerId, Session),
}

/// When a producer wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// Never.
    None,
    /// When the leader has it.
    Leader,
    /// When everybody in sync has it.
    All,
}

/// One batch that a producer wants appended.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) topic: TopicId,
    pub(crate) producer: usize,
    /// Tells this attempt from every other.
    pub(crate) number: u64,
    pub(crate) acks: Acks,
    pub(crate) records: Bytes,
}

/// A request to the owner of a shard.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Tells it from every other.
    pub(crate) number: u64,
    /// The broker that passes it on.
    pub(crate) via: usize,
    /// The metadata by which that broker knows whom to ask.
    pub(crate) known_at: MetadataOffset,
    pub(crate) request: levada_groups::api::Request,
}

/// Who calls a leader for a shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) coordinator: usize,
    /// Tells its attempt from every other.
    pub(crate) link: u64,
    /// Its registration.
    pub(crate) owner: CoordinatorEpoch,
}

/// What the leader of a shard's partition is asked.
#[derive(Debug, Clone)]
pub(crate) enum ToLeader {
    /// Open an append session.
    Open { caller: Caller, epoch: LeaderEpoch, known_at: MetadataOffset },
    /// Append under it.
    Append { link: u64, number: u64, expected: Offset, records: Bytes },
    /// Read what is committed, once all of it is; without an end as it comes.
    Read { caller: Caller, epoch: LeaderEpoch, from: Offset, to: Option<Offset> },
    /// Say whether a session is the newest.
    Confirm { caller: Caller, number: u64, epoch: LeaderEpoch, session: AppendSession },
}

/// What an owner hears on the streams of an attempt.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    Opened(Opened),
    Read(Bytes),
    ReadEnded,
    Outcome { number: u64, outcome: Outcome },
    Lost,
}

impl Message {
    /// Whether the network may bring it twice, as a sender who asks again does. What travels on a stream, or is asked once, is
    /// not asked again.
    pub(crate) fn may_be_doubled(&self) -> bool {
        !matches!(
            self,
            Self::Ask(_) | Self::Answer { .. } | Self::ToLeader { .. } | Self::Heard { .. } | Self::Confirmed { .. }
        )
    }
}
