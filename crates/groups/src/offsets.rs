//! The committed offsets of all groups of a shard.
//!
//! One ordered map holds them all, so that a million of them cost little more than themselves and a copy of the shard costs
//! nothing. Groups and topics are numbers in its keys. A topic's name stands for the topic that bears it now: when a topic
//! is deleted, the offsets under its name are dropped before anything else is done.

mod commit;
mod delete;
mod expiry;
mod fetch;
mod pending;
mod place;
mod topics;

use std::sync::Arc;

use imbl::OrdMap;
use levada_shard::TransactionalProducer;
use levada_types::{LeaderEpoch, Offset, PartitionIndex, ProducerId, TimestampMs};

pub(crate) use commit::refused;
pub(crate) use expiry::{ExpiresFrom, Expiry, SWEEP_SLICE};
pub(crate) use place::{GroupNumber, Place};

use crate::{
    draft::Draft,
    records::{OffsetKey, OffsetValue, Record},
};
use pending::Pending;
use topics::Topics;

/// The offset of a partition that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The offset of the next record to be consumed.
    pub(crate) offset: Offset,
    /// When it was committed.
    pub(crate) committed_at: TimestampMs,
    /// What few commits have.
    extra: Option<Arc<Extra>>,
    /// -1 for none.
    leader_epoch: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Extra {
    metadata: Box<str>,
    expires_at: Option<TimestampMs>,
}

impl Committed {
    fn new(value: &OffsetValue<'_>) -> Self {
        let extra = (!value.metadata.is_empty() || value.expires_at.is_some())
            .then(|| Arc::new(Extra { metadata: value.metadata.into(), expires_at: value.expires_at }));
        Self {
            offset: value.offset,
            committed_at: value.committed_at,
            extra,
            leader_epoch: value.leader_epoch.map_or(-1, |epoch| epoch.0),
        }
    }

    /// The leader epoch of the last record that was consumed.
    pub(crate) fn leader_epoch(&self) -> Option<LeaderEpoch> {
        (self.leader_epoch >= 0).then_some(LeaderEpoch(self.leader_epoch))
    }

    /// What the client wanted to keep with it.
    pub(crate) fn metadata(&self) -> &str {
        self.extra.as_ref().map_or("", |extra| &extra.metadata)
    }

    /// When it expires by itself, where an old client asked for it.
    pub(crate) fn expires_at(&self) -> Option<TimestampMs> {
        self.extra.as_ref().and_then(|extra| extra.expires_at)
    }
}

/// The committed offsets of all groups of a shard. Everything in it is hard. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offsets {
    committed: OrdMap<Place, Committed>,
    /// What open transactions will commit.
    pending: Pending,
    topics: Topics,
}

impl Offsets {
    /// How many offsets are committed.
    pub(crate) fn len(&self) -> usize {
        self.committed.len()
    }

    /// Whether a group has any, or a transaction has one for it.
    pub(crate) fn has_any(&self, group: GroupNumber) -> bool {
        self.committed.range(Place::all_of(group)).next().is_some() || self.pending.has_any(group)
    }

    /// Those of a group, by topic.
    pub(crate) fn of(&self, group: GroupNumber) -> impl Iterator<Item = (&Arc<str>, PartitionIndex, &Committed)> {
        self.committed
            .range(Place::all_of(group))
            .filter_map(|(place, committed)| Some((self.topics.name(place.topic)?, place.partition, committed)))
    }

    /// Takes in a commit, or, as `None`, that an offset is forgotten; under a transaction it counts once that commits.
    pub(crate) fn apply(
        &mut self,
        group: GroupNumber,
        topic: &str,
        partition: PartitionIndex,
        value: Option<&OffsetValue<'_>>,
        producer: Option<TransactionalProducer>,
    ) {
        let Some(value) = value else {
            if let Some(place) = self.place(group, topic, partition) {
                self.committed.remove(&place);
                self.pending.supersede(place, None);
            }
            return;
        };
        let place = Place { group, topic: self.topics.number(topic), partition };
        match producer {
            Some(producer) => self.pending.add(producer.id, place, Committed::new(value)),
            None => {
                self.committed.insert(place, Committed::new(value));
                self.pending.supersede(place, None);
            }
        }
    }

    /// A producer's transaction is over: what it was to commit is committed, or forgotten. Groups that may have nothing
    /// left now are returned.
    pub(crate) fn end_transaction(&mut self, producer: ProducerId, commit: bool) -> Vec<GroupNumber> {
        let mut groups = Vec::new();
        for (place, pending) in self.pending.take(producer) {
            if groups.last() != Some(&place.group) {
                groups.push(place.group);
            }
            if commit && !pending.is_superseded {
                self.pending.supersede(place, Some(pending.order));
                self.committed.insert(place, pending.committed);
            }
        }
        groups
    }

    /// What transactions are about to commit: the producer, the group, the topic, the partition, the offset, the order, and
    /// whether it will never count.
    #[cfg(test)]
    pub(crate) fn open(&self) -> Vec<(ProducerId, GroupNumber, &str, PartitionIndex, &Committed, u64, bool)> {
        let open = self.pending.all().map(|(producer, place, pending)| {
            let topic = self.topics.name(place.topic).map_or("", |name| name.as_ref());
            (producer, place.group, topic, place.partition, &pending.committed, pending.order, pending.is_superseded)
        });
        open.collect()
    }

    /// Forgets these offsets, and writes that.
    fn forget(&mut self, group_id: &str, places: &[Place], draft: &mut Draft<'_>) {
        for place in places {
            let Some(topic) = self.topics.name(place.topic).cloned() else { continue };
            let key = OffsetKey { group: group_id, topic: &topic, partition: place.partition };
            draft.write(&Record::Offset(key, None));
            self.apply(place.group, &topic, place.partition, None, None);
        }
    }

    /// Where the group's offset of a partition would stand; `None` if nobody has committed any of that topic.
    fn place(&self, group: GroupNumber, topic: &str, partition: PartitionIndex) -> Option<Place> {
        Some(Place { group, topic: self.topics.known(topic)?, partition })
    }
}

#[cfg(test)]
mod tests;
