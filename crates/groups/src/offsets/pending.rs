//! Offsets that open transactions will commit.

use imbl::{OrdMap, OrdSet};
use levada_types::ProducerId;

use super::{Committed, GroupNumber, Place};

/// An offset that a transaction will commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingOffset {
    pub(super) committed: Committed,
    /// Which was written first: a later number is of a later record.
    pub(super) order: u64,
    /// Whether a later record of the same partition counts already, so that this one never will.
    pub(super) is_superseded: bool,
}

/// Offsets that open transactions will commit. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    by_producer: OrdMap<(ProducerId, Place), PendingOffset>,
    by_place: OrdSet<(Place, ProducerId)>,
    last_order: u64,
}

impl Pending {
    /// A record of a transaction; of several of one place the last counts.
    pub(super) fn add(&mut self, producer: ProducerId, place: Place, committed: Committed) {
        self.last_order += 1;
        let pending = PendingOffset { committed, order: self.last_order, is_superseded: false };
        self.by_producer.insert((producer, place), pending);
        self.by_place.insert((place, producer));
    }

    /// A record of this place counts now: what was written before it, or before the one of this order, never will.
    pub(super) fn supersede(&mut self, place: Place, before: Option<u64>) {
        if self.by_place.is_empty() {
            return;
        }
        let producers: Vec<ProducerId> = self.producers(place).collect();
        for producer in producers {
            if let Some(pending) = self.by_producer.get_mut(&(producer, place))
                && before.is_none_or(|order| pending.order < order)
            {
                pending.is_superseded = true;
            }
        }
    }

    /// Everything of a producer's transaction, which is over.
    pub(super) fn take(&mut self, producer: ProducerId) -> Vec<(Place, PendingOffset)> {
        let places: Vec<Place> = self
            .by_producer
            .range((producer, Place::FIRST)..=(producer, Place::LAST))
            .map(|((_, place), _)| *place)
            .collect();
        let take = |place: Place| {
            self.by_place.remove(&(place, producer));
            self.by_producer.remove(&(producer, place)).map(|pending| (place, pending))
        };
        places.into_iter().filter_map(take).collect()
    }

    /// Whether a transaction is about to commit an offset of this place.
    pub(super) fn is_open(&self, place: Place) -> bool {
        !self.by_place.is_empty() && self.producers(place).next().is_some()
    }

    /// Whether a transaction is about to commit an offset of this group.
    pub(super) fn has_any(&self, group: GroupNumber) -> bool {
        !self.by_place.is_empty() && self.of(group).next().is_some()
    }

    /// The places of a group that transactions are about to commit offsets of.
    pub(super) fn of(&self, group: GroupNumber) -> impl Iterator<Item = Place> {
        let all = Place::all_of(group);
        self.by_place.range((*all.start(), ProducerId::MIN)..=(*all.end(), ProducerId::MAX)).map(|(place, _)| *place)
    }

    fn producers(&self, place: Place) -> impl Iterator<Item = ProducerId> {
        self.by_place.range((place, ProducerId::MIN)..=(place, ProducerId::MAX)).map(|(_, producer)| *producer)
    }

    /// Every place, of all groups.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.by_place.iter().map(|(place, _)| *place)
    }

    /// Everything.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (ProducerId, Place, &PendingOffset)> {
        self.by_producer.iter().map(|((producer, place), pending)| (*producer, *place, pending))
    }
}
