//! A replica that a broker has opened: its log, its state machine, and what waits for either.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use levada_log::{FlushTicket, LogReader, LogWriter};
use levada_replication::{Effect, LogEnds, PartitionView, Proposal, ProposalId, Replica, SendWindow};
use levada_types::{BrokerId, Offset, TopicId};

use super::shard_log::ShardLog;
use crate::message::{Request, ToLeader};

pub(crate) struct Hosted {
    /// Tells it from every other opening.
    pub(crate) number: u64,
    pub(crate) topic: TopicId,
    pub(crate) writer: LogWriter,
    pub(crate) reader: LogReader,
    pub(crate) replica: Replica,
    /// What the replica was shown last.
    pub(crate) shown: Option<PartitionView>,
    /// Where it stands with those who follow it.
    pub(crate) streams: BTreeMap<BrokerId, SendWindow>,
    /// Proposals that were sent and not answered, by the number they were sent under.
    pub(crate) asked: BTreeMap<u64, ProposalId>,
    /// Proposals that were not refused for certain.
    pub(crate) proposals: Vec<Proposal>,
    /// What the disk has not done yet, in order.
    pub(crate) work: VecDeque<Work>,
    pub(crate) flushing: Option<FlushTicket>,
    pub(crate) flush_is_due: bool,
    /// Bytes appended since the last acknowledgement.
    pub(crate) appended: usize,
    /// Answers that wait until what they tell of is committed.
    pub(crate) parked: Vec<Parked>,
    /// What it keeps for the owner of the shard that the partition holds.
    pub(crate) shards: ShardLog,
}

impl Hosted {
    pub(super) fn new(
        number: u64,
        topic: TopicId,
        writer: LogWriter,
        reader: LogReader,
        replica: Replica,
        shards: ShardLog,
    ) -> Self {
        Self {
            number,
            topic,
            writer,
            reader,
            replica,
            shown: None,
            streams: BTreeMap::new(),
            asked: BTreeMap::new(),
            proposals: Vec::new(),
            work: VecDeque::new(),
            flushing: None,
            flush_is_due: false,
            appended: 0,
            parked: Vec::new(),
            shards,
        }
    }
}

/// A change of a log that the disk has not carried out yet.
pub(crate) enum Work {
    /// A producer's batch.
    Produce(Request),
    /// What a replica that follows wants of its log.
    Change(Effect, Bytes),
    /// A third of what is committed is deleted.
    DeleteRecords,
    /// What an owner of the shard asks.
    Owner(ToLeader),
}

/// Whose answer waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitsFor {
    /// A producer's, to its attempt of this number.
    Producer { producer: usize, number: u64 },
    /// That of who owns the shard, to the append of this number on this stream.
    Owner { link: u64, number: u64 },
}

/// An answer that waits until everything below `end` is committed.
pub(crate) struct Parked {
    pub(crate) end: Offset,
    pub(crate) base: Offset,
    pub(crate) waits: WaitsFor,
    pub(crate) fingerprint: u64,
}

pub(crate) fn ends_of(reader: &LogReader) -> LogEnds {
    let (start, end) = (reader.log_start_offset(), reader.log_end_offset());
    LogEnds { start, end, flushed: reader.recovery_point().clamp(start, end) }
}
