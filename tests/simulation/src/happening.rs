//! What can happen.

use levada_metadata::{Entry, WriteId};
use levada_replication::ProposalId;

use crate::message::{Message, Party};

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
    /// A broker's disk has carried out the oldest change of its log.
    Work(Hosting),
    /// A broker's disk has carried out a flush.
    Flush(Hosting),
    /// A proposal has waited long enough for its answer.
    ProposalTimeout { at: Hosting, proposal: ProposalId },
    /// A producer makes a batch, or sends one again.
    Produce { producer: usize },
    /// A consumer reads on.
    Consume { consumer: usize },
    /// An operator does something.
    Operation,
    /// Something goes wrong.
    Fault,
    /// A disk that stood still goes on.
    DiskGoesOn { broker: usize },
    /// A disk that was full for a moment has room again.
    DiskHasRoom { broker: usize },
    /// A coordinator's regular work: a sign of life, a look at its lease.
    CoordinatorRound { coordinator: usize, life: u64 },
    /// A coordinator that was stopped goes on.
    CoordinatorWakes { coordinator: usize, life: u64 },
    /// A coordinator that has ended is started again.
    CoordinatorStarts { coordinator: usize },
    /// Something may be due in a coordinator's shard.
    ShardTimer { coordinator: usize, shard: u64 },
    /// Something goes wrong with coordinators.
    ShardFault,
    /// A committer asks something.
    Commit { committer: usize },
}

/// One opening of a replica by one process of a broker. What was planned for an earlier one does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hosting {
    pub(crate) broker: usize,
    pub(crate) number: u64,
}

/// A write of a proposer on its way into Raft.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) write: WriteId,
    pub(crate) term: u64,
    pub(crate) entry: Entry,
}
