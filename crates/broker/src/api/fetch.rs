//! Reading records.

use std::time::Duration;

use levada_log::Slice;
use levada_types::{BrokerId, Isolation, LeaderEpoch, Offset, ProducerId, TopicIdPartition};

use super::{EpochEnd, LeaderHint};

/// Read these partitions, and wait for records if there are too few.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// Answer as soon as there are this many bytes over all partitions; 0 answers at once.
    pub min_bytes: u32,
    /// At most this many bytes over all partitions, except that the first batch found is always returned whole.
    pub max_bytes: u32,
    /// How far the reader may see.
    pub isolation: Isolation,
    /// From which replicas.
    pub read_from: ReadFrom,
    /// What to read, in order of priority.
    pub partitions: Vec<FetchPartition>,
}

/// From which replicas a reader takes records (KIP-392).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// From the leader alone: anybody else refuses with NOT_LEADER_OR_FOLLOWER.
    Leader,
    /// From a follower too, up to its own high watermark. A leader whose `replica.selector.class` is aware of racks names
    /// the follower to read from ([`FetchedPartition::preferred_read_replica`]).
    Nearest {
        /// Where the reader stands (`client.rack`); empty if it does not say.
        rack: String,
    },
}

/// Read one partition.
#[derive(Debug, Clone)]
pub struct FetchPartition {
    /// Which.
    pub partition: TopicIdPartition,
    /// From where. An offset inside a batch returns the whole batch.
    pub offset: Offset,
    /// At most this many bytes of this partition.
    pub max_bytes: u32,
    /// The leader epoch that the client believes in; checked against the broker's (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The leader epoch of the last record that the client has; the broker tells where the logs part (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

/// What was found in one partition. With an error the offsets are -1 unless known and `records` is empty.
#[derive(Debug, Clone)]
pub struct FetchedPartition {
    /// Which.
    pub partition: TopicIdPartition,
    /// Success, or why not.
    pub error: levada_types::ErrorCode,
    /// Consumers see everything below it.
    pub high_watermark: Offset,
    /// Every transaction below it is decided.
    pub last_stable_offset: Offset,
    /// The first offset that exists.
    pub log_start_offset: Offset,
    /// Where the client's log parts from this one, if it does.
    pub diverging: Option<EpochEnd>,
    /// The current leader, with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH.
    pub leader: Option<LeaderHint>,
    /// The follower that the reader is to turn to; then there are no records (KIP-392).
    pub preferred_read_replica: Option<BrokerId>,
    /// With [`Isolation::ReadCommitted`]: the aborted transactions that overlap `records`.
    pub aborted: Vec<AbortedTransaction>,
    /// The record batches, pinned in their segment; `None` if there are none.
    pub records: Option<Slice>,
}

/// A transaction whose records a `read_committed` reader drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer_id: ProducerId,
    /// Its first offset in this partition.
    pub first_offset: Offset,
}
