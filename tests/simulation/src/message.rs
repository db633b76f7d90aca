//! What travels.

use bytes::Bytes;
use levada_metadata::{Command, Image, Response, SubmitError};
use levada_replication::{Ack, Attach, AttachAnswer, Frame, Session};
use levada_types::{BrokerEpoch, BrokerId, ErrorCode, LeaderEpoch, MetadataOffset, Offset, TopicId};

/// Somebody who sends and receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A controller node, by its index.
    Controller(usize),
    /// A broker, by its index.
    Broker(usize),
    /// A producer, by its index.
    Producer(usize),
    /// Who gives orders to the cluster, and reads no answers.
    Operator,
}

/// Something on its way.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// To a controller: do this.
    Submit { number: u64, command: Command },
    /// To a broker: what became of it.
    Submitted { number: u64, result: Result<Response, SubmitError> },
    /// To a controller: a sign of life.
    Heartbeat { broker: BrokerId, epoch: BrokerEpoch, applied: MetadataOffset, ready: bool },
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
