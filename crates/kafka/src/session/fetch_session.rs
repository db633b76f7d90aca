//! One fetch session: which partitions a consumer reads, and what it was told of them last.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::protocol::StrBytes;
use levada_types::{LeaderEpoch, Offset, PartitionIndex, TopicId};

/// A topic as a request names it: by name before version 13 of Fetch, by identity since (KIP-516).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    /// By name.
    Name(StrBytes),
    /// By identity.
    Id(TopicId),
}

/// What a consumer wants of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The topic.
    pub(crate) topic: TopicKey,
    /// The partition's number.
    pub(crate) partition: PartitionIndex,
    /// From where.
    pub(crate) offset: Offset,
    /// At most this many bytes.
    pub(crate) max_bytes: u32,
    /// The leader epoch that it believes in.
    pub(crate) current_leader_epoch: Option<LeaderEpoch>,
    /// The leader epoch of its last record.
    pub(crate) last_fetched_epoch: Option<LeaderEpoch>,
}

/// What was found in one partition, as far as it decides whether the consumer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The topic that the key meant; `None` if there was none.
    pub(crate) topic_id: Option<TopicId>,
    /// It is an error, a divergence, or the name of another replica: the consumer must be told.
    pub(crate) is_error: bool,
    /// There are records.
    pub(crate) has_records: bool,
    /// The high watermark.
    pub(crate) high_watermark: Offset,
    /// The log start offset.
    pub(crate) log_start_offset: Offset,
}

#[derive(Debug)]
struct Member {
    wanted: Wanted,
    /// What the consumer was told last, unless it must be told again whatever it is.
    told: Option<(TopicId, Offset, Offset)>,
}

/// A session's partitions, those that had no records for longest first, so that a full partition does not keep the
/// others from their turn.
#[derive(Debug, Default)]
pub(super) struct FetchSession {
    /// The epoch that the next request must bear.
    pub(super) next_epoch: i32,
    /// Whether its requests name topics by identity.
    pub(super) by_id: bool,
    members: BTreeMap<u64, Member>,
    positions: HashMap<(TopicKey, PartitionIndex), u64>,
    next_position: u64,
}

impl FetchSession {
    /// The first request of a session has epoch 0, so the next one has 1.
    pub(super) fn new(by_id: bool) -> Self {
        Self { next_epoch: 1, by_id, ..Self::default() }
    }

    /// How many partitions it has.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Counts a request; after the greatest epoch comes 1, since 0 begins a session.
    pub(super) fn advance(&mut self) {
        self.next_epoch = if self.next_epoch == i32::MAX { 1 } else { self.next_epoch + 1 };
    }

    /// Adds or changes a partition.
    pub(super) fn put(&mut self, wanted: Wanted) {
        let key = (wanted.topic.clone(), wanted.partition);
        match self.positions.get(&key).and_then(|position| self.members.get_mut(position)) {
            Some(member) => member.wanted = wanted,
            None => {
                self.positions.insert(key, self.next_position);
                self.members.insert(self.next_position, Member { wanted, told: None });
                self.next_position += 1;
            }
        }
    }

    /// Removes a partition.
    pub(super) fn forget(&mut self, topic: TopicKey, partition: PartitionIndex) {
        if let Some(position) = self.positions.remove(&(topic, partition)) {
            self.members.remove(&position);
        }
    }

    /// What is to be read now, in order.
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        self.members.values().map(|member| member.wanted.clone()).collect()
    }

    /// Takes note of what was found in a partition, and decides whether the consumer is told (`all`: in any case).
    pub(super) fn tell(&mut self, wanted: &Wanted, seen: Seen, all: bool) -> bool {
        let key = (wanted.topic.clone(), wanted.partition);
        let Some(position) = self.positions.get_mut(&key) else { return true };
        let Some(member) = self.members.get_mut(position) else { return true };
        let now = seen.topic_id.map(|id| (id, seen.high_watermark, seen.log_start_offset));
        let changed = seen.is_error || seen.has_records || member.told.is_none() || member.told != now;
        // After an error the next success is news, even if it looks like the one before.
        member.told = if seen.is_error { None } else { now };
        if seen.has_records
            && let Some(member) = self.members.remove(position)
        {
            *position = self.next_position;
            self.members.insert(self.next_position, member);
            self.next_position += 1;
        }
        changed || all
    }
}
