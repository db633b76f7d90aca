//! Evening out: the same number of replicas and of leaderships for every broker, and as many racks as there can be for
//! every partition.

use std::collections::HashMap;
use std::ops::Bound;

use levada_types::{BrokerId, TopicId};

use super::board::{Board, Place};

/// What is remembered of the search for moves from one broker to another.
#[derive(Default)]
struct Search {
    /// The topic that the last move was found in: the next one is most often found there too, or after it.
    topic: Option<TopicId>,
    /// In each topic, the partitions before this one were looked at.
    from: HashMap<TopicId, Place>,
}

impl Board<'_> {
    /// Takes replicas out of racks that hold another one of their partition, as far as there are racks that hold none.
    pub(super) fn spread_over_racks(&mut self) {
        for place in self.places() {
            if self.is_full() {
                return;
            }
            let crowded = |board: &Self, id: BrokerId| board.in_rack(&board.others(place, id), id);
            let brokers = self.brokers(place).unwrap_or_default();
            // Of those that share a rack, the fullest goes.
            let load = |id: BrokerId| self.loads.get(&id).copied().unwrap_or(0);
            let Some(from) =
                brokers.iter().copied().filter(|id| crowded(self, *id) > 0).max_by_key(|id| (load(*id), *id))
            else {
                continue;
            };
            let others = self.others(place, from);
            if let Some(to) = self.best_taker(place, &others)
                && self.in_rack(&others, to) < self.in_rack(&others, from)
            {
                self.put(place, Some(from), to);
            }
        }
    }

    /// Moves replicas from the fullest broker to the emptiest, as long as that makes them more even and no rack fuller.
    pub(super) fn even_replicas(&mut self) {
        let mut searches: HashMap<(BrokerId, BrokerId), Search> = HashMap::new();
        while !self.is_full()
            && let Some((place, from, to)) = self.next_move(&mut searches)
        {
            self.put(place, Some(from), to);
        }
    }

    fn next_move(&self, searches: &mut HashMap<(BrokerId, BrokerId), Search>) -> Option<(Place, BrokerId, BrokerId)> {
        let mut by_load: Vec<(u32, BrokerId)> = self.loads.iter().map(|(id, load)| (*load, *id)).collect();
        by_load.sort_unstable();
        let pairs = by_load.iter().rev().flat_map(|donor| by_load.iter().map(move |taker| (*donor, *taker)));
        for ((load, from), (least, to)) in pairs {
            if load > least + 1
                && let Some(place) = self.best_partition(from, to, searches.entry((from, to)).or_default())
            {
                return Some((place, from, to));
            }
        }
        None
    }

    /// A partition whose move makes its topic most even.
    fn best_partition(&self, from: BrokerId, to: BrokerId, search: &mut Search) -> Option<Place> {
        let topics = self.held(from)?;
        let most = topics.values().map(std::collections::BTreeSet::len).max()?;
        let start = search.topic.map_or(Bound::Unbounded, Bound::Included);
        let round = topics
            .range((start, Bound::Unbounded))
            .chain(search.topic.into_iter().flat_map(|topic| topics.range((Bound::Unbounded, Bound::Excluded(topic)))));
        let mut best: Option<(usize, TopicId, Place)> = None;
        for (topic, held) in round {
            let (more, less) = (held.len(), self.of_topic(*topic, to));
            // Of two topics the one that is less even; what is even already comes last.
            let gain = (more + most).saturating_sub(less);
            if best.is_some_and(|(found, ..)| found >= gain) {
                continue;
            }
            if let Some(place) = self.next_in(*topic, (from, to), search) {
                best = Some((gain, *topic, place));
                if gain == 2 * most {
                    break;
                }
            }
        }
        let (_, topic, place) = best?;
        search.topic = Some(topic);
        Some(place)
    }

    /// A partition of `topic` that may move, from where the search stands; what was passed over is looked at again only
    /// when nothing is left.
    fn next_in(&self, topic: TopicId, (from, to): (BrokerId, BrokerId), search: &mut Search) -> Option<Place> {
        let held = self.held(from)?.get(&topic)?;
        let begun = search.from.get(&topic).copied().unwrap_or(0);
        let fits = |place: &&Place| {
            self.brokers(**place).is_some_and(|brokers| !brokers.contains(&to))
                && self.may_move(**place)
                && self.keeps_racks(**place, from, to)
        };
        let found = held.range(begun..).find(fits).or_else(|| held.range(..begun).find(fits)).copied()?;
        search.from.insert(topic, found);
        Some(found)
    }

    /// Gives leaderships to whoever has fewer, among the replicas as they are, until no partition can make it more even.
    pub(super) fn even_leaders(&mut self) {
        // Each round goes over all of them, whether or not one has passed on already.
        while self.places().filter(|place| self.pass_leadership(*place)).count() > 0 {}
    }
}
