//! What can happen, and what travels.

use bytes::Bytes;
use levada_metadata::{Command, Entry, Image, Response, SubmitError, WriteId};
use levada_replication::{Ack, Attach, AttachAnswer, Frame, ProposalId, Session};
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, MetadataOffset};

/// Somebody who sends and receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    /// A controller node, by its index.
    Controller(usize),
    /// A broker, by its index.
    Broker(usize),
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
    Image(Image),
    /// To a leader.
    Attach(Attach),
    /// To a follower.
    Answer(AttachAnswer),
    /// To a follower, with the records.
    Frame(Frame, Bytes),
    /// To a leader.
    Ack(Ack, usize),
    /// To a follower: the session is over.
    Detached(LeaderEpoch, Session),
    /// To a leader: the stream is over.
    StreamEnded(BrokerId, Session),
}

/// Something that happens at its time.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// A message arrives.
    Arrival { from: Party, to: Party, message: Box<Message> },
    /// Raft takes the oldest write of a controller node.
    RaftWrite { node: usize },
    /// A controller node hears that it leads, or does not.
    RaftNews { node: usize, leads: Option<u64> },
    /// The pause of a proposer is over.
    Retry { node: usize },
    /// A controller node looks at its sessions.
    Supervision { node: usize },
    /// A broker's regular work: heartbeat, tick, checkpoint, registration.
    Round { broker: usize, life: u64 },
    /// A broker's disk has carried out a flush.
    Flush { broker: usize, life: u64 },
    /// A proposal has waited long enough for its answer.
    ProposalTimeout { broker: usize, life: u64, proposal: ProposalId },
    /// A client appends.
    Produce,
    /// Something goes wrong.
    Fault,
}

/// A write of a proposer on its way into Raft.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) write: WriteId,
    pub(crate) term: u64,
    pub(crate) entry: Entry,
}
